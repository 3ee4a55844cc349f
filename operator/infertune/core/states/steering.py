"""What humans say over the head of a state: abort and suspend.

Role: answer both before the state itself is asked. Must not know: what the states do. Trade-off: a
suspended rollout stays where it is, neither on nor back, because "no new writes" must mean just
that; whoever wants it undone says abort, and that goes before suspend.
"""

from infertune.api.conditions import Observation
from infertune.api.status import Condition, StateName, TuningStatus
from infertune.core.plan import Event
from infertune.core.rollout import ROLLOUT_OPEN
from infertune.core.states.applying import begin_rollback
from infertune.core.states.cleanup import delete_jobs
from infertune.core.states.recovery import open_rollout
from infertune.core.story import Context, Outcome
from infertune.core.trial_basis import interrupted

RESTING: frozenset[StateName] = frozenset({"Stable", "Halted"})
ABORTED = "Aborted"
SUSPENDED = "Suspended"
_JOBS_WAIT_SECONDS = 2.0
_ABORT_WORDS = "aborted by the annotation infertune.io/abort"


def steered(context: Context) -> Outcome | None:
    """Return what abort or suspend make of this tick, or None when the state may decide."""
    if context.tuning.deleting:
        return None
    return _aborted(context) or _suspended(context)


def abort_taken_back(context: Context) -> bool:
    """Whether the tuning rests because of an abort that is not asked for any more."""
    halted = context.status.state == "Halted" and _stalled(context.status) == ABORTED
    return halted and context.tuning.wishes.abort is None


def readiness(context: Context) -> tuple[Observation, ...]:
    """Return what Ready says beside a state that decided: suspended at rest, or watched again."""
    if context.spec.suspend and context.status.state in RESTING:
        words = f"spec.suspend is true: {context.status.state}, and nothing is written"
        return (Observation("Ready", "True", SUSPENDED, words),)
    if context.spec.suspend or _reason(context.status.conditions, "Ready") != SUSPENDED:
        return ()
    return (Observation("Ready", "True", "Watched", "the spec is accepted and watched"),)


def _aborted(context: Context) -> Outcome | None:
    wish, status = context.tuning.wishes.abort, context.status
    if wish == status.abort_answered:
        return None
    answered: tuple[tuple[str, object], ...] = (("abort_answered", wish),)
    if wish is not None and status.state == "RollingBack" and status.rollout is not None:
        rollout = status.rollout.model_copy(update={"rollback_event": "AbortRequested"})
        return Outcome(changes=(*answered, ("rollout", rollout)), requeue_seconds=0.0)
    if wish is None or status.state in RESTING:
        return Outcome(changes=answered, requeue_seconds=0.0)
    found = open_rollout(context) if status.state == "Pending" else None
    if found is not None and found.event == "IntentFound":
        return _with(found, answered)
    if status.state in ROLLOUT_OPEN:
        assert status.rollout is not None
        back = begin_rollback(context, status.rollout, "AbortRequested", _ABORT_WORDS)
        return _with(back, answered)
    words = f"{_ABORT_WORDS} while {status.state}; nothing was changed"
    return Outcome(
        changes=(*answered, ("trials", interrupted(status.trials, _ABORT_WORDS))),
        event="AbortRequested",
        observed=(Observation("Stalled", "True", ABORTED, words),),
        effects=delete_jobs(context.key, context.snapshot.jobs),
        told=(Event("Warning", ABORTED, words),),
        decision=words,
        requeue_seconds=0.0,
    )


def _suspended(context: Context) -> Outcome | None:
    """Return patience: jobs end, nothing is written, and the status says so."""
    status = context.status
    if not context.spec.suspend or status.state in RESTING:
        return None
    if status.state in ROLLOUT_OPEN:
        rollout = status.rollout
        if rollout is not None and rollout.rollback_event == "AbortRequested":
            return None
        words = (
            f"spec.suspend is true while a rollout is open ({status.state}): nothing is written, "
            "neither on nor back; set it to false, or annotate infertune.io/abort to go back"
        )
        return _quiet(status, words, Outcome())
    words = f"spec.suspend is true: {status.state} goes on from here when it is false"
    jobs = context.snapshot.jobs
    ended = interrupted(status.trials, "spec.suspend ended it")
    outcome = Outcome(
        changes=() if ended == status.trials else (("trials", ended),),
        effects=delete_jobs(context.key, jobs),
        requeue_seconds=_JOBS_WAIT_SECONDS if jobs else None,
    )
    return _quiet(status, words, outcome)


def _quiet(status: TuningStatus, words: str, outcome: Outcome) -> Outcome:
    """Return the outcome with the word that the tuning is suspended, told once."""
    news = _reason(status.conditions, "Ready") != SUSPENDED
    return Outcome(
        changes=outcome.changes,
        observed=(Observation("Ready", "True", SUSPENDED, words),),
        effects=outcome.effects,
        told=(Event("Normal", SUSPENDED, words),) if news else (),
        requeue_seconds=outcome.requeue_seconds,
        decision=words if news else "",
    )


def _with(outcome: Outcome, changes: tuple[tuple[str, object], ...]) -> Outcome:
    return Outcome(
        changes=(*outcome.changes, *changes),
        event=outcome.event,
        observed=outcome.observed,
        told=outcome.told,
        decision=outcome.decision,
        evidence=outcome.evidence,
        requeue_seconds=outcome.requeue_seconds,
    )


def _stalled(status: TuningStatus) -> str | None:
    return _reason(status.conditions, "Stalled")


def _reason(conditions: tuple[Condition, ...], name: str) -> str | None:
    return next((c.reason for c in conditions if c.type == name), None)
