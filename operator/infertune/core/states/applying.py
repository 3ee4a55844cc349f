"""Applying and RollingBack: one write after another, forward or back.

Role: walk the order of ``writes`` with a deadline. Must not know: how a write is sent. Trade-off:
one write a tick; each is a function of the recorded intent, so a crash at any point is repeated
as the same write or found done.
"""

from dataclasses import replace

from infertune.api.conditions import Observation
from infertune.api.status import RolloutIntent, RolloutStatus
from infertune.core.adoption import guarded, part_of
from infertune.core.intents import restore_command
from infertune.core.live_rollout import rollout_complete, rollout_stuck
from infertune.core.manifests.apply_documents import AUTOSCALER_API, AUTOSCALER_KIND
from infertune.core.manifests.naming import FINALIZER
from infertune.core.plan import Event, ReleaseFields, SetFinalizer
from infertune.core.progress import watched_seconds
from infertune.core.release import release_of
from infertune.core.render import number
from infertune.core.rollout import RolloutEvent
from infertune.core.snapshot import RawObject
from infertune.core.states.copies import copies_of_intent
from infertune.core.states.recovery import open_rollout
from infertune.core.story import Context, Outcome
from infertune.core.target_reference import target_of
from infertune.core.tuned_target import template_holds
from infertune.core.writes import AllWritten, LiveObjects, Write, foreign_bounds, next_write

ROLLOUT_WAIT_SECONDS = 2.0


def applying(context: Context) -> Outcome:
    """Return the next write forward, or the way back when it takes too long or a human says so."""
    rollout, live = _open(context)
    if live is None:
        return target_gone(context)
    if FINALIZER not in context.tuning.finalizers and not context.tuning.deleting:
        return Outcome(effects=(SetFinalizer(present=True),), requeue_seconds=0.0)
    turn = _turn_back(context, live)
    if turn is not None:
        return turn
    assert rollout.intent is not None
    step = next_write(context.key, context.spec, rollout.intent, live, back=False)
    if isinstance(step, Write):
        return _write_forward(context, rollout, live, step)
    if isinstance(step, AllWritten):
        return _applied(context, rollout, live)
    return Outcome(requeue_seconds=ROLLOUT_WAIT_SECONDS)


def rolling_back(context: Context) -> Outcome:
    """Return the next write back; at the end Halted, since a human has to look.

    Bounds that somebody else has set stay, and the template goes back all the same. Replicas that
    do not come up in time end the waiting, not the way back.
    """
    rollout, live = _open(context)
    if live is None:
        return target_gone(context)
    if FINALIZER not in context.tuning.finalizers and not context.tuning.deleting:
        return Outcome(effects=(SetFinalizer(present=True),), requeue_seconds=0.0)
    intent = rollout.intent
    assert intent is not None
    if conflict(context) and not _only_bounds(context):
        return halt("FieldTaken", "a declared field was taken while rolling back", rollout)
    if conflict(context):
        intent = intent.model_copy(update={"autoscaler_uid": None})
    seconds = watched_seconds(rollout, rollout.rollback_started_at, context.now)
    patient = seconds <= context.spec.rollout.apply_timeout_seconds
    step = next_write(context.key, context.spec, intent, live, back=True, patient=patient)
    if isinstance(step, Write):
        return _write(rollout, live, step, adopt=False)
    if not isinstance(step, AllWritten):
        return Outcome(requeue_seconds=ROLLOUT_WAIT_SECONDS)
    return _rolled_back(context, rollout, live, seconds)


def _rolled_back(
    context: Context, rollout: RolloutStatus, live: LiveObjects, seconds: float
) -> Outcome:
    intent = rollout.intent
    assert intent is not None
    why = rollout.evidence or "the rollout did not finish"
    words = f"rolled back in {number(seconds)} s: {why}"
    if not rollout_complete(live.target):
        words = f"the old values stand, replicas are still missing after {number(seconds)} s: {why}"
    reason = "Aborted" if rollout.rollback_event == "AbortRequested" else "RolledBack"
    observed = [
        Observation("Applied", "False", "RolledBack", words),
        Observation("Stalled", "True", reason, words),
    ]
    foreign = foreign_bounds(intent, live)
    if foreign is not None:
        text = f"{foreign.min_replicas}-{foreign.max_replicas}"
        left = f"replica bounds {text} were set by somebody else and left as they are"
        observed.append(Observation("FieldConflict", "True", "FieldTaken", left))
    rollout = rollout.model_copy(update={"rolled_back_at": context.now})
    return Outcome(
        changes=(("rollout", rollout),),
        event="RollbackComplete",
        observed=tuple(observed),
        effects=_nothing_kept(context, intent, live),
        told=(Event("Warning", "RolledBack", words),),
        decision=words,
        requeue_seconds=0.0,
    )


