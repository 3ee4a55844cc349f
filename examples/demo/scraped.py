"""What Prometheus saw: raw samples of the server's counters, put together over one window.

Role: the JSON of a range selector in, figures of one window out. It must not know how Prometheus
is reached. Its trade-off: increments are taken between the first and the last scrape inside the
window and nothing is extrapolated, so the covered time is a scrape or two shorter than the window,
and the figures are exactly what was counted.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from demo.client_windows import Traffic, share_percent
from infertune.api.status import Reading
from infertune.core.evidence import Evidence, NoData, histogram_percentile, over_slo_fraction
from infertune.core.render import reading
from infertune.core.scrapes import counter_deltas

MILLISECONDS = 1000.0
GOOD_CODE = "200"


@dataclass(frozen=True, slots=True)
class Series:
    """One series: its labels and its (unix seconds, value) samples."""

    labels: Mapping[str, str]
    samples: tuple[tuple[float, float], ...]

    @property
    def seconds(self) -> float:
        """Time between the first and the last scrape."""
        return self.samples[-1][0] - self.samples[0][0] if self.samples else 0.0


@dataclass(frozen=True, slots=True)
class Scrapes:
    """The raw series that stand behind the figures of one window."""

    buckets: tuple[Series, ...]
    requests: tuple[Series, ...]
    cpu: tuple[Series, ...]
    memory: tuple[Series, ...]


@dataclass(frozen=True, slots=True)
class Resources:
    """What the pods used together."""

    cpu_cores: Reading
    memory_mebibytes: Reading


def parse_matrix(answer: Mapping[str, Any]) -> tuple[Series, ...]:
    """Return the series of a Prometheus answer of type matrix.

    Raises:
        ValueError: The answer is an error or of another type.
    """
    content = answer.get("data", {})
    if answer.get("status") != "success" or content.get("resultType") != "matrix":
        message = f"Prometheus answered {answer.get('error') or content.get('resultType')!r}"
        raise ValueError(message)
    return tuple(
        Series(one["metric"], tuple((float(at), float(value)) for at, value in one["values"]))
        for one in content["result"]
    )


def prometheus_traffic(scrapes: Scrapes, slo_ms: float) -> Traffic:
    """Return what the server counted: percentiles of good answers, failures as a share."""
    seconds = covered_seconds(scrapes.requests)
    good = tuple(one for one in scrapes.buckets if one.labels.get("code", GOOD_CODE) == GOOD_CODE)
    bounds, counts = cumulative_increase(good)
    codes = increase_by(scrapes.requests, "code")
    total = sum(codes.values())
    answered = codes.get(GOOD_CODE, 0.0)
    failed = total - answered
    over = over_slo_fraction(bounds, counts, slo_ms, seconds)
    return Traffic(
        p50=reading(histogram_percentile(bounds, counts, 50, seconds)),
        p95=reading(histogram_percentile(bounds, counts, 95, seconds)),
        p99=reading(histogram_percentile(bounds, counts, 99, seconds)),
        over_promise_percent=_over_percent(over, answered, failed, seconds),
        achieved_rate=_rate(scrapes.requests),
        error_percent=share_percent(failed, total, seconds),
        offered_rate=None,
        errors=tuple(
            (f"status_{code}", round(count))
            for code, count in sorted(codes.items())
            if code != GOOD_CODE and count > 0
        ),
    )


def resources(scrapes: Scrapes) -> Resources:
    """Return CPU as the mean over the window and memory as its mean, summed over the pods."""
    return Resources(_cpu(scrapes.cpu), _memory(scrapes.memory))


def covered_seconds(series: Iterable[Series]) -> float:
    """Return the time between first and last scrape, of the series that covers most."""
    return max((one.seconds for one in series), default=0.0)


def summed_rate(series: Iterable[Series]) -> float | None:
    """Return the sum of the rates of counters, each over the time that it covers itself.

    Pods are scraped at different moments: over the time that all of them cover together every
    counter would seem slower than it was. None when no counter was scraped twice.
    """
    rates = [
        sum(step.value for step in counter_deltas(one.samples)) / one.seconds
        for one in series
        if one.seconds > 0
    ]
    return math.fsum(rates) if rates else None


def increase_by(series: Iterable[Series], label: str) -> dict[str, float]:
    """Return the increase of counters summed by one label; resets count from zero."""
    totals: dict[str, float] = {}
    for one in series:
        name = one.labels.get(label, "")
        rise = sum(step.value for step in counter_deltas(one.samples))
        totals[name] = totals.get(name, 0.0) + rise
    return totals


def cumulative_increase(buckets: Iterable[Series]) -> tuple[list[float], list[float]]:
    """Return bucket bounds in milliseconds, rising, and the increase of each, over all pods."""
    by_bound = {
        float(bound) * MILLISECONDS: rise for bound, rise in increase_by(buckets, "le").items()
    }
    bounds = sorted(by_bound)
    return bounds, [by_bound[bound] for bound in bounds]


def _over_percent(over: Evidence, answered: float, failed: float, seconds: float) -> Reading:
    if isinstance(over, NoData) and failed <= 0:
        return reading(over)
    slow = 0.0 if isinstance(over, NoData) else over.value * answered
    return share_percent(slow + failed, answered + failed, seconds)


def _rate(requests: Sequence[Series]) -> Reading:
    answered = tuple(one for one in requests if one.labels.get("code", GOOD_CODE) == GOOD_CODE)
    rate = summed_rate(answered)
    if rate is None:
        return Reading(unit="req/s", reason="Missing: fewer than two scrapes in the window")
    count = round(sum(increase_by(answered, "code").values()))
    seconds = covered_seconds(answered)
    return Reading(value=round(rate, 3), unit="req/s", samples=count, window_seconds=seconds)


def _cpu(series: Sequence[Series]) -> Reading:
    used = summed_rate(series)
    if used is None:
        return Reading(unit="cores", reason="Missing: fewer than two scrapes in the window")
    seconds = covered_seconds(series)
    return Reading(
        value=round(used, 4), unit="cores", samples=_scrapes(series), window_seconds=seconds
    )


def _memory(series: Sequence[Series]) -> Reading:
    means = [
        math.fsum(value for _, value in one.samples) / len(one.samples)
        for one in series
        if one.samples
    ]
    if not means:
        return Reading(unit="MiB", reason="Missing: no scrape in the window")
    value = round(math.fsum(means) / 1024 / 1024, 1)
    seconds = covered_seconds(series)
    return Reading(value=value, unit="MiB", samples=_scrapes(series), window_seconds=seconds)


def _scrapes(series: Sequence[Series]) -> int:
    return sum(len(one.samples) for one in series)
