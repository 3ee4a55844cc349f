"""Borrowing a replica before a trial, and giving it back before anything else.

Role: the small state of ``status.borrowed``: recorded, finalizer, lowered, in use, restored. Must
not know: candidates. Trade-off: giving back is decided before every state and from the record and
the live object alone, so that whatever ended the search (a trial, an edit, a deletion, a crash, a
spec that cannot be read) ends the loan too.
"""

from collections.abc import Iterator

from infertune.api.conditions import Observation
from infertune.api.spec import TuningSpec
from infertune.api.status import Borrowed
from infertune.core.borrowing import give_back, give_up, lend, lend_of, standing, window_open
from infertune.core.loan_record import LoanRecord, drop_note, loans_noted, note_loan
from infertune.core.manifests.naming import FINALIZER
from infertune.core.plan import Effect, Event, Plan, SetFinalizer
from infertune.core.resolve import Resolved
from infertune.core.rollout import ROLLOUT_OPEN
from infertune.core.snapshot import Snapshot
from infertune.core.states.cleanup import delete_jobs
from infertune.core.states.no_trial import held
from infertune.core.story import Context, Outcome, observe
from infertune.core.trial_basis import answers_this_spec, interrupted
from infertune.core.trial_gate import Closed

TAKEN_BACK = "BorrowTakenBack"
STEP_SECONDS = 1.0
WINDOW_SECONDS = 30.0
_TAKEN_WORDS = (
    "somebody else changed what was lowered to lend a replica: nothing more is borrowed until the "
    "spec changes"
)


def borrow_first(context: Context, resolved: Resolved) -> Outcome | None:
    """Return the next step to a borrowed replica, or None when trials may go on."""
    rules, lent = context.spec.trial, context.status.borrowed
    if rules.placement != "Borrow":
        return None
    if not window_open(rules.borrow_window, context.now):
        assert rules.borrow_window is not None
        window = f"{rules.borrow_window.start}-{rules.borrow_window.end} UTC"
        words = f"a replica may be borrowed at {window} only (spec.trial.borrowWindow)"
        return held(context, Closed("Waiting", "BorrowWindowClosed", words), WINDOW_SECONDS)
    if lent is None:
        return _record(context, resolved)
    if FINALIZER not in context.tuning.finalizers:
        return Outcome(effects=(SetFinalizer(present=True),), requeue_seconds=0.0)
    return _lower(context, lent)


def given_back(snapshot: Snapshot) -> Plan | None:
    """Return the way back of a replica that may be borrowed no longer, or None."""
    tuning, status = snapshot.tuning, snapshot.tuning.status
    lent = status.borrowed
    if lent is None or _may_keep(snapshot, lent):
        return None
    words = f"the borrowed replica goes back: {_text(lent)}"
    jobs: tuple[Effect, ...] = delete_jobs(tuning.key, snapshot.jobs)
    taken = _taken(snapshot, lent)
    if not lent.returning and not taken:
        # The intent first: the values before are then our own work and nobody else's.
        changes = {
            "borrowed": lent.model_copy(update={"returning": True}),
            "trials": interrupted(status.trials, words),
        }
        ended = status.model_copy(update=changes)
        return Plan(status=ended, effects=jobs, decision=words, requeue_seconds=0.0)
    if snapshot.lender is not None and standing(lent, snapshot.lender) == "During":
        back = give_back(tuning.key, lent, snapshot.lender)
        return Plan(status=status, effects=(*jobs, back), requeue_seconds=STEP_SECONDS)
    return _closed(snapshot, lent, jobs, ended_by_others=taken)


def remembered(snapshot: Snapshot) -> Plan | None:
    """Return a loan that only its object remembers, taken up again so that it goes back, or None.

    It is taken up by the tuning that made it. A loan of another one ends as well once this one is
    first in line for the target: whoever made it is gone, or gives it back in the same words.
    """
    tuning, status = snapshot.tuning, snapshot.tuning.status
    seen = status.observed_generation == tuning.generation or tuning.deleting
    if status.borrowed is not None or status.state in ROLLOUT_OPEN or not seen:
        return None
    found = next((n for n in _noted(snapshot) if snapshot.rival is None or n.is_of(tuning)), None)
    if found is None:
        return None
    changes = {"lowered": True, "returning": True}
    lent = found.lent.model_copy(update=changes)
    words = f"a replica lent by InferenceTuning {found.tuning_name!r} is not in the status: "
    words += f"it goes back: {_text(lent)}"
    return Plan(
        status=status.model_copy(update={"borrowed": lent}),
        events=(Event("Warning", "LoanFound", words),),
        decision=words,
        requeue_seconds=0.0,
    )


