"""Which part of an open rollout's time the operator was there to see.

Role: note each look at an open rollout, and leave the time in which nobody looked out of deadlines.
Must not know: what the deadlines are for. Trade-off: a look is noted at most every few seconds, so
a gap is known to within that; noting each would be a status write every two seconds.
"""

from datetime import datetime

from infertune.api.status import RolloutStatus

NOTED_EVERY_SECONDS = 15.0
LONGEST_GAP_SECONDS = 60.0


def looked_at(rollout: RolloutStatus, now: datetime) -> RolloutStatus:
    """Return the rollout with this look noted: a long gap before it counts as idle.

    An operator that was down or suspended for an hour comes back to the deadline that it left; so
    does one whose clock jumped ahead.
    """
    if rollout.seen_at is None:
        return rollout.model_copy(update={"seen_at": now})
    gap = (now - rollout.seen_at).total_seconds()
    if gap > LONGEST_GAP_SECONDS:
        idle = round(rollout.idle_seconds + gap, 1)
        return rollout.model_copy(update={"seen_at": now, "idle_seconds": idle})
    return rollout.model_copy(update={"seen_at": now}) if gap >= NOTED_EVERY_SECONDS else rollout


def watched_seconds(rollout: RolloutStatus, since: datetime | None, now: datetime) -> float:
    """Return the seconds since a moment of this rollout in which somebody looked at it."""
    if since is None:
        return 0.0
    return max(0.0, (now - since).total_seconds() - rollout.idle_seconds)
