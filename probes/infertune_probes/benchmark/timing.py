"""Repeats an operation until its time has settled, then measures it.

Pure but for the clock it is given. It must not know what it times. Settled means that three
medians in a row agree within 1 %; a cap on warm-up time ends the wait and the result says so.
Trade-off: medians and quartiles rather than mean and deviation, because a shared machine's times
have a long right tail; the mean is told beside them.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

GROUP = 3
AGREEMENT = 0.01
AGREEING_MEDIANS = 3
MIN_REPEATS = 5


@dataclass(frozen=True)
class Timing:
    """Median, quartiles and mean of one operation in seconds; `settled`: the warm-up converged."""

    repeats: int
    median_seconds: float
    q1_seconds: float
    q3_seconds: float
    mean_seconds: float
    settled: bool


def time_operation(
    operation: Callable[[], float | None],
    clock: Callable[[], float],
    warmup_seconds: float,
    measure_seconds: float,
) -> Timing:
    """Warm up, then repeat for `measure_seconds` and at least `MIN_REPEATS` times.

    The operation must be finished when it returns. It returns None, and is timed by the clock, or
    the seconds that its own clock counted (CUDA events, which leave the launch out).
    """

    def once() -> float:
        began = clock()
        own = operation()
        return clock() - began if own is None else own

    settled = _warm_up(once, clock, warmup_seconds)
    times: list[float] = []
    until = clock() + measure_seconds
    while len(times) < MIN_REPEATS or clock() < until:
        times.append(once())
    q1, median, q3 = statistics.quantiles(times, n=4, method="inclusive")
    return Timing(len(times), median, q1, q3, statistics.fmean(times), settled)


def _warm_up(once: Callable[[], float], clock: Callable[[], float], cap_seconds: float) -> bool:
    until = clock() + cap_seconds
    medians: list[float] = []
    while clock() < until:
        medians.append(statistics.median(once() for _ in range(GROUP)))
        if agree(medians[-AGREEING_MEDIANS:]):
            return True
    return False


def agree(medians: list[float]) -> bool:
    """Return whether three medians lie within 1 % of the smallest.

    Example: 1.000, 1.009, 1.002 agree; 1.000, 1.011, 1.002 do not.
    """
    if len(medians) < AGREEING_MEDIANS:
        return False
    return max(medians) - min(medians) <= AGREEMENT * min(medians)
