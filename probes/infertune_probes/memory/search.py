"""Which batch to try next: double until memory runs out, then halve the gap.

Pure: a function of the steps so far. It must not know how a step is made. Trade-off: it stops
when the gap is a sixteenth of the largest batch that fits, because the last few items cost as
many child processes as all the doubling did.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

FITS, OUT, FAILED = "fits", "out", "failed"
_PRECISION = 16
_FEWEST_POINTS = 3


class Step(NamedTuple):
    """One batch that was tried. Bytes are peaks of the process; None is not known.

    `outcome` is fits, out (of memory) or failed (anything else, with the reason).
    """

    batch: int
    outcome: str
    peak: int | None = None
    allocated: int | None = None
    reserved: int | None = None
    largest_free: int | None = None
    retries: int | None = None
    call_ms: float | None = None
    reason: str | None = None

    @property
    def fragmentation(self) -> float | None:
        """The share of reserved device memory that no tensor used at the peak."""
        if not self.reserved or self.allocated is None:
            return None
        return max(0.0, 1.0 - self.allocated / self.reserved)


def next_batch(steps: Sequence[Step], start: int, most: int) -> int | None:
    """Return the next batch to try; None when the search is done.

    It is done when a step failed for another reason than memory, when the first batch already
    does not fit down to 1, at ``most``, or when the gap is narrow.
    """
    if not steps:
        return min(start, most)
    if any(step.outcome == FAILED for step in steps):
        return None
    fits, out = largest_fitting(steps), smallest_failing(steps)
    if out is None:
        return min(2 * fits, most) if fits < most else None
    if out - fits <= max(1, fits // _PRECISION):
        return None
    return (fits + out) // 2 if fits else max(1, out // 2)


def largest_fitting(steps: Sequence[Step]) -> int:
    """Return the largest batch that fits; 0 when none did."""
    return max((step.batch for step in steps if step.outcome == FITS), default=0)


def smallest_failing(steps: Sequence[Step]) -> int | None:
    """Return the smallest batch that ran out of memory; None when none did."""
    return min((step.batch for step in steps if step.outcome == OUT), default=None)


def largest_below(steps: Sequence[Step], limit: float) -> int:
    """Return the largest batch measured whose peak is at most ``limit`` bytes; 0 for none."""
    return max(
        (
            step.batch
            for step in steps
            if step.outcome == FITS and step.peak is not None and step.peak <= limit
        ),
        default=0,
    )


class Line(NamedTuple):
    """Memory as base + batch * per_item, in bytes, by least squares over `n` batches."""

    base: float
    per_item: float
    n: int

    def batch_at(self, limit: float) -> int | None:
        """Return the batch at which the line meets ``limit``; None when it does not grow."""
        if self.per_item <= 0:
            return None
        return max(0, int((limit - self.base) / self.per_item))


def fitted(steps: Sequence[Step]) -> Line | None:
    """Return the line through the peaks; None with fewer than three batches that fit."""
    points = [(float(s.batch), float(s.peak)) for s in steps if s.outcome == FITS and s.peak]
    if len({batch for batch, _ in points}) < _FEWEST_POINTS:
        return None
    mean_batch = sum(batch for batch, _ in points) / len(points)
    mean_peak = sum(peak for _, peak in points) / len(points)
    spread = sum((batch - mean_batch) ** 2 for batch, _ in points)
    slope = sum((batch - mean_batch) * (peak - mean_peak) for batch, peak in points) / spread
    return Line(mean_peak - slope * mean_batch, slope, len(points))
