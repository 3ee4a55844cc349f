"""One request's life as three instants and an outcome, and the plain sums over many of them.

It must not know how a request travels. All instants come from one monotonic clock, in seconds.
Trade-off: one object per request (about 100 bytes) instead of packed arrays, because a level
rarely holds more than 50,000 and every statistic below reads as its definition.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(slots=True)
class Shot:
    """A request: when it was meant to leave, when it left, when it ended, and what went wrong."""

    intended: float
    sent: float
    finished: float = math.nan
    error: str | None = None

    @property
    def latency_ms(self) -> float:
        """Milliseconds from the intended send time to the end."""
        return (self.finished - self.intended) * 1000.0

    @property
    def lateness_ms(self) -> float:
        """Milliseconds the client itself was late; grows when the generator cannot keep up."""
        return (self.sent - self.intended) * 1000.0

    def exceeds(self, limit_ms: float) -> bool:
        """Return whether the request broke the limit; every failure did."""
        return self.error is not None or self.latency_ms > limit_ms


@dataclass(frozen=True, slots=True)
class Ranked:
    """A percentile in milliseconds; `censored`: it fell among failures and is a lower bound."""

    value_ms: float
    censored: bool

    def to_json(self) -> dict[str, object]:
        """Return the percentile as a JSON object."""
        return {"valueMs": round(self.value_ms, 4), "censored": self.censored}


def nearest_rank(ascending: Sequence[float], q: float) -> float:
    """Return the ceil(q * n)-th smallest of a non-empty ascending sequence."""
    return ascending[max(1, math.ceil(q * len(ascending) - 1e-9)) - 1]


def rank_latency(
    shots: Sequence[Shot], quantiles: Sequence[float], timeout_ms: float
) -> list[Ranked]:
    """Return nearest-rank percentiles over all shots; failures rank slowest, at the timeout.

    Example: latencies 10, 20, 30 ms and one failure, timeout 1000 ms: P50 has rank 2 and is
    20 ms; P95 has rank 4, the failure, and is "at least 1000 ms".

    Raises:
        ValueError: when there are no shots.
    """
    if not shots:
        msg = "no requests, no percentile"
        raise ValueError(msg)
    completed = sorted(shot.latency_ms for shot in shots if shot.error is None)
    bound = max(timeout_ms, completed[-1]) if completed else timeout_ms
    ranks = [max(1, math.ceil(q * len(shots) - 1e-9)) for q in quantiles]
    return [
        Ranked(completed[rank - 1], censored=False)
        if rank <= len(completed)
        else Ranked(bound, censored=True)
        for rank in ranks
    ]


def count_errors(shots: Sequence[Shot]) -> dict[str, int]:
    """Return how many shots failed in which way; ways that did not occur are absent."""
    errors: dict[str, int] = {}
    for shot in shots:
        if shot.error is not None:
            errors[shot.error] = errors.get(shot.error, 0) + 1
    return errors


def mean_in_flight(shots: Sequence[Shot], start: float, end: float) -> float:
    """Return the time average of requests under way in [start, end): Little's N.

    Every request counts, failed ones too; that is what catches a survivors-only latency.
    """
    overlap = sum(max(0.0, min(s.finished, end) - max(s.intended, start)) for s in shots)
    return overlap / (end - start)


def littles_ratio(shots: Sequence[Shot], start: float, end: float) -> float | None:
    """Return N / (X * R) over [start, end), near 1 when latency speaks for all requests.

    X and R are rate and mean latency of the requests that completed in the window. None when
    none did.
    """
    done = [s.latency_ms / 1000.0 for s in shots if s.error is None and start <= s.finished < end]
    total = sum(done)
    if total <= 0:
        return None
    # X * R = (n / W) * (total / n) = total / W.
    return mean_in_flight(shots, start, end) / (total / (end - start))
