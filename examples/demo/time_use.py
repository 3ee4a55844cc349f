"""Where the time between apply and Stable went.

Role: from the timestamps of a status to the share that was load. It must not know the wall clock.
Its trade-off: load after warm-up on a trial, and live traffic that was judged, count; starting
servers, warming up, rolling out and deciding do not, however needed they are.
"""

from dataclasses import dataclass
from datetime import datetime

from infertune.api.spec import TuningSpec
from infertune.api.status import TuningStatus

WANTED_SHARE_PERCENT = 70.0


@dataclass(frozen=True, slots=True)
class TimeUse:
    """Seconds from apply to Stable, and what part of them was load.

    `minimum_seconds` is what had to be load at least: every measured level of every trial, and the
    time that the verdict on live traffic was computed to need.
    """

    total_seconds: float
    minimum_seconds: float
    trial_load_seconds: float
    verify_seconds: float

    @property
    def load_seconds(self) -> float:
        """Seconds of load that was measured."""
        return self.trial_load_seconds + self.verify_seconds

    @property
    def share_percent(self) -> float | None:
        """Share of the total that was load; None when no time passed."""
        return 100.0 * self.load_seconds / self.total_seconds if self.total_seconds > 0 else None

    def sentence(self) -> str:
        """Return the account for people."""
        share = self.share_percent
        shown = "-" if share is None else f"{share:.0f} %"
        return (
            f"from apply to Stable {self.total_seconds:.0f} s; at least {self.minimum_seconds:.0f} "
            f"s of it had to be load, {self.load_seconds:.0f} s were (trials "
            f"{self.trial_load_seconds:.0f} s, live verification {self.verify_seconds:.0f} s): "
            f"{shown}, wanted {WANTED_SHARE_PERCENT:.0f} %"
        )


def time_use(spec: TuningSpec, status: TuningStatus, applied: datetime) -> TimeUse:
    """Return where the time went, from the moment the manifest was applied to `state_since`.

    Example: applied at 0 s, two trials with 3 and 2 measured levels of 10 s each, a rollout that
    was complete at 80 s, warm-up 5 s, a verdict at 115 s where 25 s were computed, Stable at 116 s:
    load is 50 + 30 s of 116 s (69 %), the minimum 50 + 25 s.
    """
    stable = status.state_since
    total = 0.0 if stable is None else (stable - applied).total_seconds()
    levels = sum(len(trial.levels) for trial in status.trials)
    rollout = status.rollout
    verify = needed = 0.0
    if rollout is not None:
        needed = rollout.verification_seconds or 0.0
        if rollout.applied_at is not None and rollout.verified_at is not None:
            judged = (rollout.verified_at - rollout.applied_at).total_seconds()
            verify = max(0.0, judged - spec.rollout.warmup_seconds)
    return TimeUse(
        total_seconds=total,
        minimum_seconds=levels * spec.trial.seconds_per_rate + needed,
        trial_load_seconds=sum(trial.load_seconds for trial in status.trials),
        verify_seconds=verify,
    )
