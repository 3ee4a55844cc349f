"""Two tunings of one target: the older goes on, the newer waits and says for whom.

Role: what a tuning answers whose target another one has already. Must not know: how the other one
was found. Trade-off: which is older is decided by the time of creation and then by UID, so that
both of them, and every operator, come to the same answer without talking to each other.
"""

from infertune.api.conditions import Observation
from infertune.core.snapshot import Rival, TuningView
from infertune.core.states.cleanup import delete_jobs
from infertune.core.story import Context, Outcome

TARGET_TAKEN = "TargetTaken"
# Its end comes as an event; this is for the case that the event was missed.
LOOK_AGAIN_SECONDS = 300.0


def waits_for(context: Context, rival: Rival) -> Outcome:
    """Return the outcome of a tuning that came second: it holds nothing and touches nothing."""
    reference = context.spec.target_ref
    words = (
        f"spec.targetRef: {reference.kind} {reference.name!r} is tuned by InferenceTuning "
        f"{rival.key.name!r} already, which is older (created {rival.created_at}): delete that one "
        "to go on with this one, or name another target here"
    )
    return Outcome(
        event="TargetMissing",
        observed=(
            Observation("TargetAvailable", "False", TARGET_TAKEN, words),
            Observation("Stalled", "True", TARGET_TAKEN, words),
        ),
        effects=delete_jobs(context.key, context.snapshot.jobs),
        requeue_seconds=LOOK_AGAIN_SECONDS,
    )


def has_waited(tuning: TuningView) -> bool:
    """Return whether the last look found the target taken by another tuning."""
    return any(
        c.type == "Stalled" and c.status == "True" and c.reason == TARGET_TAKEN
        for c in tuning.status.conditions
    )
