"""The plots that a probe's own section of the result asks for.

Role: from typed results to plots with units. Must not know: the page. Trade-off: a plot is drawn
for one node, since a line for each of many nodes cannot be read; the comparison has its own plot.
"""

from collections.abc import Iterator, Sequence

from infertune.report.page import Plot
from infertune.report.plots import Axis, Limit, Series, bars, lines
from infertune.report.probe_report import NodeAnswer
from infertune_probes.contract.gpu_peaks import peak_of
from infertune_probes.contract.gpu_result import GpuDeviceWindow, GpuResult, GpuWindow
from infertune_probes.contract.load_result import BenchmarkResult
from infertune_probes.contract.memory_result import MemoryResult
from infertune_probes.contract.profiler_result import ProfilerResult, ProfileTable
from infertune_probes.contract.system_result import SystemResult

NODES_SHOWN = 4
_GIB = 2**30
_ROWS = 10
# Three plots each; a node with more of them is read as a comparison.
_COURSES_OF = 2
_LONGEST_NAME = 34
# The courses of a window that people look at, with the label of their axis.
_COURSES = (
    ({"smPercent": "multiprocessors", "memoryControllerPercent": "memory controller"}, "% in use"),
    ({"powerWatts": "power"}, "W"),
    ({"temperatureCelsius": "temperature"}, "degrees Celsius"),
)


def plots_of(answers: Sequence[NodeAnswer]) -> list[Plot]:
    """Return the plots of one probe on these nodes, of the first few of them."""
    return [plot for answer in answers[:NODES_SHOWN] for plot in _of(answer)]


def _of(answer: NodeAnswer) -> Iterator[Plot]:
    result = None if answer.envelope is None else answer.envelope.result
    if isinstance(result, BenchmarkResult) and result.matmul:
        yield _matmul(answer.node, result)
    elif isinstance(result, GpuResult) and result.window is not None:
        yield from _devices(answer.node, result.window)
    elif isinstance(result, MemoryResult):
        yield from _memory(answer.node, result)
    elif isinstance(result, ProfilerResult):
        yield from _profile(answer.node, result)
    elif isinstance(result, SystemResult) and result.cores_busy_percent:
        yield _cores(answer.node, result)


def _matmul(node: str, result: BenchmarkResult) -> Plot:
    kinds = list(dict.fromkeys(point.dtype for point in result.matmul))
    peaks = peak_of(result.device)
    found = {dtype: peaks.tflops(dtype) for dtype in kinds} if peaks is not None else {}
    known = {dtype: 1000 * rate for dtype, rate in found.items() if rate is not None}
    highest = max([*known.values(), *(point.gflops for point in result.matmul)])
    by, unit = (1000, "TFLOP/s") if highest >= 1000 else (1, "GFLOP/s")  # noqa: PLR2004
    series = [_rates(dtype, result, by) for dtype in kinds]
    limits = [
        Limit(rate / by, f"{dtype}: peak by data sheet", of=kinds.index(dtype))
        for dtype, rate in known.items()
    ]
    repeats = [point.repeats for point in result.matmul]
    svg = lines(
        f"Matrix product on {node}",
        series,
        Axis("size of the square matrices", powers=True),
        Axis(unit),
        limits,
    )
    dashed = f"; dashed: dense peak of {peaks.sku}" if peaks is not None and limits else ""
    return Plot(
        svg,
        f"Median rate by size and type on {result.device} ({result.backend}), band: quartiles, "
        f"n = {_from_to(repeats)} products a point{dashed}",
    )


def _from_to(counts: Sequence[int]) -> str:
    low, high = min(counts), max(counts)
    return str(low) if low == high else f"{low} to {high}"


def _rates(dtype: str, result: BenchmarkResult, by: float) -> Series:
    points = sorted((p for p in result.matmul if p.dtype == dtype), key=lambda p: p.size)
    work = [2e-9 * point.size**3 / by for point in points]
    return Series(
        dtype,
        [point.size for point in points],
        [point.gflops / by for point in points],
        # The slower quartile is the lower rate.
        [w / p.q3_seconds for w, p in zip(work, points, strict=True)],
        [w / p.q1_seconds for w, p in zip(work, points, strict=True)],
    )


def _devices(node: str, window: GpuWindow) -> Iterator[Plot]:
    """Yield the courses of a few devices, or one comparison where nobody could read them all."""
    if len(window.devices) <= _COURSES_OF:
        for device in window.devices:
            yield from _courses(node, device, window.interval_seconds)
        return
    for names, unit in _COURSES:
        for name, words in names.items():
            there = [device for device in window.devices if name in device.fields]
            if there:
                yield _compared(node, there, name, (words, unit))


