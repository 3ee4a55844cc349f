"""What stands on the target: a rollout's values, those before it, or somebody else's.

Role: compare live objects with an intent. Must not know: states, what follows from the answer.
Trade-off: a field that holds a third value makes the whole intent somebody else's, since a mixture
of ours and theirs was never measured by anybody.
"""

from typing import Literal

from infertune.api.status import Bounds, RolloutIntent
from infertune.core.last_good import LastGood, read_last_good
from infertune.core.manifests.apply_documents import standing_still, template_expectations
from infertune.core.preconditions import Violated, check
from infertune.core.resolve import bounds_of
from infertune.core.snapshot import RawObject

Standing = Literal["after", "before", "other"]


def records_on(target: RawObject, autoscaler: RawObject | None) -> tuple[LastGood, ...]:
    """Return what the annotations of both objects say, an open rollout first."""
    found = [read_last_good(raw) for raw in (target, autoscaler) if raw is not None]
    records = [record for record in found if record is not None]
    return tuple(sorted(records, key=lambda record: record.state != "Open"))


def standing(intent: RolloutIntent, target: RawObject, autoscaler: RawObject | None) -> Standing:
    """Return whose values stand. An intent that changes only bounds is judged by the bounds."""
    if intent.before == intent.after:
        return _bounds_standing(intent, autoscaler)
    if template_holds(intent, target, back=False):
        return "after"
    return "before" if template_holds(intent, target, back=True) else "other"


def tuned_record(target: RawObject, autoscaler: RawObject | None) -> LastGood | None:
    """Return the record of the tuning whose values stand on the target; None: nobody's do."""
    for record in records_on(target, autoscaler):
        stands = standing(record.intent, target, autoscaler)
        if stands == "after" or (stands == "before" and record.intent.after_tuning):
            return record
    return None


def template_holds(intent: RolloutIntent, target: RawObject, *, back: bool) -> bool:
    """Return whether the pod template holds exactly what this direction of the intent writes."""
    exact = standing_still(template_expectations(intent, back=back))
    return not isinstance(check(target, exact), Violated)


def wider(one: Bounds, other: Bounds) -> Bounds:
    """Return the bounds that have room for both."""
    return Bounds(
        min_replicas=max(one.min_replicas, other.min_replicas),
        max_replicas=max(one.max_replicas, other.max_replicas),
    )


def _bounds_standing(intent: RolloutIntent, autoscaler: RawObject | None) -> Standing:
    found, before, after = bounds_of(autoscaler), intent.bounds_before, intent.bounds_after
    if found is None or before is None or after is None:
        return "other"
    if found == before:
        return "before"
    return "after" if found in (after, wider(before, after)) else "other"
