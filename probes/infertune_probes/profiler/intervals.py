"""Sets of time spans as sorted, disjoint pairs: how much is covered, and by what.

Pure. It must not know what the spans are. Trade-off: plain lists of pairs and one sweep instead
of an interval tree; a trace of a few steps has some ten thousand spans.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    Pairs = list[tuple[float, float]]


def union(spans: Iterable[tuple[float, float]]) -> Pairs:
    """Return the spans merged where they touch, in order; empty spans are left out."""
    merged: Pairs = []
    for start, end in sorted(spans):
        if end <= start:
            continue
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged


def length(pairs: Pairs) -> float:
    """Return the time that merged pairs cover."""
    return sum(end - start for start, end in pairs)


def common(first: Pairs, second: Pairs) -> Pairs:
    """Return the time that both of two merged sets cover."""
    shared: Pairs = []
    at = 0
    for start, end in first:
        while at < len(second) and second[at][1] <= start:
            at += 1
        ahead = at
        while ahead < len(second) and second[ahead][0] < end:
            shared.append((max(start, second[ahead][0]), min(end, second[ahead][1])))
            ahead += 1
    return shared


def without(whole: Pairs, part: Pairs) -> Pairs:
    """Return the time of merged ``whole`` that merged ``part`` leaves free."""
    left: Pairs = []
    for start, end in whole:
        at = start
        for cut_start, cut_end in common([(start, end)], part):
            if cut_start > at:
                left.append((at, cut_start))
            at = cut_end
        if end > at:
            left.append((at, end))
    return left
