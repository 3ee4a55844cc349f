"""A resting tuning whose fields somebody else has taken, or given back, since.

Role: say who holds what, and how the user goes on; write nothing. Must not know: how the objects
were read. Trade-off: a value that is taken ends in Halted, since only a human knows whose value is
the right one; when the tuned value is put back, by whomever, the tuning is Stable again.
"""

from infertune.api.conditions import Observation
from infertune.api.status import RolloutStatus
from infertune.core.plan import Event
from infertune.core.standing import GivenBack, Held, Taken, still_ours
from infertune.core.story import Context, Outcome

FIELD_TAKEN = "FieldTaken"
RELEASED = "Released"
_NO_CONFLICT = "no declared field was taken"


def taken_back(context: Context) -> Outcome | None:
    """Return what follows when the fields of the last rollout changed hands; else None."""
    rollout, seen = context.status.rollout, context.snapshot.watched
    if seen is None or rollout is None or rollout.intent is None or not _stayed(rollout):
        return None
    match still_ours(rollout.intent, seen):
        case Taken() as taken:
            return _taken(context, taken)
        case GivenBack():
            return _settled(context, RELEASED, "ownership was given back; the tuned values stay")
        case Held():
            return _settled(context, "NoConflict", _NO_CONFLICT)
        case None:
            return None


def _stayed(rollout: RolloutStatus) -> bool:
    """Whether the rollout was judged, or kept without a verdict, and not turned back."""
    return rollout.verified_at is not None and rollout.rollback_started_at is None


def _taken(context: Context, taken: Taken) -> Outcome | None:
    owners = f" (owner: {', '.join(taken.owners)})" if taken.owners else ""
    change = (
        f"is no longer ours, with the tuned value {taken.value}"
        if taken.same
        else f"holds {taken.value} instead of {taken.wanted}"
    )
    words = f"{taken.where} {taken.path}{owners} {change}"
    ahead = (
        "it is left as it is. To keep it so, delete this tuning (all values stay) or set mode: "
        "Recommend; to tune it again, annotate infertune.io/retry or edit the spec: the field is "
        "then adopted anew"
    )
    news = _told(context) != words
    if not news and context.status.state == "Halted":
        return None
    return Outcome(
        event="FieldTaken",
        observed=(
            Observation("FieldConflict", "True", FIELD_TAKEN, f"{words}: {ahead}"),
            Observation("Applied", "False", FIELD_TAKEN, words),
            Observation("Stalled", "True", FIELD_TAKEN, words),
        ),
        told=(Event("Warning", FIELD_TAKEN, words),),
        decision=f"halted: {words}",
        requeue_seconds=0.0,
    )


def _settled(context: Context, reason: str, words: str) -> Outcome | None:
    """Return the end of a conflict, or the note that ownership was given back; None when known."""
    conditions = {c.type: c for c in context.status.conditions}
    conflict, stalled = conditions.get("FieldConflict"), conditions.get("Stalled")
    noted = Observation("FieldConflict", "False", reason, words)
    if context.status.state == "Stable":
        known = conflict is not None and (conflict.status, conflict.reason) == ("False", reason)
        return None if known else Outcome(observed=(noted,), decision=words, requeue_seconds=0.0)
    if stalled is None or (stalled.status, stalled.reason) != ("True", FIELD_TAKEN):
        return None
    back = "the tuned values stand again"
    return Outcome(
        event="FieldReturned",
        observed=(
            noted,
            Observation("Applied", "True", "RolledOut", back),
            Observation("Stalled", "False", "Progressing", back),
        ),
        told=(Event("Normal", "FieldReturned", back),),
        decision=back,
        requeue_seconds=0.0,
    )


def _told(context: Context) -> str:
    stalled = next((c for c in context.status.conditions if c.type == "Stalled"), None)
    return stalled.message if stalled is not None and stalled.reason == FIELD_TAKEN else ""
