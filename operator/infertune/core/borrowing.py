"""A replica lent to trials where there is no spare device, and what gives it back.

Role: which bounds are lowered, whether they may be, and the writes there and back. Must not know:
states, trials. Trade-off: the autoscaler's upper bound goes below what runs now, or no device would
get free, so live traffic cannot grow meanwhile; that is why it needs the user's word and a window.
"""

from datetime import datetime
from typing import Literal

from infertune.api.status import Borrowed, Bounds
from infertune.api.trial_rules import BorrowWindow
from infertune.core.gitops import kept_by
from infertune.core.last_good import noted
from infertune.core.loan_record import by_hand
from infertune.core.manifests.apply_documents import (
    AUTOSCALER_API,
    AUTOSCALER_KIND,
    Scaler,
    bounds_document,
    bounds_expectations,
)
from infertune.core.ownership import is_ours, managed_fields_of
from infertune.core.plan import ApplyFields, ReleaseFields, ScaleWorkload
from infertune.core.resolve import Resolved, bounds_of
from infertune.core.snapshot import Key, RawObject
from infertune.core.story import Context
from infertune.core.trial_gate import Closed

Standing = Literal["Before", "During", "Foreign", "Gone"]
_WORKLOAD_API = "apps/v1"
_MINUTES_PER_HOUR = 60


def window_open(window: BorrowWindow | None, now: datetime) -> bool:
    """Return whether a replica may be borrowed at this time; no window is always."""
    if window is None or window.start == window.end:
        return True
    start, end = _minutes(window.start), _minutes(window.end)
    at = now.hour * _MINUTES_PER_HOUR + now.minute
    return start <= at < end if start < end else at >= start or at < end


def lend_of(context: Context, resolved: Resolved) -> Borrowed | Closed:
    """Return what is to be lowered, with the values before; or why nothing may be borrowed."""
    replicas, bounds = resolved.replicas, resolved.bounds
    scaled = bounds is not None and context.snapshot.autoscaler is not None
    if replicas <= 1 and (scaled or not context.spec.trial.allow_downtime or replicas < 1):
        words = (
            f"the target runs {replicas} replica: to borrow it is downtime; run two, or without "
            "an autoscaler set spec.trial.allowDowntime"
        )
        return Closed("Refused", "NothingToBorrow", words)
    theirs = _somebody_elses(context, resolved)
    if theirs is not None:
        return theirs
    reference = context.spec.target_ref
    before = bounds or Bounds(min_replicas=replicas, max_replicas=replicas)
    most = min(before.max_replicas, replicas) - 1
    during = Bounds(min_replicas=min(before.min_replicas, most), max_replicas=most)
    owned = managed_fields_of(context.snapshot.autoscaler) if context.snapshot.autoscaler else ()
    lent = Borrowed(
        kind=reference.kind,
        name=reference.name,
        target_uid=resolved.uid,
        autoscaler=resolved.autoscaler,
        autoscaler_uid=resolved.autoscaler_uid,
        before=before,
        during=during,
        owned_before=is_ours(owned, ("f:spec", "f:maxReplicas")),
        since=context.now,
    )
    return lent.model_copy(update={"restore_command": by_hand(context.key.namespace, lent)})


def standing(lent: Borrowed, lender: RawObject | None) -> Standing:
    """Return which values stand in the object that was, or is to be, lowered."""
    wanted = lent.autoscaler_uid or lent.target_uid
    if lender is None or lender["metadata"]["uid"] != wanted:
        return "Gone"
    found = bounds_of(lender) if lent.autoscaler else _replicas_of(lender)
    if found == lent.during:
        return "During"
    return "Before" if found == lent.before else "Foreign"


def lend(key: Key, lent: Borrowed, lender: RawObject) -> ApplyFields | ScaleWorkload:
    """Return the write that lowers the bounds, or the replicas of a target without them."""
    return _write(key, lent, lender, lent.before, lent.during)


def give_back(key: Key, lent: Borrowed, lender: RawObject) -> ApplyFields | ScaleWorkload:
    """Return the write that restores what stood before."""
    return _write(key, lent, lender, lent.during, lent.before)


def give_up(key: Key, lent: Borrowed) -> ReleaseFields | None:
    """Return the release of the autoscaler's bounds, unless an earlier rollout owns them."""
    if lent.autoscaler is None or lent.autoscaler_uid is None or lent.owned_before:
        return None
    return ReleaseFields(
        AUTOSCALER_API,
        AUTOSCALER_KIND,
        key.namespace,
        lent.autoscaler,
        lent.autoscaler_uid,
        key.name,
    )


def _somebody_elses(context: Context, resolved: Resolved) -> Closed | None:
    """Return why what would be lowered is not ours to lower: its owner would set it back."""
    snapshot, owner = context.snapshot, resolved.bounds_owner
    if owner is not None:
        words = (
            f"HorizontalPodAutoscaler {resolved.autoscaler!r} belongs to {owner}, which would set "
            "lowered bounds back: no replica is borrowed; set spec.trial.placement: Shadow"
        )
        return Closed("Refused", "BoundsNotOurs", words)
    target = None if snapshot.target is None else snapshot.target.raw
    lender = snapshot.autoscaler or target
    kept = None if lender is None else kept_by(lender)
    if lender is None or kept is None or context.spec.rollout.git_ops != "Refuse":
        return None
    scaled = snapshot.autoscaler is not None
    kind = AUTOSCALER_KIND if scaled else context.spec.target_ref.kind
    fields = "minReplicas and maxReplicas" if scaled else "replicas"
    source = f"{kept.source} {kept.name!r}" if kept.name else f"its {kept.source}"
    words = (
        f"{kind}/{lender['metadata']['name']} is managed by {kept.keeper} ({kept.trace}), which "
        f"would revert the loan: no replica is borrowed; set spec.trial.placement: Shadow, or have "
        f"{source} ignore its spec.{fields} and set spec.rollout.gitOps: Acknowledged"
    )
    return Closed("Refused", "ManagedByGitOps", words)


def _write(
    key: Key, lent: Borrowed, lender: RawObject, old: Bounds, new: Bounds
) -> ApplyFields | ScaleWorkload:
    if lent.autoscaler is None:
        return ScaleWorkload(
            _WORKLOAD_API,
            lent.kind,
            key.namespace,
            lent.name,
            lent.target_uid,
            old.max_replicas,
            new.max_replicas,
        )
    # An apply that leaves out what is ours would take it away.
    record = noted(lender) if lent.owned_before else None
    scaler = Scaler(key.namespace, lent.autoscaler, lent.autoscaler_uid)
    return ApplyFields(
        document=bounds_document(scaler, new, record),
        expectations=bounds_expectations(old, new),
        adopt=True,
    )


def _replicas_of(workload: RawObject) -> Bounds:
    replicas = int(workload["spec"].get("replicas", 1))
    return Bounds(min_replicas=replicas, max_replicas=replicas)


def _minutes(text: str) -> int:
    hours, _, minutes = text.partition(":")
    return int(hours) * _MINUTES_PER_HOUR + int(minutes)
