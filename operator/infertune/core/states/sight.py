"""The autoscaler began, or ceased, to see the load after bounds were recommended for it.

Role: at rest, say when the recommended bounds rest on what is no longer so, and decide anew from
the trials that there are. Must not know: how bounds are computed. Trade-off: a metric that fails
comes and goes with every restart of what serves it, so it counts only once it has lasted; a change
of the autoscaler's own spec is somebody's word and counts at once.
"""

from datetime import datetime

from infertune.core.autoscaling import blindness, scaling_active
from infertune.core.plan import Event
from infertune.core.snapshot import RawObject
from infertune.core.states.taken_back import RELEASED
from infertune.core.story import Context, Outcome

LASTING_SECONDS = 600.0
_SEES = {"True": False, "False": True}


def sight_changed(context: Context) -> Outcome | None:
    """Return the way back to deciding when the autoscaler's sight is not what bounds rest on."""
    watched, status = context.snapshot.watched, context.status
    autoscaler = None if watched is None else watched.autoscaler
    if autoscaler is None or status.recommendation is None or context.spec.suspend:
        return None
    told = next((c.status for c in status.conditions if c.type == "HPAMetricBlind"), "Unknown")
    if any(c.type == "FieldConflict" and c.reason == RELEASED for c in status.conditions):
        # Whoever took the fields out of our hands did not ask for them to be adopted again.
        return None
    saw, found = _SEES.get(told), blindness(autoscaler)
    if saw is None or saw is (found is None):
        return None
    if (found is None or found.reason == "ScalingInactive") and not _lasts(autoscaler, context.now):
        return None
    name = autoscaler["metadata"]["name"]
    words = (
        f"HorizontalPodAutoscaler {name!r} follows the load again"
        if found is None
        else found.message
    )
    words += ": the bounds are decided anew from the trials that there are"
    return Outcome(
        changes=(("recommendation", None),),
        event="AutoscalerChanged",
        told=(Event("Normal", "AutoscalerChanged", words),),
        decision=words,
        requeue_seconds=0.0,
    )


def _lasts(autoscaler: RawObject, now: datetime) -> bool:
    """Whether what the autoscaler says of its metric has stood long enough to be believed."""
    condition = scaling_active(autoscaler)
    since = None if condition is None else condition.get("lastTransitionTime")
    if not isinstance(since, str):
        return True
    return (now - datetime.fromisoformat(since)).total_seconds() >= LASTING_SECONDS
