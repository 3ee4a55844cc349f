"""The way back of an open rollout whose spec cannot be read.

Role: abort and deletion are answered from the recorded intent, which names the target and the
values before. Must not know: what the spec says. Trade-off: only a human's word starts it, since an
unreadable spec may say suspend; the deadline of the way back is the default one.
"""

from dataclasses import replace

from infertune.api.spec import TuningSpec
from infertune.core.plan import Plan
from infertune.core.rollout import ROLLOUT_OPEN
from infertune.core.snapshot import Snapshot, TuningView
from infertune.core.states.applying import asked_to_turn_back, is_gone, rolling_back, target_gone
from infertune.core.states.steering import steered
from infertune.core.story import Context, Outcome, conclude
from infertune.core.target_reference import recorded_target

ABORT = "AbortRequested"
# A way back reads nothing of these; they are there because a spec has to have them.
_STAND_IN = {
    "slo": {"latencyMilliseconds": 1},
    "demand": {"peakRequestsPerSecond": 1},
    "knobs": {
        "batchSize": {"env": "UNREAD", "values": [1, 2]},
        "replicas": {"min": 1, "max": 1},
    },
    "metrics": {"prometheusURL": "http://unread.invalid", "histogram": "unread"},
}


def goes_back_unread(tuning: TuningView) -> bool:
    """Whether a human wants an open rollout undone that the status alone describes."""
    status, wish = tuning.status, tuning.wishes.abort
    rollout = status.rollout
    if isinstance(tuning.spec, TuningSpec) or status.state not in ROLLOUT_OPEN:
        return False
    if rollout is None or recorded_target(status) is None:
        return False
    aborted = wish is not None and (
        wish != status.abort_answered or rollout.rollback_event == ABORT
    )
    return tuning.deleting or aborted


def way_back_unread(snapshot: Snapshot) -> Plan | None:
    """Return the next step back where a human asks for it, else None."""
    tuning = snapshot.tuning
    where = recorded_target(tuning.status)
    if where is None or not goes_back_unread(tuning):
        return None
    reference = {"kind": where[0], "name": where[1]}
    context = Context(snapshot, TuningSpec.model_validate({"targetRef": reference, **_STAND_IN}))
    plan = conclude(context, steered(context) or _back(context))
    # The strings of the summary were made with the spec that could be read.
    return replace(plan, status=plan.status.model_copy(update={"summary": tuning.status.summary}))


def _back(context: Context) -> Outcome:
    rollout, target = context.status.rollout, context.snapshot.target
    assert rollout is not None
    assert rollout.intent is not None
    if context.status.state == "RollingBack":
        return rolling_back(context)
    if target is None or is_gone(target.raw, rollout.intent):
        return target_gone(context)
    asked = asked_to_turn_back(context, rollout)
    assert asked is not None, "a deletion always asks"
    return asked
