"""Latency histogram with 1 % wide buckets: small, mergeable, good to half a percent.

Emit side: standard library only, Python 3.8. It must not know about requests or SLOs. Bucket 0
holds everything below 0.1 ms; bucket i >= 1 holds (0.1 ms * 1.01^(i-1), 0.1 ms * 1.01^i].
Trade-off: quantiles are the geometric middle of a bucket, at most 0.5 % off, in exchange for a
size that does not grow with the number of requests.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

FLOOR_MS = 0.1
GROWTH = 1.01
_LOG_GROWTH = math.log(GROWTH)


def bucket_of(latency_ms: float) -> int:
    """Return the bucket that holds the latency.

    Raises:
        ValueError: when the latency is negative or not finite.
    """
    if not math.isfinite(latency_ms) or latency_ms < 0:
        msg = f"not a latency: {latency_ms!r} ms"
        raise ValueError(msg)
    if latency_ms <= FLOOR_MS:
        return 0
    return math.ceil(math.log(latency_ms / FLOOR_MS) / _LOG_GROWTH)


def middle_ms(bucket: int) -> float:
    """Return the latency that stands for a bucket: its geometric middle, in milliseconds."""
    if bucket == 0:
        return FLOOR_MS
    return FLOOR_MS * math.exp((bucket - 0.5) * _LOG_GROWTH)


def merge(histograms: Iterable[Mapping[int, int]]) -> dict[int, int]:
    """Return the sum of several histograms."""
    total: dict[int, int] = {}
    for histogram in histograms:
        for bucket, count in histogram.items():
            total[bucket] = total.get(bucket, 0) + count
    return total


def quantile_ms(buckets: Mapping[int, int], q: float, failed: int = 0) -> float | None:
    """Return the nearest-rank quantile over completed and failed requests, in milliseconds.

    Failed requests rank as slowest. None when there is nothing, or when the rank falls among the
    failed: then there is no number that would not flatter the server.

    Example: buckets of 1 ms x 90 and 10 ms x 5, failed 5: P90 is 1 ms (rank 90), P95 is 10 ms
    (rank 95), P99 is None (rank 99 is a failure).
    """
    total = sum(buckets.values()) + failed
    if total == 0:
        return None
    rank = max(1, math.ceil(q * total - 1e-9))
    seen = 0
    for bucket in sorted(buckets):
        seen += buckets[bucket]
        if seen >= rank:
            return middle_ms(bucket)
    return None


def as_pairs(buckets: Mapping[int, int]) -> list[list[int]]:
    """Return the histogram in its wire form, [[bucket, count], ...] in ascending order."""
    return [[bucket, buckets[bucket]] for bucket in sorted(buckets)]
