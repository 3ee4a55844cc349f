"""Ranks what a trace holds: kernels, operators, memory, modules and lines of code.

Pure. It must not judge. Trade-off: at most twenty rows each, so that the tables fit the envelope;
the whole trace is the artifact for everything that ranks lower, and each table says how many rows
and how much of its sum it leaves out.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from infertune_probes.profiler.attribution import attribute
from infertune_probes.profiler.nesting import Lookup, nest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from infertune_probes.profiler.attribution import Attribution
    from infertune_probes.profiler.chrome_trace import Span, Trace

ROWS = 20
_LONGEST_NAME = 160
_STACK_FRAMES = 5
_MODULE = "nn.Module: "
_LIBRARY = ("torch/", "<built-in", _MODULE, "runpy.py", "<frozen", "infertune_probes/")


@dataclass(frozen=True)
class Row:
    """One name; times in microseconds, `size` in bytes; `share` of the ranked figure's sum."""

    name: str
    count: int
    device_us: float
    cpu_us: float
    size: int
    share: float


@dataclass(frozen=True)
class Ranking:
    """The first rows by one figure; `ranked_by` is what the share is of, None: why it is empty."""

    name: str
    ranked_by: str
    rows: tuple[Row, ...]
    left_out: int
    reason: str | None = None


class _Sum:
    """Counts one name."""

    def __init__(self) -> None:
        self.count = 0
        self.device = self.cpu = 0.0
        self.size = 0


def rank(trace: Trace) -> tuple[Ranking, ...]:
    """Return all tables of the trace; a table that was not recorded is empty and says why."""
    attribution = attribute(trace)
    return (
        _kernels(trace),
        _operators(trace, attribution, "deviceTime"),
        _operators(trace, attribution, "cpuTime"),
        _memory(trace, attribution),
        *_python(trace, attribution),
    )


def _kernels(trace: Trace) -> Ranking:
    sums: dict[str, _Sum] = defaultdict(_Sum)
    for span in trace.device:
        one = sums[span.name]
        one.count += 1
        one.device += span.duration
        one.size += span.size
    reason = None if trace.device else "nothing ran on a device"
    return _ranking("kernels", "deviceTime", sums, reason)


def _operators(trace: Trace, attribution: Attribution, by: str) -> Ranking:
    sums: dict[str, _Sum] = defaultdict(_Sum)
    for span, _, own in attribution.placed:
        one = sums[span.name]
        one.count += 1
        one.cpu += own
    if trace.device:
        for work in attribution.works:
            sums[work.operator.name if work.operator else "(no operator)"].device += work.time_us
    reason = "nothing ran on a device" if by == "deviceTime" and not trace.device else None
    if not trace.ops:
        reason = "no operator was recorded"
    return _ranking("operators", by, sums, reason)


def _memory(trace: Trace, attribution: Attribution) -> Ranking:
    """Rank operators by what they allocated; on a device only the device's memory counts."""
    lookup = Lookup(attribution.placed)
    on_device = any(event.on_device for event in trace.memory)
    sums: dict[str, _Sum] = defaultdict(_Sum)
    for event in trace.memory:
        if event.size <= 0 or event.on_device != on_device:
            continue
        index = lookup.innermost(event.lane, event.at)
        one = sums[attribution.placed[index].span.name if index >= 0 else "(no operator)"]
        one.count += 1
        one.size += event.size
    reason = None if trace.with_memory else "not recorded; --mode memory records it"
    return _ranking("memory", "size", sums, reason)


def _python(trace: Trace, attribution: Attribution) -> tuple[Ranking, Ranking]:
    """Rank modules (with all that they call) and stacks (the work done right below them)."""
    by = "deviceTime" if trace.device else "cpuTime"
    if not trace.frames:
        reason = "not recorded; --mode detailed records stacks and modules"
        return _ranking("modules", by, {}, reason), _ranking("stacks", by, {}, reason)
    placed = nest(trace.frames)
    lookup = Lookup(placed)
    modules: dict[str, _Sum] = defaultdict(_Sum)
    stacks: dict[str, _Sum] = defaultdict(_Sum)
    for span, _, _ in placed:
        if span.name.startswith(_MODULE):
            one = modules[span.name[len(_MODULE) :]]
            one.count += 1
            one.cpu += span.duration
    for work in attribution.works:
        chain = lookup.chain(lookup.innermost(work.lane, work.at))
        for name in {one.name[len(_MODULE) :] for one in chain if one.name.startswith(_MODULE)}:
            modules[name].device += work.time_us if trace.device else 0.0
        one = stacks[_stack(chain)]
        one.count += 1
        one.device += work.time_us if trace.device else 0.0
        one.cpu += 0.0 if trace.device else work.time_us
    return _ranking("modules", by, modules, None), _ranking("stacks", by, stacks, None)


def _stack(chain: Iterable[Span]) -> str:
    """Return the innermost frames of the user's own code, joined; `(library)` for none."""
    own = [one.name for one in chain if not _of_library(one.name)]
    return " < ".join(own[:_STACK_FRAMES]) or "(library)"


def _of_library(name: str) -> bool:
    return name.startswith(_LIBRARY) or "/torch/" in name.split("(", 1)[0]


def _ranking(name: str, by: str, sums: dict[str, _Sum], reason: str | None) -> Ranking:
    def figure(one: _Sum) -> float:
        return {"deviceTime": one.device, "cpuTime": one.cpu, "size": float(one.size)}[by]

    if reason is not None:
        return Ranking(name, by, (), 0, reason)
    ranked = sorted(
        ((key, one) for key, one in sums.items() if figure(one) > 0),
        key=lambda pair: (-figure(pair[1]), pair[0]),
    )
    # Modules nest, so their parts do not add up to the whole: the largest is the whole.
    whole = (
        (figure(ranked[0][1]) if name == "modules" else sum(figure(s) for _, s in ranked))
        if (ranked)
        else 1.0
    )
    rows = tuple(
        Row(key[:_LONGEST_NAME], one.count, one.device, one.cpu, one.size, figure(one) / whole)
        for key, one in ranked[:ROWS]
    )
    return Ranking(name, by, rows, max(0, len(ranked) - ROWS))
