"""One tick, decided: from a snapshot to a plan.

Role: the entrance of the core. Must not know: anything but the snapshot. Trade-off: what concerns
every state (a bad spec, a new generation, deletion) is answered here, so that states stay short.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime

from infertune.api.conditions import Observation, first_conditions
from infertune.api.spec import TuningSpec
from infertune.api.status import StateName, TargetFacts, TuningStatus
from infertune.api.v1alpha1 import SpecError
from infertune.core.manifests.naming import FINALIZER
from infertune.core.moved_target import left_behind
from infertune.core.plan import Effect, Event, Plan, SetFinalizer
from infertune.core.progress import looked_at
from infertune.core.rivals import has_waited, waits_for
from infertune.core.rollout import ROLLOUT_OPEN, RolloutEvent, advance
from infertune.core.snapshot import Snapshot, TuningView
from infertune.core.states.applying import applying, intent_lost, rolling_back
from infertune.core.states.cleanup import delete_jobs
from infertune.core.states.deciding import deciding
from infertune.core.states.lending import given_back, remembered
from infertune.core.states.pending import pending
from infertune.core.states.probing import probing
from infertune.core.states.recovery import open_rollout
from infertune.core.states.searching import searching
from infertune.core.states.settled import closing_writes, settled, target_is_back
from infertune.core.states.steering import RESTING, abort_taken_back, readiness, steered
from infertune.core.states.unread_spec import way_back_unread
from infertune.core.states.verifying import verifying
from infertune.core.story import Context, Outcome, conclude, observe
from infertune.core.target_reference import recorded_target
from infertune.core.trial_basis import answers_this_spec, finished, spec_digest

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
    snapshot = replace(snapshot, tuning=_up_to_date(snapshot.tuning, snapshot.now))
    tuning = snapshot.tuning
    returned = given_back(snapshot) or remembered(snapshot)
    if returned is not None:
        return returned
    unread = way_back_unread(snapshot)
    if unread is not None:
        return unread
    rollout_open = tuning.status.state in ROLLOUT_OPEN
    unreadable = isinstance(tuning.spec, SpecError)
    if tuning.deleting and (unreadable or not rollout_open):
        found = _forgotten(snapshot)
        return found or _leave(snapshot, rollout_open=rollout_open)
    if isinstance(tuning.spec, SpecError):
        return _invalid(snapshot, tuning.spec, rollout_open=rollout_open)
    context = Context(snapshot, tuning.spec)
    if rollout_open and not _has_intent(tuning):
        return conclude(context, intent_lost(context))
    begun = None if rollout_open else _begun_anew(context) or _second(context)
    return begun or _decided(context)


def _begun_anew(context: Context) -> Plan | None:
    """Return the start of a new run where the spec, or a human's word, asks for one."""
    tuning = context.tuning
    if tuning.status.state in RESTING and FINALIZER in tuning.finalizers:
        # First the last rollout is closed: its record on the target would look like an open one.
        return None
    if tuning.status.observed_generation != tuning.generation or _was_invalid(tuning):
        return _begin(context, "SpecChanged")
    if target_is_back(context) or (context.snapshot.rival is None and has_waited(tuning)):
        return _begin(context, "SpecChanged")
    if tuning.status.state not in RESTING:
        return None
    if tuning.wishes.retry not in (None, tuning.status.retry_answered):
        return _begin(context, "Retried")
    return _begin(context, "Retried", with_trials=True) if abort_taken_back(context) else None


def _second(context: Context) -> Plan | None:
    """Return the patience of a tuning whose target an older one has; its own rollout ends first."""
    rival, status = context.snapshot.rival, context.status
    closing = status.state in RESTING and FINALIZER in context.tuning.finalizers
    if rival is None or closing or context.tuning.deleting:
        return None
    found = open_rollout(context) if status.state == "Pending" else None
    forgotten = found is not None and found.event == "IntentFound"
    return conclude(context, found if found and forgotten else waits_for(context, rival))


def _decided(context: Context) -> Plan:
    outcome = steered(context)
    if outcome is None:
        outcome = STATES[context.status.state](context)
        observed = (*readiness(context), *outcome.observed)
        outcome = replace(outcome, observed=observed)
    return conclude(context, outcome)


def _up_to_date(tuning: TuningView, now: datetime) -> TuningView:
    """Return the tuning with what each look notes by itself, whatever is decided then.

    An edit of fields that are read at every look needs no new start. A look at an open rollout
    keeps its clock going; a suspended one stands still. A retry is meant for a tuning that rests.
    """
    status = tuning.status
    if status.state not in RESTING:
        status = status.model_copy(update={"retry_answered": tuning.wishes.retry})
    spec = tuning.spec if isinstance(tuning.spec, TuningSpec) else None
    if spec is not None and status.observed_generation > 0 and answers_this_spec(tuning):
        status = status.model_copy(update={"observed_generation": tuning.generation})
    suspended = spec is not None and spec.suspend and not tuning.deleting
    if status.state in ROLLOUT_OPEN and status.rollout is not None and not suspended:
        status = status.model_copy(update={"rollout": looked_at(status.rollout, now)})
    return replace(tuning, status=status)


