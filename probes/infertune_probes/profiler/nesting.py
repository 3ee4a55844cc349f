"""Which event stands inside which: self times, and who was at work when a device was told to.

Pure. Events of one lane (thread) nest like calls do. It must not know names. Trade-off: a stack
per lane in one pass over events sorted by start, linear but for the sort; an event that merely
overlaps its neighbour, which a clock correction can make, counts as its child up to its end.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from infertune_probes.profiler.chrome_trace import Span


class Placed(NamedTuple):
    """An event with the index of its parent in the same list (-1: none) and its self time."""

    span: Span
    parent: int
    own: float


def nest(spans: list[Span]) -> list[Placed]:
    """Return the events by lane and start, each with its parent and the time its children left."""
    ordered = sorted(spans, key=lambda span: (span.lane, span.start, -span.end))
    parents: list[int] = []
    own = [span.duration for span in ordered]
    open_events: list[int] = []
    for index, span in enumerate(ordered):
        while open_events and not _holds(ordered[open_events[-1]], span):
            open_events.pop()
        parent = open_events[-1] if open_events else -1
        parents.append(parent)
        if parent >= 0:
            own[parent] -= min(span.end, ordered[parent].end) - span.start
        open_events.append(index)
    selfs = [max(0.0, one) for one in own]
    return [Placed(*row) for row in zip(ordered, parents, selfs)]  # noqa: B905  # strict is 3.10


def _holds(outer: Span, inner: Span) -> bool:
    return outer.lane == inner.lane and outer.end > inner.start


class Lookup:
    """Finds the innermost event of a lane at a moment."""

    def __init__(self, placed: list[Placed]) -> None:
        """Index nested events by lane."""
        self._placed = placed
        self._starts: dict[tuple[str, str], list[float]] = defaultdict(list)
        self._indices: dict[tuple[str, str], list[int]] = defaultdict(list)
        for index, (span, _, _) in enumerate(placed):
            self._starts[span.lane].append(span.start)
            self._indices[span.lane].append(index)

    def innermost(self, lane: tuple[str, str], at: float) -> int:
        """Return the index of the innermost event that is open at the moment; -1 for none."""
        place = bisect_right(self._starts.get(lane, []), at) - 1
        if place < 0:
            return -1
        index = self._indices[lane][place]
        while index >= 0 and self._placed[index].span.end < at:
            index = self._placed[index].parent
        return index

    def chain(self, index: int) -> list[Span]:
        """Return an event and all that hold it, innermost first."""
        spans = []
        while index >= 0:
            spans.append(self._placed[index].span)
            index = self._placed[index].parent
        return spans
