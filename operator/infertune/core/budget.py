"""What a tuning has spent, and whether it may spend more.

Role: arithmetic over trial records. Must not know: what a trial found. Trade-off: a trial server is
counted from the decision to the recorded result, start-up included, since its device was held.
"""

from datetime import datetime
from decimal import Decimal

from infertune.api.spec import TuningSpec
from infertune.api.status import Reading, Spent, TrialRecord, TuningStatus
from infertune.core.cost import declared_price, spent

_SECONDS_PER_HOUR = 3600.0
_DIGITS = 4


def spent_now(
    spec: TuningSpec,
    trials: tuple[TrialRecord, ...],
    now: datetime,
    since: datetime | None = None,
) -> Spent:
    """Return trials, replica-hours, wall clock and cost up to ``now``.

    The clock runs from the first trial, or from ``since`` where trials are older than that: those
    were taken over from before the spec changed.
    """
    starts = [trial.started_at for trial in trials if trial.started_at is not None]
    hours = sum(_seconds(trial, now) for trial in trials) / _SECONDS_PER_HOUR
    first = min(starts, default=now)
    clock = (now - (first if since is None else max(first, since))).total_seconds()
    hours = round(hours, _DIGITS)
    cost = Reading(reason="Missing: spec.cost declares no price")
    if spec.cost is not None:
        price = declared_price(spec.cost.replica_hourly, spec.cost.currency)
        money = spent(Decimal(str(hours)), price)
        cost = Reading(value=round(float(money), _DIGITS), unit=price.unit, samples=len(trials))
    return Spent(
        trials=len(trials), replica_hours=hours, wall_clock_seconds=round(clock, 1), cost=cost
    )


def exceeded(spec: TuningSpec, status: TuningStatus, now: datetime, gpus: int = 0) -> str | None:
    """Return which limit of the budget leaves no room for another trial, or None.

    ``gpus`` is how many devices one replica holds; without one, a replica counts as a device.
    """
    budget = spec.budget
    now_spent = spent_now(spec, status.trials, now, status.search_since)
    if now_spent.trials >= budget.max_trials:
        return f"{now_spent.trials} of {budget.max_trials} trials (spec.budget.maxTrials)"
    device_hours = now_spent.replica_hours * max(gpus, 1)
    if device_hours >= float(budget.gpu_hours):
        return f"{device_hours:g} of {budget.gpu_hours} hours (spec.budget.gpuHours)"
    if now_spent.wall_clock_seconds >= budget.wall_clock_seconds:
        seconds = budget.wall_clock_seconds
        return f"{now_spent.wall_clock_seconds:.0f} of {seconds} s (spec.budget.wallClockSeconds)"
    return None


def _seconds(trial: TrialRecord, now: datetime) -> float:
    if trial.started_at is None:
        return 0.0
    return max(0.0, ((trial.finished_at or now) - trial.started_at).total_seconds())
