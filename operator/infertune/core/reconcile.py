"""One tick, decided: from a snapshot to a plan.

Role: the entrance of the core. Must not know: anything but the snapshot. Trade-off: what concerns
every state (a bad spec, a new generation, deletion) is answered here, so that states stay short.
"""

from collections.abc import Callable, Mapping

from infertune.api.conditions import Observation, first_conditions
from infertune.api.status import StateName, TuningStatus
from infertune.api.v1alpha1 import SpecError
from infertune.core.manifests.naming import FINALIZER
from infertune.core.plan import Event, Plan, SetFinalizer
from infertune.core.rollout import ROLLOUT_OPEN, advance
from infertune.core.snapshot import Snapshot
from infertune.core.states.applying import applying, rolling_back
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


def plan(snapshot: Snapshot) -> Plan:
    """Return what this tick does: a new status, effects in order, and when to look again."""
    tuning = snapshot.tuning
    if isinstance(tuning.spec, SpecError):
        return _invalid(snapshot, tuning.spec)
    context = Context(snapshot, tuning.spec)
    rollout_open = tuning.status.state in ROLLOUT_OPEN
    if tuning.deleting and not rollout_open:
        return _leave(snapshot)
    if tuning.status.observed_generation != tuning.generation and not rollout_open:
        return _begin(context)
    return conclude(context, STATES[tuning.status.state](context))


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


def _invalid(snapshot: Snapshot, problem: SpecError) -> Plan:
    """Return the plan of a spec that cannot be read: say so, touch nothing."""
    tuning = snapshot.tuning
    status = tuning.status
    conditions = status.conditions or first_conditions(snapshot.now, tuning.generation)
    status = status.model_copy(update={"conditions": conditions})
    told = (
        Observation("Ready", "False", "InvalidSpec", str(problem)),
        Observation("Reconciling", "False", "Observed", "the spec of this generation is known"),
        Observation("Stalled", "True", "InvalidSpec", str(problem)),
    )
    conditions = observe(status, told, snapshot.now, tuning.generation)
    status = status.model_copy(update={"conditions": conditions})
    changed = conditions != tuning.status.conditions
    events = (Event("Warning", "InvalidSpec", str(problem)),) if changed else ()
    return Plan(
        status=status, events=events, decision=f"invalid spec: {problem}" if changed else ""
    )


def _leave(snapshot: Snapshot) -> Plan:
    """Return the plan of a deleted tuning without an open rollout: let it go."""
    finalizer = FINALIZER in snapshot.tuning.finalizers
    effects = (SetFinalizer(present=False),) if finalizer else ()
    return Plan(status=snapshot.tuning.status, effects=effects)
