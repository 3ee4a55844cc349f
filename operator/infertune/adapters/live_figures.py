"""From increments to live figures.

Role: what Prometheus counted becomes ``LiveEvidence``. Must not know: connections, PromQL, the
verdict. Trade-off: failed requests rank as the slowest of all, since a promise about latency that
ignores failures is kept best by a server that answers nothing.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from infertune.core.evidence import (
    Evidence,
    Measured,
    NoData,
    SloBound,
    histogram_percentile,
    over_slo_fraction,
    slo_within_buckets,
)
from infertune.core.snapshot import BlockSample, LiveEvidence, PodShare

_COUNTED = "counted, not estimated"


@dataclass(frozen=True, slots=True)
class Counted:
    """Requests of one window. ``good_by_bound`` is cumulative and speaks of good requests only."""

    good_by_bound: Mapping[float, float]
    total: float
    failed: float
    seconds: float
    shares: tuple[PodShare, ...] = ()


@dataclass(frozen=True, slots=True)
class Usage:
    """What the pods used."""

    cpu_cores: Evidence
    memory_bytes: Evidence


def live_evidence(
    counted: Counted,
    slo_milliseconds: float,
    usage: Usage,
    blocks: tuple[BlockSample, ...],
    pods: int,
    observed_at: datetime,
) -> LiveEvidence:
    """Return the figures of one window; ``good_by_bound`` has bounds in milliseconds."""
    bounds, cumulative = _all_requests(counted)
    seconds = counted.seconds
    promise = bound_for(bounds, slo_milliseconds)

    def percentile(which: int) -> Evidence:
        found = histogram_percentile(bounds, cumulative, which, seconds)
        if isinstance(found, NoData) and found.reason == "OutsideBuckets" and counted.failed > 0:
            share = 100 * counted.failed / counted.total
            words = f"{found.detail}: {share:.3g} % of requests failed, which ranks slowest"
            return NoData("OutsideBuckets", words)
        return found

    return LiveEvidence(
        p50=percentile(50),
        p95=percentile(95),
        p99=percentile(99),
        request_rate=_rate(counted),
        error_percent=_error_percent(counted),
        over_slo_percent=_over(bounds, cumulative, slo_milliseconds, seconds),
        cpu_cores=usage.cpu_cores,
        memory_bytes=usage.memory_bytes,
        blocks=blocks,
        pods=pods,
        observed_at=observed_at,
        promise_bound=None if isinstance(promise, NoData) else promise,
        shares=counted.shares,
        share_seconds=seconds,
    )


def bound_for(bounds: Sequence[float], slo_milliseconds: float) -> SloBound | NoData:
    """Return the bucket bound that stands for the promise; it must lie within the buckets."""
    bound = slo_within_buckets(bounds, slo_milliseconds)
    if isinstance(bound, NoData):
        return bound
    if math.isinf(bound.above_ms) or bound.below_ms <= 0:
        finite = [edge for edge in bounds if math.isfinite(edge)]
        return NoData(
            "OutsideBuckets",
            f"the promise of {slo_milliseconds:g} ms lies outside the histogram's bounds "
            f"{min(finite):g}..{max(finite):g} ms, so live traffic cannot be judged by it: correct "
            f"unit or slo.latencyMilliseconds, or give the histogram a bound near it",
        )
    return bound


def _all_requests(counted: Counted) -> tuple[list[float], list[float]]:
    """Return bounds and cumulative counts in which failures stand in the last bucket.

    The buckets come from extrapolated increases, the totals from raw scrapes: the buckets are
    scaled to the raw count, which leaves their shape as it is.
    """
    by_bound = dict(counted.good_by_bound) or {math.inf: 0.0}
    by_bound.setdefault(math.inf, max(by_bound.values()))
    bounds = sorted(by_bound)
    good = max(counted.total - counted.failed, 0.0)
    scale = good / by_bound[math.inf] if by_bound[math.inf] > 0 else 0.0
    cumulative = [by_bound[bound] * scale for bound in bounds]
    cumulative[-1] = max(counted.total, *cumulative)
    return bounds, cumulative


def _rate(counted: Counted) -> Evidence:
    if counted.seconds <= 0:
        return NoData("TooFew", "no time between the first and the last scrape")
    rate = counted.total / counted.seconds
    return Measured(
        rate, "requests/s", round(counted.total), counted.seconds, no_interval_reason=_COUNTED
    )


def _error_percent(counted: Counted) -> Evidence:
    if counted.total <= 0:
        return NoData("TooFew", "no request in the window")
    percent = 100 * counted.failed / counted.total
    return Measured(
        percent, "percent", round(counted.total), counted.seconds, no_interval_reason=_COUNTED
    )


def _over(
    bounds: Sequence[float], cumulative: Sequence[float], slo_milliseconds: float, seconds: float
) -> Evidence:
    bound = bound_for(bounds, slo_milliseconds)
    if isinstance(bound, NoData):
        return bound
    fraction = over_slo_fraction(bounds, cumulative, slo_milliseconds, seconds)
    if isinstance(fraction, NoData):
        return fraction
    interval = fraction.interval
    if interval is not None:
        interval = replace(interval, low=interval.low * 100, high=interval.high * 100)
    return replace(fraction, value=fraction.value * 100, unit="percent", interval=interval)
