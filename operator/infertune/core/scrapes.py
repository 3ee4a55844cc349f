"""Scraped counters become increments, and increments become blocks that can be judged.

Role: from raw samples of counters to ``BlockSample``, with resets and new series handled. Must not
know: PromQL, the promise, how blocks are judged. Trade-off: what cannot be attributed is dropped
(the first sample of a pod seen for the first time, the unfinished last block), so a block may miss
requests but never counts one that belongs to another window.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TypeAlias

from infertune.core.snapshot import BlockSample

Sample: TypeAlias = tuple[float, float]


@dataclass(frozen=True, slots=True)
class CounterSeries:
    """One counter series of one pod: ``samples`` are (unix seconds, value), unaggregated.

    A sum over several series hides their resets, so each label set is a series of its own.
    """

    pod: str
    samples: tuple[Sample, ...]


@dataclass(frozen=True, slots=True)
class Increment:
    """How much a counter rose in ``start < t <= end`` (unix seconds)."""

    start: float
    end: float
    value: float


def counter_deltas(
    samples: Iterable[Sample], seen_before: float | None = None
) -> tuple[Increment, ...]:
    """Return the increments between the scrapes of one counter, in time order.

    A value below its predecessor is a reset: the process started again at zero, so the increment
    is the new value. ``seen_before`` is the time of an earlier scrape of the same pod that did not
    hold this series; then the series was born after it, and its first value is an increment too
    (a counter with labels appears with its first event, at 1 or more). Without it the first value
    is history and only a starting point. Samples that are not finite or negative (stale markers)
    are left out; of two samples with one timestamp the later given counts.
    """
    clean = sorted(
        {
            at: value
            for at, value in samples
            if math.isfinite(at) and math.isfinite(value) and value >= 0
        }.items()
    )
    increments: list[Increment] = []
    if clean and seen_before is not None and seen_before < clean[0][0]:
        increments.append(Increment(seen_before, clean[0][0], clean[0][1]))
    for (start, before), (end, after) in pairwise(clean):
        increments.append(Increment(start, end, after - before if after >= before else after))
    return tuple(increments)


def increments_of(series: Sequence[CounterSeries]) -> tuple[tuple[Increment, ...], ...]:
    """Return the increments of each series; a series younger than its pod is counted from birth.

    All series of one pod must be given together, since they show when the pod was scraped.
    """
    scrapes = _scrape_times(series)
    return tuple(_increments(one, scrapes[one.pod]) for one in series)


def total_increase(series: Sequence[CounterSeries]) -> float | None:
    """Return the summed increase of counters; None when no two scrapes can be compared."""
    increments = [increment for one in increments_of(series) for increment in one]
    return sum(increment.value for increment in increments) if increments else None


def blocks_from_counters(
    total_series: Sequence[CounterSeries],
    within_series: Sequence[CounterSeries],
    min_seconds: float,
    min_requests: float,
) -> tuple[BlockSample, ...]:
    """Cut live traffic of all pods into blocks, in time order.

    A block ends at the first scrape at which it is at least ``min_seconds`` long (two scrape
    intervals or more) and holds ``min_requests``. Increments count at the time of the scrape that
    showed them, for both counters alike. The unfinished last block is left out.

    Args:
        total_series: Counters of all requests, failures too.
        within_series: Counters of good requests within the promise. A pod without any such series
            has answered no request well: all of its requests are over.
        min_seconds: Shortest block.
        min_requests: Fewest requests in a block.
    """
    scrapes = _scrape_times((*total_series, *within_series))
    steps = _steps(total_series, within_series, scrapes)
    if not steps:
        return ()
    blocks: list[BlockSample] = []
    start = min(step.start for step in steps.values())
    requests = within = 0.0
    for end in sorted(steps):
        requests += steps[end].requests
        within += steps[end].within
        if end - start >= min_seconds and requests >= min_requests and requests > 0:
            # Both counters come from one scrape; only float noise can make this negative.
            over = min(max(requests - within, 0.0), requests)
            blocks.append(BlockSample(requests, over, end - start))
            start, requests, within = end, 0.0, 0.0
    return tuple(blocks)


@dataclass(slots=True)
class _Step:
    start: float = math.inf
    requests: float = field(default=0.0)
    within: float = field(default=0.0)


def _steps(
    total_series: Sequence[CounterSeries],
    within_series: Sequence[CounterSeries],
    scrapes: Mapping[str, tuple[float, ...]],
) -> dict[float, _Step]:
    steps: dict[float, _Step] = {}
    for one in total_series:
        for increment in _increments(one, scrapes[one.pod]):
            step = steps.setdefault(increment.end, _Step())
            step.start = min(step.start, increment.start)
            step.requests += increment.value
    for one in within_series:
        for increment in _increments(one, scrapes[one.pod]):
            if increment.end in steps:
                steps[increment.end].within += increment.value
    return steps


def _increments(series: CounterSeries, scrapes: tuple[float, ...]) -> tuple[Increment, ...]:
    first = min((at for at, value in series.samples if math.isfinite(value)), default=math.inf)
    seen_before = max((at for at in scrapes if at < first), default=None)
    return counter_deltas(series.samples, seen_before)


def _scrape_times(series: Iterable[CounterSeries]) -> dict[str, tuple[float, ...]]:
    times: dict[str, set[float]] = {}
    for one in series:
        seen = times.setdefault(one.pod, set())
        seen.update(at for at, value in one.samples if math.isfinite(value) and math.isfinite(at))
    return {pod: tuple(sorted(seen)) for pod, seen in times.items()}
