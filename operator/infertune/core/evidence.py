"""Measurements become evidence, or a typed reason why there is none.

Role: the value types that every judgement takes, and the statistics that make them out of
histograms and batches. Must not know: thresholds of a promise, where a series comes from.
Trade-off: a figure without an interval is allowed, but it must say why; an interval that the data
cannot carry (too few batches, correlated batches) is refused instead of printed too narrow.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, stdev
from typing import Literal, TypeAlias

NoDataReason = Literal[
    "Missing",
    "Stale",
    "TooFew",
    "CannotAttribute",
    "Invalid",
    "OutsideBuckets",
    "Unavailable",
    "NotPrometheus",
    "Untrusted",
    "Unauthorized",
    "URLNotAllowed",
]

MIN_BATCHES = 8
MAX_LAG1_CORRELATION = 0.3
# Prometheus sums float buckets of several series, so a later bucket can be a hair below.
_CUMULATIVE_SLACK = 1e-6
_REQUESTS_BEYOND_PERCENTILE = 5
_SMALLEST_SPREAD = 1e-12


@dataclass(frozen=True, slots=True)
class Interval:
    """A confidence interval; ``level`` is a fraction such as 0.95.

    ``level`` 1.0 marks bounds that are certain and not statistical: the edges of the histogram
    bucket that holds the value.
    """

    low: float
    high: float
    level: float


@dataclass(frozen=True, slots=True)
class Measured:
    """A measured value. ``interval`` is None only together with ``no_interval_reason``."""

    value: float
    unit: str
    n: int
    window_seconds: float
    interval: Interval | None = None
    no_interval_reason: str | None = None


@dataclass(frozen=True, slots=True)
class NoData:
    """There is no value, and this is why. Never read as zero."""

    reason: NoDataReason
    detail: str


@dataclass(frozen=True, slots=True)
class NoInterval:
    """There is no honest interval for a value that itself is measured, and this is why."""

    reason: str


Evidence: TypeAlias = Measured | NoData


def min_requests_for(percentile: int) -> int:
    """Return how many requests a percentile needs before it is worth a figure.

    At least five requests must lie beyond it: 100 for P95, 500 for P99, 10 for P50.
    """
    return math.ceil(_REQUESTS_BEYOND_PERCENTILE * 100 / (100 - percentile))


def histogram_percentile(
    bounds_ms: Sequence[float],
    cumulative: Sequence[float],
    percentile: int,
    window_seconds: float,
    min_requests: int | None = None,
) -> Evidence:
    """Return a percentile out of the increments of a classic Prometheus histogram.

    Linear interpolation inside the bucket, as ``histogram_quantile`` does; the lowest bucket
    starts at zero. The interval is the bucket itself, with level 1.0: the percentile of the
    counted requests certainly lies there, whatever the sampling error is.

    Args:
        bounds_ms: Upper bounds in milliseconds, rising, the last one infinite.
        cumulative: Increment of each cumulative bucket over the window.
        percentile: Between 1 and 99.
        window_seconds: Length of the window, carried along.
        min_requests: Fewer requests give NoData TooFew; default ``min_requests_for``.

    Returns:
        Measured in ms, or NoData: Invalid for a malformed histogram, TooFew, or OutsideBuckets
        when the percentile lies above the highest finite bound.
    """
    counts = _checked_counts(bounds_ms, cumulative)
    if isinstance(counts, NoData):
        return counts
    total = counts[-1]
    needed = min_requests_for(percentile) if min_requests is None else min_requests
    if total <= 0 or total < needed:
        return NoData("TooFew", f"{total:.0f} requests, P{percentile} needs {max(needed, 1)}")
    rank = total * percentile / 100
    index = next(i for i, count in enumerate(counts) if count >= rank)
    low = 0.0 if index == 0 else bounds_ms[index - 1]
    high = bounds_ms[index]
    if math.isinf(high):
        return NoData("OutsideBuckets", f"P{percentile} is above the last bound, {low:g} ms")
    below = 0.0 if index == 0 else counts[index - 1]
    value = low + (high - low) * (rank - below) / (counts[index] - below)
    return Measured(value, "ms", round(total), window_seconds, Interval(low, high, 1.0))


@dataclass(frozen=True, slots=True)
class SloBound:
    """The bucket bound that stands in for an SLO that may lie between two bounds.

    ``bound_ms`` is the highest finite bound that is not above it, which counts too many requests
    as slow and never too few: a Pass there is a Pass; the lowest bound where all are above it.
    ``below_ms`` and ``above_ms`` enclose the SLO; they are equal when it is a bound itself, and
    ``above_ms`` is infinite past the last finite bound.
    """

    bound_ms: float
    below_ms: float
    above_ms: float
    error_ms: float

    @property
    def exact(self) -> bool:
        """Whether the SLO is a bound itself."""
        return self.error_ms == 0


def slo_within_buckets(bounds_ms: Sequence[float], slo_ms: float) -> SloBound | NoData:
    """Return the bucket bound that stands in for the SLO and how far off it is, in milliseconds.

    Whether the error is tolerable is for the caller to judge. NoData Invalid for bounds that do
    not rise or hold NaN, OutsideBuckets when there is no finite bound at all.
    """
    bounds = list(bounds_ms)
    if not _rising(bounds) or not (math.isfinite(slo_ms) and slo_ms > 0):
        return NoData("Invalid", "bucket bounds do not rise, or the SLO is not a positive number")
    finite = [bound for bound in bounds if math.isfinite(bound)]
    if not finite:
        return NoData("OutsideBuckets", "the histogram has no finite bucket bound")
    below = max((bound for bound in finite if bound <= slo_ms), default=0.0)
    above = min((bound for bound in finite if bound >= slo_ms), default=math.inf)
    used = below if below > 0 else finite[0]
    return SloBound(used, below, above, abs(used - slo_ms))


def over_slo_fraction(
    bounds_ms: Sequence[float], cumulative: Sequence[float], slo_ms: float, window_seconds: float
) -> Evidence:
    """Return which fraction of requests was slower than the SLO, by the bound that stands for it.

    The interval comes from the two bounds that enclose the SLO (level 1.0): the true fraction of
    the counted requests lies between them. NoData as for ``slo_within_buckets``, TooFew when
    nothing was counted.
    """
    counts = _checked_counts(bounds_ms, cumulative)
    if isinstance(counts, NoData):
        return counts
    bound = slo_within_buckets(bounds_ms, slo_ms)
    if isinstance(bound, NoData):
        return bound
    total = counts[-1]
    if total <= 0:
        return NoData("TooFew", "no request in the window")
    at = dict(zip(bounds_ms, counts, strict=True))
    within = {edge: at.get(edge, 0.0 if edge <= 0 else total) for edge in _edges(bound)}
    low, high = 1 - within[bound.above_ms] / total, 1 - within[bound.below_ms] / total
    value = 1 - within[bound.bound_ms] / total
    return Measured(value, "fraction", round(total), window_seconds, Interval(low, high, 1.0))


def batch_interval(values: Sequence[float], level: float = 0.95) -> Interval | NoInterval:
    """Return the Student-t interval of a mean of batch statistics, or why there is none.

    Method of batch means: ``values`` are one statistic per batch (P95 of a twentieth of the
    window each, say), in time order. Refused under eight batches, when the lag-1 correlation is
    above 0.3 (the interval would be far too narrow: it covers 0.31 instead of 0.95 at load 0.9
    with 4,000 requests), for values that are not finite, and when all batches are equal, where a
    width of zero would claim a certainty that rounding has made.
    """
    if len(values) < MIN_BATCHES:
        return NoInterval(f"{len(values)} batches, an interval needs {MIN_BATCHES}")
    if not all(math.isfinite(value) for value in values):
        return NoInterval("a batch has no finite value")
    mean, spread = fmean(values), stdev(values)
    if spread <= _SMALLEST_SPREAD * max(1.0, abs(mean)):
        return NoInterval("all batches are equal")
    correlation = lag1_correlation(values)
    if correlation > MAX_LAG1_CORRELATION:
        return NoInterval(
            f"batches are correlated (lag 1: {correlation:.2f} > {MAX_LAG1_CORRELATION})"
        )
    half = student_t(level, len(values) - 1) * spread / math.sqrt(len(values))
    return Interval(mean - half, mean + half, level)


def measured_from_batches(
    value: float, unit: str, n: int, window_seconds: float, batches: Sequence[float]
) -> Evidence:
    """Return a measured value with the interval that its batches give, or the reason for none.

    The interval is that of the mean of the batch values, widened where needed so that it holds
    ``value``: the percentile of all requests and the mean of batch percentiles differ a little.
    A value that is not finite is NoData Invalid.
    """
    if not math.isfinite(value):
        return NoData("Invalid", f"{value} is not a measurement")
    interval = batch_interval(batches)
    if isinstance(interval, NoInterval):
        return Measured(value, unit, n, window_seconds, None, interval.reason)
    low, high = min(interval.low, value), max(interval.high, value)
    return Measured(value, unit, n, window_seconds, Interval(low, high, interval.level))


def lag1_correlation(values: Sequence[float]) -> float:
    """Return the lag-1 autocorrelation of a series; 0 for one without spread or of one value."""
    if not values:
        return 0.0
    mean = fmean(values)
    total = sum((value - mean) ** 2 for value in values)
    if total <= 0:
        return 0.0
    return sum((a - mean) * (b - mean) for a, b in pairwise(values)) / total


def student_t(level: float, degrees: int) -> float:
    """Return t so that Student's t stays within -t..t with probability ``level``.

    By bisection of the exact distribution for whole degrees of freedom (Abramowitz and Stegun,
    26.7.3 and 26.7.4), to 1e-10. ``level`` lies within 0..0.9999, ``degrees`` is at least 1.
    """
    low, high = 0.0, 1e5
    while high - low > 1e-10 * (1 + low):
        middle = (low + high) / 2
        if _student_within(middle, degrees) < level:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _student_within(t: float, degrees: int) -> float:
    theta = math.atan(t / math.sqrt(degrees))
    sine, cosine = math.sin(theta), math.cos(theta)
    odd = degrees % 2
    term = cosine if odd else 1.0
    total = 0.0
    for step in range(2 + odd, degrees + 1, 2):
        total += term
        term *= cosine * cosine * (step - 1) / step
    if odd:
        return 2 / math.pi * (theta + sine * total)
    return sine * total


def _checked_counts(
    bounds_ms: Sequence[float], cumulative: Sequence[float]
) -> tuple[float, ...] | NoData:
    """Return the cumulative counts made monotone, or NoData when this is no histogram."""
    if len(bounds_ms) != len(cumulative) or not bounds_ms or not math.isinf(bounds_ms[-1]):
        return NoData("Invalid", "a histogram needs one count per bound and a last bound of +Inf")
    if not _rising(bounds_ms) or bounds_ms[0] <= 0:
        return NoData("Invalid", "bucket bounds must be positive and rise")
    if not all(math.isfinite(count) and count >= 0 for count in cumulative):
        return NoData("Invalid", "a bucket count is not a finite number of requests")
    slack = _CUMULATIVE_SLACK * max(cumulative)
    if any(later < earlier - slack for earlier, later in pairwise(cumulative)):
        return NoData("Invalid", "cumulative buckets fall: they are not of one histogram")
    counts: list[float] = []
    for count in cumulative:
        counts.append(max(count, counts[-1]) if counts else count)
    return tuple(counts)


def _rising(bounds: Sequence[float]) -> bool:
    finite_or_inf = all(not math.isnan(bound) for bound in bounds)
    return finite_or_inf and all(a < b for a, b in pairwise(bounds))


def _edges(bound: SloBound) -> tuple[float, float, float]:
    return bound.bound_ms, bound.below_ms, bound.above_ms