def _compared(
    node: str, devices: Sequence[GpuDeviceWindow], name: str, told: tuple[str, str]
) -> Plot:
    words, unit = told
    means = [device.fields[name].mean for device in devices]
    counts = [device.fields[name].n for device in devices]
    svg = bars(f"{words} by GPU on {node}", [f"GPU {one.index}" for one in devices], means, unit)
    return Plot(
        svg,
        f"Mean of {words}, {len(devices)} GPUs over the window, in {unit}: "
        f"n = {_from_to(counts)} samples a GPU",
    )


def _courses(node: str, window: GpuDeviceWindow, interval_seconds: float) -> Iterator[Plot]:
    for names, unit in _COURSES:
        there = [name for name in names if window.courses.get(name)]
        if not there:
            continue
        series = [
            Series(names[name], *map(list, zip(*window.courses[name], strict=True)))
            for name in there
        ]
        told = ", ".join(names[name] for name in there)
        title = f"GPU {window.index} on {node}: {told}"
        svg = lines(title, series, Axis("seconds"), Axis(unit))
        yield Plot(
            svg,
            f"GPU {window.index}, {told} in {unit}: n = {window.samples} samples, one each "
            f"{interval_seconds:g} s, thinned for the plot",
        )


def _memory(node: str, result: MemoryResult) -> Iterator[Plot]:
    seen = [step for step in result.steps if step.peak_bytes is not None]
    points = sorted(seen, key=lambda step: step.batch)
    if not points:
        return
    peaks = [(step.peak_bytes or 0) / _GIB for step in points]
    total = result.total_bytes / _GIB
    share = f"{result.serving_share:.0%} of the memory"
    svg = lines(
        f"Peak memory by batch on {node}",
        [Series("peak", [step.batch for step in points], peaks)],
        Axis("batch size", powers=True),
        Axis("GiB"),
        [Limit(result.serving_share * total, share), Limit(total, "all of it")],
    )
    yield Plot(
        svg,
        f"Highest use by batch on {result.device_name}, in GiB, each batch in a process of its "
        f"own: n = {len(points)} batches",
    )


def _profile(node: str, result: ProfilerResult) -> Iterator[Plot]:
    told = f"n = {result.calls} calls in {result.window_ms:.0f} ms"
    if result.shares is not None:
        parts = result.shares
        names = ["work", "copies alone", "waiting for the host", "no work given"]
        values = [parts.work, parts.copied, parts.launch, parts.waiting]
        svg = bars(f"A call on {node}", names, [100 * one for one in values], "% of the window")
        yield Plot(svg, f"What the window is spent on, percent, {told}")
    if result.kinds:
        ranked = sorted(result.kinds.items(), key=lambda item: -item[1])
        svg = bars(
            f"Kinds of work on {node}",
            [name for name, _ in ranked],
            [100 * share for _, share in ranked],
            "% of the work",
        )
        yield Plot(svg, f"Work by kind, percent, {told}")
    ranking = next((one for one in result.tables if one.name == "kernels" and one.rows), None)
    ranking = ranking or next((t for t in result.tables if t.name == "operators" and t.rows), None)
    if ranking is not None:
        yield _ranking(node, ranking, told)


def _ranking(node: str, ranking: ProfileTable, told: str) -> Plot:
    rows = ranking.rows[:_ROWS]
    by_device = ranking.ranked_by == "deviceTime"
    times = [(row.device_us if by_device else row.cpu_us) / 1000 for row in rows]
    whose = "the device" if by_device else "the CPU"
    svg = bars(f"Top {ranking.name} on {node}", [_short(row.name) for row in rows], times, "ms")
    return Plot(svg, f"Time on {whose} in ms, the {len(rows)} longest {ranking.name}, {told}")


def _short(name: str) -> str:
    return (
        name
        if len(name) <= _LONGEST_NAME
        else name[: _LONGEST_NAME - 1] + "\N{HORIZONTAL ELLIPSIS}"
    )


def _cores(node: str, result: SystemResult) -> Plot:
    """Return the busiest cores; a machine with hundreds of them does not fit a screen."""
    ranked = sorted(result.cores_busy_percent.items(), key=lambda item: -item[1])[: 2 * _ROWS]
    svg = bars(
        f"Processors of {node}", [f"CPU {name}" for name, _ in ranked], [v for _, v in ranked], "%"
    )
    return Plot(
        svg,
        f"Time in use in percent, the {len(ranked)} busiest of {len(result.cores_busy_percent)} "
        f"processors, n = {result.ticks} looks in {result.window_seconds:g} s",
    )