def _nothing_kept(
    context: Context, intent: RolloutIntent, live: LiveObjects
) -> tuple[ReleaseFields, ...]:
    """Return the release of both objects once the values before any tuning are back.

    Whoever owned the fields before meets no owner then. Earlier tuned values stay ours.
    """
    if intent.after_tuning:
        return ()
    kind, _ = target_of(context.spec, intent)
    found = [release_of(context.spec.target_ref.api_version, kind, live.target, context.key)]
    scaler = live.autoscaler
    if scaler is not None and scaler["metadata"]["uid"] == intent.autoscaler_uid:
        found.append(release_of(AUTOSCALER_API, AUTOSCALER_KIND, scaler, context.key))
    return tuple(found)


def begin_rollback(
    context: Context, rollout: RolloutStatus, event: RolloutEvent, why: str
) -> Outcome:
    """Return the outcome that records the way back; the writes follow in later ticks."""
    rollout = rollout.model_copy(
        update={
            "rollback_started_at": context.now,
            "rollback_event": event,
            "evidence": why[:1024],
            "seen_at": context.now,
            "idle_seconds": 0.0,
        }
    )
    return Outcome(
        changes=(("rollout", rollout),),
        event=event,
        told=(Event("Warning", "RollingBack", why),),
        decision=f"rolling back: {why}",
        evidence=(("rollout", rollout.model_dump(mode="json", exclude_none=True)),),
        requeue_seconds=0.0,
    )


def asked_to_turn_back(context: Context, rollout: RolloutStatus) -> Outcome | None:
    """Return the end of an open rollout that a human, a new spec or a deletion asks for."""
    if conflict(context) and _only_bounds(context) and _unjudged_template_stands(context):
        why = "the replica bounds were taken by somebody else before the change was verified"
        return begin_rollback(context, rollout, "BoundsTaken", why)
    if conflict(context):
        return halt("FieldTaken", "a declared field was taken; see FieldConflict", rollout)
    if context.tuning.deleting:
        return begin_rollback(context, rollout, "DeletionRequested", "the tuning is being deleted")
    if context.tuning.generation != context.status.observed_generation:
        return begin_rollback(context, rollout, "SpecChanged", "the spec changed during a rollout")
    return None


def target_gone(context: Context) -> Outcome:
    """Return the end of a rollout whose target is not there any more."""
    why = "the target vanished or was replaced during the rollout"
    return halt("TargetMissing", why, context.status.rollout)


def intent_lost(context: Context) -> Outcome:
    """Return the way back of a rollout whose intent somebody has removed from the status.

    The annotation on the target holds it too; without that one there is nothing to go back by.
    """
    found = open_rollout(context)
    if found is not None and found.event == "IntentFound":
        return found
    why = (
        "the rollout's intent is missing from the status; the annotation infertune.io/last-good "
        "on the target holds the values before it"
    )
    return halt("IntentLost", why, context.status.rollout)


def conflict(context: Context) -> bool:
    """Return whether an earlier write met a field that somebody else has taken."""
    return any(c.type == "FieldConflict" and c.status == "True" for c in context.status.conditions)


def _only_bounds(context: Context) -> bool:
    """Return whether the field that was taken is one of the autoscaler's bounds."""
    taken = next(c for c in context.status.conditions if c.type == "FieldConflict")
    return taken.message.startswith(("spec.minReplicas", "spec.maxReplicas"))


def _unjudged_template_stands(context: Context) -> bool:
    """Return whether the rollout has changed the template already."""
    rollout, target = context.status.rollout, context.snapshot.target
    if rollout is None or rollout.intent is None or target is None:
        return False
    intent = rollout.intent
    return intent.before != intent.after and template_holds(intent, target.raw, back=False)


