"""A model of a batching server: service time, event simulation, predicted percentiles.

Role: what a server with a given service time s(b) = tau0 + alpha * b would do under load. Must not
know: trials, Jobs, the promise. Trade-off: one worker takes all that waits, up to the cap, with
Poisson arrivals; real arrivals can be far burstier, so a prediction chooses what to measure and
never replaces the measurement.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from infertune.core.evidence import NoData

_MASK = (1 << 64) - 1
_LCG_FACTOR = 6364136223846793005
_LCG_STEP = 1442695040888963407
_WARMUP_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class ServiceTime:
    """Milliseconds that a batch of ``b`` requests takes: ``tau0_ms + alpha_ms * b``."""

    tau0_ms: float
    alpha_ms: float

    def of(self, batch: float) -> float:
        """Return the service time of one batch, in milliseconds."""
        return self.tau0_ms + self.alpha_ms * batch

    def capacity(self, cap: int) -> float:
        """Return the highest rate a server with this cap could ever answer, in requests/s."""
        return cap / self.of(cap) * 1000


@dataclass(frozen=True, slots=True)
class Prediction:
    """Latencies of a simulated run after its warm-up, in milliseconds, rising."""

    latencies_ms: tuple[float, ...]
    mean_ms: float

    def percentile(self, percentile: int) -> float:
        """Return a percentile by nearest rank."""
        rank = math.ceil(len(self.latencies_ms) * percentile / 100)
        return self.latencies_ms[max(rank, 1) - 1]

    def over(self, slo_ms: float) -> float:
        """Return the fraction of requests slower than ``slo_ms``."""
        return sum(latency > slo_ms for latency in self.latencies_ms) / len(self.latencies_ms)


def fit_service_time(points: Sequence[tuple[int, float]]) -> ServiceTime | NoData:
    """Fit ``tau0 + alpha * b`` to measured (batch, milliseconds) by least squares.

    Errors count relative to the measured time, since a timing is off by percents and not by
    milliseconds. Neither part is negative: where the free fit says so, the other part alone is
    fitted. NoData TooFew under two different batch sizes, Invalid for a time that is not positive.
    """
    if any(batch < 1 or not (math.isfinite(ms) and ms > 0) for batch, ms in points):
        return NoData("Invalid", "a service time must be positive, for a batch of at least 1")
    if len({batch for batch, _ in points}) <= 1:
        return NoData("TooFew", "a line needs two different batch sizes")
    weights = [1 / ms**2 for _, ms in points]
    total = sum(weights)
    mean_b = sum(w * b for w, (b, _) in zip(weights, points, strict=True)) / total
    mean_s = sum(w * s for w, (_, s) in zip(weights, points, strict=True)) / total
    spread = sum(w * (b - mean_b) ** 2 for w, (b, _) in zip(weights, points, strict=True))
    shared = sum(w * (b - mean_b) * (s - mean_s) for w, (b, s) in zip(weights, points, strict=True))
    alpha = shared / spread
    tau0 = mean_s - alpha * mean_b
    if alpha < 0:
        return ServiceTime(mean_s, 0.0)
    if tau0 < 0:
        squares = sum(w * b * b for w, (b, _) in zip(weights, points, strict=True))
        crossed = sum(w * b * s for w, (b, s) in zip(weights, points, strict=True))
        return ServiceTime(0.0, crossed / squares)
    return ServiceTime(tau0, alpha)


def simulate(
    service: ServiceTime, cap: int, rate: float, requests: int = 20_000, seed: int = 1
) -> Prediction:
    """Simulate a server that, when free, takes all waiting requests up to ``cap`` as one batch.

    Poisson arrivals of ``rate`` requests per second; no wait for fuller batches, since that never
    lowers a percentile of a single work-conserving worker. All of a batch leave together. The
    first tenth is dropped as warm-up. Beyond capacity the run still ends; its latencies then only
    say that the queue grows. 20,000 requests take about 15 ms.
    """
    left = latencies_in_order(service, cap, rate, requests, seed)
    kept = left[int(requests * _WARMUP_SHARE) :]
    return Prediction(tuple(sorted(kept)), sum(kept) / len(kept))


def latencies_in_order(
    service: ServiceTime, cap: int, rate: float, requests: int, seed: int
) -> tuple[float, ...]:
    """Return the latency of each simulated request in order of arrival, warm-up included."""
    arrivals = tuple(_poisson_ms(rate, requests, seed))
    left: list[float] = []
    free_at, first = 0.0, 0
    while first < requests:
        start = max(free_at, arrivals[first])
        last = first + 1
        while last < requests and last - first < cap and arrivals[last] <= start:
            last += 1
        free_at = start + service.of(last - first)
        left.extend(free_at - arrival for arrival in arrivals[first:last])
        first = last
    return tuple(left)


def predict_percentile(
    service: ServiceTime, cap: int, rate: float, percentile: int = 95, seed: int = 1
) -> float | NoData:
    """Return the predicted latency percentile in ms; NoData Invalid at or beyond capacity."""
    capacity = service.capacity(cap)
    if not 0 < rate < capacity:
        return NoData("Invalid", f"{rate:g} requests/s; the model carries less than {capacity:.4g}")
    return simulate(service, cap, rate, seed=seed).percentile(percentile)


def uniforms(seed: int) -> Iterator[float]:
    """Yield an endless, reproducible sequence of numbers in (0, 1).

    Knuth's 64-bit linear congruential generator (MMIX), its upper 53 bits; for simulation only.
    """
    state = (seed * _LCG_FACTOR + _LCG_STEP) & _MASK
    while True:
        state = (state * _LCG_FACTOR + _LCG_STEP) & _MASK
        yield ((state >> 11) + 0.5) / (1 << 53)


def _poisson_ms(rate: float, count: int, seed: int) -> Iterator[float]:
    chance = uniforms(seed)
    at, mean_gap = 0.0, 1000 / rate
    for _ in range(count):
        at -= mean_gap * math.log(next(chance))
        yield at
