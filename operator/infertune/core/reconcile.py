"""One tick, decided: from a snapshot to a plan.

Role: the entrance of the core. Must not know: anything but the snapshot. Trade-off: what concerns
every state (a bad spec, a new generation, deletion) is answered here, so that states stay short.
"""

from collections.abc import Callable, Mapping

from infertune.api.conditions import Observation, first_conditions
from infertune.api.status import StateName, TuningStatus
from infertune.api.v1alpha1 import SpecError
from infertune.core.manifests.naming import FINALIZER
from infertune.core.plan import Effect, Event, Plan, SetFinalizer
from infertune.core.rollout import ROLLOUT_OPEN, advance
from infertune.core.snapshot import Snapshot, TuningView
from infertune.core.states.applying import applying, intent_lost, rolling_back
from infertune.core.states.cleanup import delete_jobs
from infertune.core.states.deciding import deciding
from infertune.core.states.pending import pending
from infertune.core.states.probing import probing
from infertune.core.states.searching import searching
from infertune.core.states.settled import settled
from infertune.core.states.verifying import verifying
from infertune.core.story import Context, Outcome, conclude, observe

STATES: Mapping[StateName, Callable[[Context], Outcome]] = {
    "Pending": pending,
    "Probing": probing,
    "Searching": searching,
    "Deciding": deciding,
    "Applying": applying,
    "Verifying": verifying,
    "RollingBack": rolling_back,
    "Stable": settled,
    "Halted": settled,
}

INVALID = "InvalidSpec"


def plan(snapshot: Snapshot) -> Plan:
    """Return what this tick does: a new status, effects in order, and when to look again."""
    tuning = snapshot.tuning
    rollout_open = tuning.status.state in ROLLOUT_OPEN
    unreadable = isinstance(tuning.spec, SpecError)
    if tuning.deleting and (unreadable or not rollout_open):
        return _leave(snapshot, rollout_open=rollout_open)
    if isinstance(tuning.spec, SpecError):
        return _invalid(snapshot, tuning.spec, rollout_open=rollout_open)
    context = Context(snapshot, tuning.spec)
    if rollout_open and not _has_intent(tuning):
        return conclude(context, intent_lost(context))
    if not rollout_open and (_is_new(tuning) or _was_invalid(tuning)):
        return _begin(context)
    return conclude(context, STATES[tuning.status.state](context))


def _is_new(tuning: TuningView) -> bool:
    return tuning.status.observed_generation != tuning.generation


def _has_intent(tuning: TuningView) -> bool:
    rollout = tuning.status.rollout
    return rollout is not None and rollout.intent is not None


def _was_invalid(tuning: TuningView) -> bool:
    """Whether an earlier look, perhaps by an older operator, could not read this very spec."""
    return any(c.type == "Ready" and c.reason == INVALID for c in tuning.status.conditions)


def _begin(context: Context) -> Plan:
    """Return the plan of a new generation: everything is looked at anew."""
    status, generation = context.status, context.tuning.generation
    first = status.observed_generation == 0
    if not first:
        advance(status.state, "SpecChanged")
    conditions = first_conditions(context.now, generation)
    fresh = TuningStatus(
        observed_generation=generation,
        state="Pending",
        state_since=context.now,
        conditions=conditions,
        rollout=None,
    )
    accepted = (
        Observation("Ready", "True", "Watched", "the spec is accepted and watched"),
        Observation("Reconciling", "False", "Observed", "the spec of this generation is known"),
        Observation("Stalled", "False", "Progressing", "nothing stops the tuning"),
    )
    fresh = fresh.model_copy(
        update={"conditions": observe(fresh, accepted, context.now, generation)}
    )
    words = "first sight of the tuning" if first else f"generation {generation}: starting anew"
    return Plan(status=fresh, decision=words, requeue_seconds=0.0)


def _invalid(snapshot: Snapshot, problem: SpecError, *, rollout_open: bool) -> Plan:
    """Return the plan of a spec that cannot be read: say so, touch nothing.

    The generation counts as observed, or tools that wait for it would wait for ever; during a
    rollout it does not, since a change of spec has to turn that back once it can be read.
    """
    tuning = snapshot.tuning
    status = tuning.status
    if not rollout_open:
        status = status.model_copy(update={"observed_generation": tuning.generation})
    conditions = status.conditions or first_conditions(snapshot.now, tuning.generation)
    status = status.model_copy(update={"conditions": conditions})
    told = (
        Observation("Ready", "False", INVALID, str(problem)),
        Observation("Reconciling", "False", "Observed", "the spec of this generation is known"),
        Observation("Stalled", "True", INVALID, str(problem)),
    )
    conditions = observe(status, told, snapshot.now, tuning.generation)
    status = status.model_copy(update={"conditions": conditions})
    changed = conditions != tuning.status.conditions
    events = (Event("Warning", INVALID, str(problem)),) if changed else ()
    return Plan(
        status=status, events=events, decision=f"invalid spec: {problem}" if changed else ""
    )


def _leave(snapshot: Snapshot, *, rollout_open: bool) -> Plan:
    """Return the plan of a deleted tuning: remove what it started, then let it go.

    A rollout is open here only when the spec cannot be read; its way back is then told to people.
    """
    tuning = snapshot.tuning
    effects: tuple[Effect, ...] = delete_jobs(tuning.key, snapshot.jobs)
    if FINALIZER in tuning.finalizers:
        effects = (*effects, SetFinalizer(present=False))
    events: tuple[Event, ...] = ()
    if rollout_open and tuning.status.rollout is not None:
        words = f"deleted with an open rollout; to go back: {tuning.status.rollout.restore_command}"
        events = (Event("Warning", "RolloutAbandoned", words),)
    return Plan(status=tuning.status, effects=effects, events=events)