def _noted(snapshot: Snapshot) -> Iterator[LoanRecord]:
    """Return the loans that the objects tell of, as read for this look or, at rest, last shown."""
    target, watched = snapshot.target, snapshot.watched
    if watched is not None:
        yield from loans_noted(watched.target, watched.autoscaler)
    yield from loans_noted(None if target is None else target.raw, snapshot.autoscaler)


def _record(context: Context, resolved: Resolved) -> Outcome:
    allowed = next((c for c in context.status.conditions if c.type == "TrialsAllowed"), None)
    if allowed is not None and allowed.reason == TAKEN_BACK:
        return held(context, Closed("Refused", TAKEN_BACK, allowed.message))
    lent = lend_of(context, resolved)
    if isinstance(lent, Closed):
        return held(context, lent)
    words = f"borrowing a replica: {_text(lent)}; by hand back: {lent.restore_command}"
    return Outcome(
        changes=(("borrowed", lent),),
        observed=(Observation("TrialsAllowed", "True", "Borrowing", words),),
        told=(Event("Normal", "Borrowing", words),),
        decision=words,
        requeue_seconds=0.0,
    )


def _lower(context: Context, lent: Borrowed) -> Outcome | None:
    lender, target = context.snapshot.lender, context.snapshot.target
    assert lender is not None
    if standing(lent, lender) == "Before":
        # The note first: who finds the values lowered finds on the same object what they were.
        effects = (note_loan(context.tuning, lent, lender), lend(context.key, lent, lender))
        words = f"lowering for trials: {_text(lent)}"
        return Outcome(effects=effects, decision=words, requeue_seconds=STEP_SECONDS)
    if not lent.lowered:
        lowered = lent.model_copy(update={"lowered": True})
        return Outcome(changes=(("borrowed", lowered),), requeue_seconds=STEP_SECONDS)
    if target is not None and len(target.pods) > lent.during.max_replicas:
        return Outcome(requeue_seconds=STEP_SECONDS)
    return None


def _may_keep(snapshot: Snapshot, lent: Borrowed) -> bool:
    """Whether the search that borrowed still goes on, as its spec and everybody else wants it."""
    tuning, status = snapshot.tuning, snapshot.tuning.status
    spec = tuning.spec
    if not isinstance(spec, TuningSpec) or tuning.deleting or spec.suspend or lent.returning:
        return False
    if status.state != "Searching" or not answers_this_spec(tuning) or snapshot.rival is not None:
        return False
    if tuning.wishes.abort != status.abort_answered or _is_held(snapshot):
        return False
    allowed = spec.trial.placement == "Borrow"
    return (
        allowed
        and window_open(spec.trial.borrow_window, snapshot.now)
        and not _taken(snapshot, lent)
        and standing(lent, snapshot.lender) != "Gone"
    )


def _is_held(snapshot: Snapshot) -> bool:
    conditions = snapshot.tuning.status.conditions
    return any(c.type == "TrialsAllowed" and c.status == "False" for c in conditions)


def _taken(snapshot: Snapshot, lent: Borrowed) -> bool:
    """Whether somebody else has set what was lowered: they know better."""
    if lent.returning:
        return False
    found = standing(lent, snapshot.lender)
    return found == "Foreign" or (found == "Before" and lent.lowered)


def _closed(
    snapshot: Snapshot, lent: Borrowed, jobs: tuple[Effect, ...], *, ended_by_others: bool
) -> Plan:
    """Return the end of the loan: what is ours on the object goes, the record goes."""
    tuning = snapshot.tuning
    status = tuning.status.model_copy(update={"borrowed": None})
    endings = (drop_note(tuning.key, lent, snapshot.lender), give_up(tuning.key, lent))
    effects = [*jobs, *(effect for effect in endings if effect is not None)]
    if FINALIZER in tuning.finalizers and status.state not in ROLLOUT_OPEN:
        effects.append(SetFinalizer(present=False))
    words = f"the borrowed replica is back: {lent.before.min_replicas}-{lent.before.max_replicas}"
    observed = [Observation("FieldConflict", "False", "NoConflict", "no declared field was taken")]
    if ended_by_others:
        words = _TAKEN_WORDS
        observed.append(Observation("TrialsAllowed", "False", TAKEN_BACK, words))
    conditions = observe(status, observed, snapshot.now, tuning.generation)
    trials = interrupted(status.trials, words)
    return Plan(
        status=status.model_copy(update={"conditions": conditions, "trials": trials}),
        effects=tuple(effects),
        events=(Event("Warning" if ended_by_others else "Normal", "BorrowEnded", words),),
        decision=words,
        requeue_seconds=STEP_SECONDS,
    )


def _text(lent: Borrowed) -> str:
    what = f"autoscaler {lent.autoscaler}" if lent.autoscaler else f"{lent.kind} {lent.name}"
    before, during = lent.before, lent.during
    return (
        f"{what} {before.min_replicas}-{before.max_replicas}, "
        f"lent {during.min_replicas}-{during.max_replicas}"
    )
