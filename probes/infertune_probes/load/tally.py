"""From the shots of one level to the level's section of the result.

Pure; it must not know sockets, and it judges nothing but the order of things. Trade-off: raw
latencies are kept only up to 20,000 requests, beyond that the 1 % histogram, the blocks and the
batches stand for them, so that a payload stays within some hundred kilobytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from infertune_probes.contract.histogram import as_pairs, bucket_of
from infertune_probes.load.shots import (
    Shot,
    count_errors,
    littles_ratio,
    mean_in_flight,
    nearest_rank,
    rank_latency,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

RAW_LIMIT = 20_000
BATCHES = 20
# A P95 of fewer requests than this is just their maximum.
MIN_BATCH_REQUESTS = 20


@dataclass(frozen=True, slots=True)
class Terms:
    """What the run promised itself: the latency promise, the timeout and the block length."""

    slo_ms: float
    timeout_ms: float
    block_requests: int


@dataclass(frozen=True, slots=True)
class LevelRun:
    """The raw record of one level. `shots` hold warm-up and window in order of intended time."""

    offered_rate: float
    state: str
    reason: str | None
    start: float
    end: float
    warmup_seconds: float
    shots: Sequence[Shot]
    cpu_share: float | None

    @property
    def window(self) -> list[Shot]:
        """The shots meant to leave inside the window, warm-up dropped."""
        return [shot for shot in self.shots if self.start <= shot.intended < self.end]


def skipped_level(offered_rate: float, reason: str) -> dict[str, object]:
    """Return the section of a level that was not run: no numbers, only why."""
    run = LevelRun(offered_rate, "skipped", reason, 0.0, 0.0, 0.0, (), None)
    return level_section(run, Terms(1.0, 1.0, 1))


def level_section(run: LevelRun, terms: Terms) -> dict[str, object]:
    """Return the JSON section of one level, as `contract.load_result.Level` describes it."""
    window = run.window
    seconds = max(0.0, run.end - run.start)
    failed = sum(1 for shot in window if shot.error is not None)
    flowed = [s for s in run.shots if s.error is None and run.start <= s.finished < run.end]
    return {
        "offeredRate": run.offered_rate,
        "state": run.state,
        "reason": run.reason,
        "windowSeconds": round(seconds, 6),
        "warmupSeconds": run.warmup_seconds,
        "warmupRequests": len(run.shots) - len(window),
        "sent": len(window),
        "sentRate": _per_second(len(window), seconds),
        "completed": len(window) - failed,
        "achievedRate": _per_second(len(flowed), seconds),
        "exceeded": sum(1 for shot in window if shot.exceeds(terms.slo_ms)),
        "errors": count_errors(window),
        "latency": _latency(window, terms.timeout_ms),
        "histogram": _histogram(window, failed),
        "latenciesTenthMs": _raw(window),
        "blocks": _blocks(window, run.start, terms),
        "batches": _batches(window, terms.timeout_ms),
        **_client_section(run, window, seconds),
    }


def _client_section(run: LevelRun, window: list[Shot], seconds: float) -> dict[str, object]:
    late = sorted(shot.lateness_ms for shot in window)
    return {
        "latenessP50Ms": round(max(0.0, nearest_rank(late, 0.50)), 4) if late else None,
        "latenessP99Ms": round(max(0.0, nearest_rank(late, 0.99)), 4) if late else None,
        "clientCpuShare": run.cpu_share,
        "meanInFlight": mean_in_flight(run.shots, run.start, run.end) if seconds else None,
        "inFlightAtStart": _under_way(run.shots, run.start),
        "inFlightAtEnd": _under_way(run.shots, run.end),
        "littlesRatio": littles_ratio(run.shots, run.start, run.end) if seconds else None,
    }


def split_blocks(shots: Sequence[Shot], length: int) -> list[Sequence[Shot]]:
    """Return consecutive blocks of at least `length` shots; a short rest joins the last block.

    Fewer shots than `length` are one short block: the reader decides that it is too short.
    Example: 7 shots, length 3: blocks of 3 and 4.
    """
    if not shots:
        return []
    whole = max(1, len(shots) // length)
    edges = [index * length for index in range(whole)] + [len(shots)]
    return [shots[low:high] for low, high in pairwise(edges)]


def _blocks(window: list[Shot], start: float, terms: Terms) -> list[dict[str, object]]:
    return [
        {
            "startSeconds": round(max(0.0, block[0].intended - start), 6),
            "requests": len(block),
            "exceeded": sum(1 for shot in block if shot.exceeds(terms.slo_ms)),
        }
        for block in split_blocks(window, terms.block_requests)
    ]


def _batches(window: list[Shot], timeout_ms: float) -> list[dict[str, object]]:
    """Cut the window in 20 equal batches, in fewer when they would hold under 20 requests."""
    number = min(BATCHES, len(window) // MIN_BATCH_REQUESTS)
    edges = [index * len(window) // number for index in range(number + 1)] if number else []
    batches = [window[low:high] for low, high in pairwise(edges)]
    return [
        {"requests": len(batch), "p95": rank_latency(batch, (0.95,), timeout_ms)[0].to_json()}
        for batch in batches
    ]


def _latency(window: list[Shot], timeout_ms: float) -> dict[str, object] | None:
    if not window:
        return None
    p50, p95, p99 = rank_latency(window, (0.50, 0.95, 0.99), timeout_ms)
    completed = [shot.latency_ms for shot in window if shot.error is None]
    return {
        "p50": p50.to_json(),
        "p95": p95.to_json(),
        "p99": p99.to_json(),
        "meanCompletedMs": round(sum(completed) / len(completed), 4) if completed else None,
    }


def _histogram(window: list[Shot], failed: int) -> dict[str, object]:
    buckets: dict[int, int] = {}
    for shot in window:
        if shot.error is None:
            bucket = bucket_of(shot.latency_ms)
            buckets[bucket] = buckets.get(bucket, 0) + 1
    return {"buckets": as_pairs(buckets), "failed": failed}


def _raw(window: list[Shot]) -> list[int] | None:
    if len(window) > RAW_LIMIT:
        return None
    return [-1 if shot.error is not None else round(shot.latency_ms * 10) for shot in window]


def _under_way(shots: Sequence[Shot], at: float) -> int:
    return sum(1 for shot in shots if shot.intended < at <= shot.finished)


def _per_second(number: int, seconds: float) -> float:
    return number / seconds if seconds > 0 else 0.0
