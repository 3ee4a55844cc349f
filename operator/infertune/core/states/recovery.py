"""What the target remembers when the status does not.

Role: find an open rollout that only the target's annotation tells of and decide its way back; keep
our own values from being taken for a baseline. Must not know: how the annotation is written.
Trade-off: a rollout that nobody remembers judging goes back rather than on: the values before it
are known to have served, and the search that follows costs only time.
"""

from infertune.api.conditions import Observation
from infertune.api.status import Configuration, LiveFigures, Reading, RolloutIntent, RolloutStatus
from infertune.core.intents import restore_command
from infertune.core.last_good import LastGood, is_older_format
from infertune.core.plan import Event
from infertune.core.resolve import Resolved
from infertune.core.snapshot import RawObject
from infertune.core.story import Context, Outcome
from infertune.core.tuned_target import records_on, standing, tuned_record
from infertune.core.writes import AllWritten, LiveObjects, next_write

LOOK_AGAIN_SECONDS = 15.0


def open_rollout(context: Context) -> Outcome | None:
    """Return what follows from an open rollout on the target that the status knows nothing of.

    Ours: it is rolled back. Of another tuning: this one waits. None: there is none, or its values
    were changed since by somebody, who then owns them.
    """
    target, autoscaler = context.snapshot.target, context.snapshot.autoscaler
    if target is None:
        return None
    for record in records_on(target.raw, autoscaler):
        if record.state != "Open" or standing(record.intent, target.raw, autoscaler) == "other":
            continue
        if not _is_ours(context, record):
            return _held_by_another(record)
        intent = _here(record.intent, context)
        live = LiveObjects(target.raw, autoscaler)
        step = next_write(context.key, context.spec, intent, live, back=True, patient=False)
        if not isinstance(step, AllWritten):
            return _back(context, intent, target.raw)
    return None


def baseline_configuration(context: Context, resolved: Resolved) -> Configuration | None:
    """Return the settings before any tuning: what stands, unless a tuning wrote it."""
    record = _tuned(context)
    if record is not None:
        return record.baseline
    target = context.snapshot.target
    if target is not None and is_older_format(target.raw):
        return None
    return resolved.configuration


def baseline_figures(context: Context, figures: LiveFigures) -> LiveFigures:
    """Return live traffic as the one before any change; what tuned values served is not that.

    The request rate is the traffic's own and stays.
    """
    record, target = _tuned(context), context.snapshot.target
    if record is None and not (target is not None and is_older_format(target.raw)):
        return figures
    words = "AlreadyTuned: the target runs values that a tuning wrote"
    missing = Reading(reason=words if record is None else f"{words} (rollout {record.intent.id})")
    untrue = [
        name
        for name in LiveFigures.model_fields
        if name != "request_rate" and isinstance(getattr(figures, name), Reading)
    ]
    return figures.model_copy(update={**dict.fromkeys(untrue, missing), "uneven": None})


def runs_tuned_values(context: Context) -> bool:
    """Whether what stands on the target was written by a tuning."""
    return _tuned(context) is not None


def _tuned(context: Context) -> LastGood | None:
    target = context.snapshot.target
    return None if target is None else tuned_record(target.raw, context.snapshot.autoscaler)


def _is_ours(context: Context, record: LastGood) -> bool:
    """Names are unique: a record of this name is of this tuning, or of one that it replaced."""
    intent = record.intent
    return intent.tuning_uid == context.tuning.uid or intent.tuning_name == context.key.name


def _here(intent: RolloutIntent, context: Context) -> RolloutIntent:
    """Return the intent for the objects as they are: a backup restores them with other UIDs."""
    target, autoscaler = context.snapshot.target, context.snapshot.autoscaler
    assert target is not None
    uids = {"target_uid": str(target.raw["metadata"]["uid"])}
    same = autoscaler is not None and autoscaler["metadata"]["name"] == intent.autoscaler
    if autoscaler is not None and same and intent.bounds_before is not None:
        uids["autoscaler_uid"] = str(autoscaler["metadata"]["uid"])
    return intent.model_copy(update=uids)


def _back(context: Context, intent: RolloutIntent, target: RawObject) -> Outcome:
    why = (
        f"the rollout {intent.id} was open on the target and is not in the status: "
        "it was never judged, so the values before it come back"
    )
    rollout = RolloutStatus(
        intent=intent,
        rollback_started_at=context.now,
        rollback_event="IntentFound",
        seen_at=context.now,
        evidence=why,
        restore_command=restore_command(context.key, context.spec, intent, target),
    )
    changes: list[tuple[str, object]] = [("rollout", rollout)]
    if context.status.state == "Pending" and context.tuning.wishes.abort is None:
        # Whoever lost the status did not ask for an end: once all is back, the tuning starts anew.
        changes.append(("observed_generation", 0))
    return Outcome(
        changes=tuple(changes),
        event="IntentFound",
        observed=(Observation("Applied", "False", "IntentFound", why),),
        told=(Event("Warning", "IntentFound", why),),
        decision=f"rolling back: {why}",
        requeue_seconds=0.0,
    )


def _held_by_another(record: LastGood) -> Outcome:
    name = record.intent.tuning_name
    words = (
        f"the target carries an open rollout of InferenceTuning {name!r}: this one waits until it "
        f"is over; where that tuning is gone, `infertune release` clears the target"
    )
    return Outcome(
        event="TargetMissing",
        observed=(Observation("TargetAvailable", "False", "OtherRolloutOpen", words),),
        requeue_seconds=LOOK_AGAIN_SECONDS,
    )
