"""What a trace means: how much of the time the device works, and what it waits for otherwise.

Pure: a function of the parsed trace. It must not know where the trace came from. Trade-off: one
bound is named, the largest part of the window, with how sure that is; the parts stand beside it.
A number that the trace cannot tell (no shapes, no device) is None, never zero.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from infertune_probes.profiler import kinds
from infertune_probes.profiler.attribution import Attribution, attribute
from infertune_probes.profiler.intervals import common, length, union, without

if TYPE_CHECKING:
    from infertune_probes.profiler.chrome_trace import Span, Trace
    from infertune_probes.profiler.intervals import Pairs

INFERENCE_RANGE = "infertune::inference"
_STEP = "ProfilerStep#"
_HALF = 0.5


@dataclass(frozen=True)
class Waiting:
    """One kind of call that makes the host wait for the device: how often, how long."""

    name: str
    count: int
    total_us: float


@dataclass(frozen=True)
class Shares:
    """Parts of the window, together 1: kernels, copies alone, the host late, nobody at work."""

    work: float
    copy: float
    launch: float
    waiting: float


@dataclass(frozen=True)
class Reading:
    """The meaning of one trace. Shares are in [0, 1]; None is not known."""

    window_us: float
    calls: int
    on_device: bool
    shares: Shares | None
    bound: str
    confidence: str
    why: str
    kinds: dict[str, float] = field(default_factory=dict)
    precisions: dict[str, float] = field(default_factory=dict)
    synchronisations: tuple[Waiting, ...] = ()
    autograd: str = "unknown"
    data_wait_share: float | None = None
    kernel_median_us: float | None = None
    launches_per_call: float | None = None

    @property
    def busy_share(self) -> float | None:
        """The share of the window in which the device computes or copies."""
        return None if self.shares is None else self.shares.work + self.shares.copy


def read(trace: Trace) -> Reading:
    """Return the meaning of the trace; a trace without operators and kernels means nothing."""
    window = window_of(trace)
    calls = [one for one in trace.ranges if one.name == INFERENCE_RANGE]
    if window is None:
        why = "the trace holds neither an operator nor a kernel"
        return Reading(0.0, len(calls), trace.has_device, None, "unknown", "low", why)
    inside = _cut(trace, window)
    attribution = attribute(inside)
    reading = _on_device if inside.device else _on_processor
    shares, kind_shares, (bound, confidence, why) = reading(inside, attribution, window)
    durations = sorted(one.duration for one in inside.device if one.category == "kernel")
    launches = sum(1 for one in inside.calls if kinds.LAUNCH.match(one.name))
    waits = union((one.start, one.end) for one in inside.ranges if kinds.DATA_WAIT.search(one.name))
    return Reading(
        window_us=window[1] - window[0],
        calls=len(calls),
        on_device=bool(inside.device),
        shares=shares,
        bound=bound,
        confidence=confidence,
        why=why,
        kinds=kind_shares,
        precisions=_precisions(attribution),
        synchronisations=_synchronisations(inside),
        autograd=_autograd(inside.ops),
        data_wait_share=length(waits) / (window[1] - window[0]),
        kernel_median_us=durations[len(durations) // 2] if durations else None,
        launches_per_call=launches / len(calls) if calls and inside.device else None,
    )


def window_of(trace: Trace) -> tuple[float, float] | None:
    """Return the time judged: the marked calls, else the profiler's steps, else all work.

    Device work that the last call queued belongs to it, so the window ends when that is done.
    """
    work = [*trace.ops, *trace.device]
    if not work:
        return None
    marked = [one for one in trace.ranges if one.name == INFERENCE_RANGE]
    steps = [one for one in trace.ranges if one.name.startswith(_STEP)]
    spans = marked or steps or work
    start, end = min(one.start for one in spans), max(one.end for one in spans)
    if trace.device:
        end = max(end, *(one.end for one in trace.device))
    return (start, end) if end > start else None


def _cut(trace: Trace, window: tuple[float, float]) -> Trace:
    def within(spans: list[Span]) -> list[Span]:
        return [one for one in spans if one.start >= window[0] and one.end <= window[1]]

    return trace._replace(
        ops=within(trace.ops),
        device=within(trace.device),
        calls=within(trace.calls),
        ranges=within(trace.ranges),
    )


def _on_device(
    trace: Trace, attribution: Attribution, window: tuple[float, float]
) -> tuple[Shares, dict[str, float], tuple[str, str, str]]:
    whole: Pairs = [window]
    by_device: dict[str, list[Span]] = defaultdict(list)
    for span in trace.device:
        by_device[span.lane[0]].append(span)
    # Of several devices the busiest one: it is what a further device would have to relieve.
    spans = max(by_device.values(), key=lambda one: length(union((s.start, s.end) for s in one)))
    kernels = union((s.start, s.end) for s in spans if s.category == "kernel")
    copies = without(union((s.start, s.end) for s in spans if s.category != "kernel"), kernels)
    gaps = without(without(whole, kernels), copies)
    late = common(gaps, _host_at_work(trace))
    total = window[1] - window[0]
    work, copy, launch = (length(part) / total for part in (kernels, copies, late))
    shares = Shares(work, copy, launch, max(0.0, 1.0 - work - copy - launch))
    return shares, attribution.kind_shares(), _bound_of_device(shares, attribution)


def _host_at_work(trace: Trace) -> Pairs:
    """Return when the host was on its way to the next launch: not waiting for device or data."""
    working = [*trace.ops, *(one for one in trace.ranges if not one.name.startswith(_STEP))]
    working += [one for one in trace.calls if one.name not in kinds.SYNCHRONISING_CALLS]
    waiting = [one for one in trace.calls if one.name in kinds.SYNCHRONISING_CALLS]
    waiting += [one for one in trace.ranges if kinds.DATA_WAIT.search(one.name)]
    return without(
        union((one.start, one.end) for one in working),
        union((one.start, one.end) for one in waiting),
    )


def _bound_of_device(shares: Shares, attribution: Attribution) -> tuple[str, str, str]:
    if shares.work >= _HALF:
        return _bound_of_kernels(attribution)
    told = f"kernels run {shares.work:.0%} of the time"
    parts = {"copy": shares.copy, "launch": shares.launch, "idle": shares.waiting}
    bound = max(parts, key=lambda name: parts[name])
    reasons = {
        "copy": f"copies alone take {shares.copy:.0%}",
        "launch": f"for {shares.launch:.0%} the device waits while the host prepares a launch",
        "idle": f"for {shares.waiting:.0%} nothing is queued and the host is not in the model",
    }
    clear = parts[bound] >= _HALF
    return bound, "high" if clear else "medium", f"{told}, {reasons[bound]}"


def _bound_of_kernels(attribution: Attribution) -> tuple[str, str, str]:
    streaming, thin, full, unclear, collective = (
        attribution.roofline[part] / attribution.kernel_us
        for part in ("streaming", "thin", "full", "unclear", "collective")
    )
    told = (
        f"of kernel time {streaming:.0%} is element-wise work and reductions, {thin:.0%} matrix "
        f"products too thin to fill the device, {full:.0%} full ones, {unclear:.0%} not told apart"
    )
    if streaming + thin >= _HALF:
        return "memory", "high" if streaming + thin >= 2 / 3 else "medium", told
    if full >= _HALF:
        return "compute", "high", told
    if collective >= _HALF:
        return "copy", "medium", f"{collective:.0%} of kernel time moves data between devices"
    if full + unclear >= _HALF:
        hint = "; --mode detailed records the shapes that tell thin products from full ones"
        return "compute", "low", told + ("" if attribution.with_shapes else hint)
    return "unknown", "low", told


def _on_processor(
    trace: Trace, attribution: Attribution, window: tuple[float, float]
) -> tuple[Shares, dict[str, float], tuple[str, str, str]]:
    """Read a trace without a device: the processor's own time by kind of operator."""
    total = window[1] - window[0]
    working = union((one.start, one.end) for one in trace.ops)
    marked = union((one.start, one.end) for one in trace.ranges if not one.name.startswith(_STEP))
    kind_shares = attribution.kind_shares()
    operators = length(working) / total
    arithmetic = operators * sum(
        share for kind, share in kind_shares.items() if kind not in (kinds.COPY, kinds.OTHER)
    )
    copy = operators * kind_shares.get(kinds.COPY, 0.0)
    python = length(without(marked, working)) / total
    launch = operators * kind_shares.get(kinds.OTHER, 0.0) + python
    shares = Shares(arithmetic, copy, launch, max(0.0, 1.0 - arithmetic - copy - launch))
    return shares, kind_shares, _bound_of_processor(shares, kind_shares)