def _forgotten(snapshot: Snapshot) -> Plan | None:
    """Return the way back of a rollout that only the target of a deleted tuning remembers."""
    tuning = snapshot.tuning
    if not isinstance(tuning.spec, TuningSpec) or FINALIZER not in tuning.finalizers:
        return None
    context = Context(snapshot, tuning.spec)
    found = open_rollout(context) if tuning.status.state == "Pending" else None
    return conclude(context, found) if found is not None and found.event == "IntentFound" else None


def _has_intent(tuning: TuningView) -> bool:
    rollout = tuning.status.rollout
    return rollout is not None and rollout.intent is not None


def _was_invalid(tuning: TuningView) -> bool:
    """Whether an earlier look, perhaps by an older operator, could not read this very spec."""
    return any(c.type == "Ready" and c.reason == INVALID for c in tuning.status.conditions)


def _begin(context: Context, event: RolloutEvent, *, with_trials: bool | None = None) -> Plan:
    """Return the plan of a new run: everything is looked at anew, but for trials that may stay.

    Trials whose recommendation broke the promise on live traffic are not believed a second time.
    """
    status, generation, wishes = context.status, context.tuning.generation, context.tuning.wishes
    first = status.observed_generation == 0
    if not first:
        advance(status.state, event)
    moved = left_behind(context)
    believed = not moved and (status.rollout is None or status.rollout.verdict != "Fail")
    keep = believed and (event == "SpecChanged" if with_trials is None else with_trials)
    conditions = first_conditions(context.now, generation)
    fresh = TuningStatus(
        observed_generation=generation,
        state="Pending",
        state_since=context.now,
        conditions=conditions,
        rollout=None,
        target=TargetFacts() if moved else status.target,
        trials=finished(status.trials) if keep else (),
        trial_basis=status.trial_basis if keep else "",
        baseline_configuration=status.baseline_configuration if keep else None,
        spec_digest=spec_digest(context.spec),
        search_since=context.now,
        abort_answered=None if wishes.abort is None else status.abort_answered,
        retry_answered=wishes.retry,
    )
    accepted = (
        Observation("Ready", "True", "Watched", "the spec is accepted and watched"),
        Observation("Reconciling", "False", "Observed", "the spec of this generation is known"),
        Observation("Stalled", "False", "Progressing", "nothing stops the tuning"),
    )
    fresh = fresh.model_copy(
        update={"conditions": observe(fresh, accepted, context.now, generation)}
    )
    words = (
        "first sight of the tuning" if first else f"{event}, generation {generation}: starting anew"
    )
    return Plan(status=fresh, effects=moved, decision=words, requeue_seconds=0.0)


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
        Observation("Stalled", "True", INVALID, str(problem) + _stands_open(tuning)),
    )
    conditions = observe(status, told, snapshot.now, tuning.generation)
    status = status.model_copy(update={"conditions": conditions})
    changed = conditions != tuning.status.conditions
    events = (Event("Warning", INVALID, str(problem)),) if changed else ()
    return Plan(
        status=status, events=events, decision=f"invalid spec: {problem}" if changed else ""
    )


def _stands_open(tuning: TuningView) -> str:
    """Return what to do about a rollout that is open beside a spec that cannot be read."""
    rollout = tuning.status.rollout
    if tuning.status.state not in ROLLOUT_OPEN or rollout is None:
        return ""
    words = "; a rollout is open and stands still: mend the spec"
    if recorded_target(tuning.status) is not None:
        words += ", or annotate infertune.io/abort to go back"
    return f"{words}; by hand: {rollout.restore_command}" if rollout.restore_command else words


def _leave(snapshot: Snapshot, *, rollout_open: bool) -> Plan:
    """Return the plan of a deleted tuning: remove what it started, then let it go.

    A rollout is open here only when neither the spec nor its intent can be read; its way back is
    then told to people. One that was verified a moment ago is closed first, or its record would
    look like an open one to the next tuning of this name.
    """
    tuning = snapshot.tuning
    effects: tuple[Effect, ...] = delete_jobs(tuning.key, snapshot.jobs)
    if FINALIZER in tuning.finalizers:
        spec = tuning.spec
        closing = () if isinstance(spec, SpecError) else closing_writes(Context(snapshot, spec))
        effects = (*effects, *closing, SetFinalizer(present=False))
    events: tuple[Event, ...] = ()
    if rollout_open and tuning.status.rollout is not None:
        words = f"deleted with an open rollout; to go back: {tuning.status.rollout.restore_command}"
        events = (Event("Warning", "RolloutAbandoned", words),)
    return Plan(status=tuning.status, effects=effects, events=events)