def _open(context: Context) -> tuple[RolloutStatus, LiveObjects | None]:
    rollout, target = context.status.rollout, context.snapshot.target
    assert rollout is not None
    assert rollout.intent is not None
    if target is None or is_gone(target.raw, rollout.intent):
        return rollout, None
    return rollout, LiveObjects(target.raw, context.snapshot.autoscaler)


def is_gone(raw: RawObject, intent: RolloutIntent) -> bool:
    """Return whether the target of the intent was replaced, or is on its way out.

    One that is being deleted, alone or with its namespace, needs no way back.
    """
    metadata = raw["metadata"]
    return metadata["uid"] != intent.target_uid or "deletionTimestamp" in metadata


def _turn_back(context: Context, live: LiveObjects) -> Outcome | None:
    rollout = context.status.rollout
    assert rollout is not None
    reversal = asked_to_turn_back(context, rollout)
    if reversal is not None:
        return reversal
    stuck = rollout_stuck(live.target)
    waited = watched_seconds(rollout, rollout.started_at, context.now)
    limit = context.spec.rollout.apply_timeout_seconds
    if stuck is not None and waited > 2 * ROLLOUT_WAIT_SECONDS:
        return begin_rollback(context, rollout, "ApplyFailed", f"the rollout is stuck: {stuck}")
    if waited > limit:
        why = f"the rollout is not complete after {number(waited)} s, allowed are {limit} s"
        return begin_rollback(context, rollout, "ApplyFailed", why)
    return None


def _write(rollout: RolloutStatus, live: LiveObjects, step: Write, *, adopt: bool) -> Outcome:
    """Return the write with what it may take from others, and the note that it was made."""
    part = part_of(step.effect)
    raw = live.target if part == "Template" else live.autoscaler
    assert raw is not None
    changes: tuple[tuple[str, object], ...] = ()
    if part not in rollout.written:
        noted = rollout.model_copy(update={"written": (*rollout.written, part)})
        changes = (("rollout", noted),)
    return Outcome(
        changes=changes,
        effects=(guarded(step.effect, rollout, raw, adopt=adopt),),
        decision=step.sentence,
        requeue_seconds=ROLLOUT_WAIT_SECONDS,
    )


def _write_forward(
    context: Context, rollout: RolloutStatus, live: LiveObjects, step: Write
) -> Outcome:
    """Return the write; no template is written that refers to a ConfigMap which is not there."""
    adopt = context.spec.rollout.adoption == "Once"
    outcome = _write(rollout, live, step, adopt=adopt)
    if part_of(step.effect) != "Template" or rollout.intent is None:
        return outcome
    first = copies_of_intent(context, rollout.intent)
    if isinstance(first, str):
        return begin_rollback(context, rollout, "ApplyFailed", first)
    return replace(outcome, effects=(*first, *outcome.effects))


def _applied(context: Context, rollout: RolloutStatus, live: LiveObjects) -> Outcome:
    assert rollout.intent is not None
    command = restore_command(context.key, context.spec, rollout.intent, live.target)
    seconds = context.seconds_since(rollout.started_at)
    words = f"applied in {number(seconds)} s; verifying on live traffic"
    rollout = rollout.model_copy(update={"applied_at": context.now, "restore_command": command})
    return Outcome(
        changes=(("rollout", rollout),),
        event="RolloutComplete",
        observed=(
            Observation("Applied", "True", "RolledOut", f"{words}; to go back: {command}"),
            Observation("Verified", "Unknown", "Verifying", "waiting for enough live traffic"),
        ),
        told=(Event("Normal", "Applied", words),),
        decision=words,
        requeue_seconds=ROLLOUT_WAIT_SECONDS,
    )


def halt(
    event: RolloutEvent, why: str, rollout: RolloutStatus | None, *more: Observation
) -> Outcome:
    """Return the end of a rollout that somebody has to look at, with the way back by hand."""
    command = rollout.restore_command if rollout else None
    words = f"{why}; the values before: {command}" if command else why
    return Outcome(
        event=event,
        observed=(
            Observation("Stalled", "True", event, words),
            Observation("Applied", "Unknown", event, words),
            *more,
        ),
        told=(Event("Warning", event, why),),
        decision=f"halted: {why}",
        requeue_seconds=0.0,
    )