def _bound_of_processor(shares: Shares, kind_shares: dict[str, float]) -> tuple[str, str, str]:
    computing = sum(kind_shares.get(kind, 0.0) for kind in kinds.COMPUTING)
    streaming = sum(kind_shares.get(kind, 0.0) for kind in (kinds.POINTWISE, kinds.REDUCTION))
    parts = {
        ("compute" if computing >= streaming else "memory"): shares.work,
        "copy": shares.copy,
        "launch": shares.launch,
        "idle": shares.waiting,
    }
    bound = max(parts, key=lambda name: parts[name])
    why = (
        f"on the processor: arithmetic {shares.work:.0%} (matrix products, convolutions and "
        f"attention {computing:.0%} of operator time), copies {shares.copy:.0%}, Python and "
        f"dispatch {shares.launch:.0%}, no work {shares.waiting:.0%}"
    )
    return bound, "medium" if parts[bound] >= _HALF else "low", why


def _precisions(attribution: Attribution) -> dict[str, float]:
    """Return the share of each precision in the time of products, attention and convolutions."""
    found = attribution.precision_us
    total = sum(found.values())
    return {name: time / total for name, time in sorted(found.items())} if total else {}


def _synchronisations(trace: Trace) -> tuple[Waiting, ...]:
    """Return the waits inside the marked calls (all, where none is marked), longest first."""
    marked = union((one.start, one.end) for one in trace.ranges if one.name == INFERENCE_RANGE)
    found: dict[str, list[float]] = defaultdict(list)
    for span in (*trace.calls, *trace.ops):
        named = kinds.SYNCHRONISING_CALLS | kinds.SYNCHRONISING_OPERATORS
        if span.name in named and (not marked or common([(span.start, span.end)], marked)):
            found[span.name].append(span.duration)
    waits = (Waiting(name, len(times), sum(times)) for name, times in found.items())
    return tuple(sorted(waits, key=lambda one: (-one.total_us, one.name)))


def _autograd(ops: list[Span]) -> str:
    """Return off, on (no graph) or recording.

    Kineto writes the autograd sequence number beside an operator only while gradients are
    enabled, and the number grows with every node that is added to the graph.
    """
    if not ops:
        return "unknown"
    numbers = {op.sequence for op in ops if op.sequence >= 0}
    if not numbers:
        return "off"
    return "recording" if len(numbers) > 1 else "on"
