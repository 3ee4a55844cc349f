"""Whose time it was: every kernel back to its operator, module and line of code; every kind summed.

Pure. It must not rank or judge. Trade-off: a kernel belongs to the operator that was innermost
when it was launched (by correlation id), so a captured CUDA graph's kernels belong to its replay.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from infertune_probes.profiler import kinds
from infertune_probes.profiler.nesting import Lookup, Placed, nest

if TYPE_CHECKING:
    from infertune_probes.profiler.chrome_trace import Span, Trace


class Work(NamedTuple):
    """One piece of work: a kernel or copy (or, without a device, an operator's own time)."""

    span: Span
    kind: str
    time_us: float
    operator: Span | None
    lane: tuple[str, str]
    at: float


@dataclass(frozen=True)
class Attribution:
    """All work of a window, and its sums."""

    works: list[Work]
    placed: list[Placed]
    total_us: float
    kernel_us: float
    roofline: dict[str, float]
    precision_us: dict[str, float]
    with_shapes: bool

    def kind_shares(self) -> dict[str, float]:
        """Return each kind's share of all work time; empty when there was none."""
        sums: dict[str, float] = defaultdict(float)
        for work in self.works:
            sums[work.kind] += work.time_us
        return (
            {kind: time / self.total_us for kind, time in sorted(sums.items())}
            if (self.total_us)
            else {}
        )


def attribute(trace: Trace) -> Attribution:
    """Return who did what in the trace: kernels where there are any, else operators."""
    placed = nest(trace.ops)
    works = _device_work(trace, placed) if trace.device else _operator_work(placed)
    roofline: dict[str, float] = dict.fromkeys(
        ("streaming", "thin", "full", "unclear", "collective", "other"), 0.0
    )
    precision_us: dict[str, float] = defaultdict(float)
    kernel_us = 0.0
    for work in works:
        if work.span.category in ("kernel", "cpu_op"):
            roofline[_roof(work)] += work.time_us
            kernel_us += work.time_us
        precision = _precision(work) if work.kind in kinds.COMPUTING else None
        if precision is not None:
            precision_us[precision] += work.time_us
    return Attribution(
        works=works,
        placed=placed,
        total_us=sum(work.time_us for work in works),
        kernel_us=kernel_us,
        roofline=roofline,
        precision_us=dict(precision_us),
        with_shapes=trace.with_shapes,
    )


def _device_work(trace: Trace, placed: list[Placed]) -> list[Work]:
    lookup = Lookup(placed)
    by_correlation = {call.correlation: call for call in trace.calls if call.correlation >= 0}
    by_external = {op.external: op for op in trace.ops if op.external >= 0}
    works = []
    for span in trace.device:
        call = by_correlation.get(span.correlation)
        index = -1 if call is None else lookup.innermost(call.lane, call.start)
        operator = placed[index].span if index >= 0 else by_external.get(span.external)
        launched = call or operator or span
        works.append(
            Work(
                span,
                kinds.kind_of_device_event(span),
                span.duration,
                operator,
                launched.lane,
                launched.start,
            )
        )
    return works


def _operator_work(placed: list[Placed]) -> list[Work]:
    """Return each operator's own time; an inner wrapper has the kind of the operator around it.

    `aten::scaled_dot_product_attention` runs `aten::_flash_attention...` or plain products inside:
    what is inside attention is attention.
    """
    outer: list[str] = []
    works = []
    for span, parent, own in placed:
        kind = kinds.kind_of_operator(span.name)
        above = outer[parent] if parent >= 0 else kinds.OTHER
        if above in (kinds.ATTENTION, kinds.CONVOLUTION):
            kind = above
        outer.append(kind)
        works.append(Work(span, kind, own, span, span.lane, span.start))
    return works


def _roof(work: Work) -> str:
    """Return on which side of the roofline a piece of work stands."""
    if work.kind == kinds.COLLECTIVE:
        return "collective"
    if work.kind in kinds.STREAMING:
        return "streaming"
    if work.kind not in kinds.COMPUTING:
        return "other"
    if "gemv" in work.span.name.lower():
        return "thin"
    precision = _precision(work)
    found = kinds.intensity(work.operator) if work.operator is not None else None
    if found is None or precision not in kinds.RIDGE:
        return "unclear"
    least, most = kinds.RIDGE[precision]
    return "thin" if found < least else "full" if found > most else "unclear"


def _precision(work: Work) -> str | None:
    if work.span.category == "kernel":
        named = kinds.precision_of_kernel(work.span.name)
        if named is not None:
            return named
    return None if work.operator is None else kinds.precision_of_types(work.operator.types)
