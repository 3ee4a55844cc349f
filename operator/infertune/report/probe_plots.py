"""The plots that a probe's own section of the result asks for.

Role: from typed results to plots with units. Must not know: the page. Trade-off: a plot is drawn
for one node, since a line for each of many nodes cannot be read; the comparison has its own plot.
"""

from collections.abc import Sequence

from infertune.report.page import Plot
from infertune.report.plots import Axis, Series, lines
from infertune.report.probe_report import NodeAnswer
from infertune_probes.contract.load_result import BenchmarkResult

NODES_SHOWN = 4


def plots_of(answers: Sequence[NodeAnswer]) -> list[Plot]:
    """Return the plots of one probe on these nodes, of the first few of them."""
    found = []
    for answer in answers[:NODES_SHOWN]:
        result = None if answer.envelope is None else answer.envelope.result
        if isinstance(result, BenchmarkResult) and result.matmul:
            found.append(_matmul(answer.node, result))
    return found


def _matmul(node: str, result: BenchmarkResult) -> Plot:
    kinds = list(dict.fromkeys(point.dtype for point in result.matmul))
    series = []
    for dtype in kinds:
        points = sorted((p for p in result.matmul if p.dtype == dtype), key=lambda p: p.size)
        work = [2e-9 * point.size**3 for point in points]
        series.append(
            Series(
                dtype,
                [point.size for point in points],
                [point.gflops for point in points],
                # The slower quartile is the lower rate.
                [w / p.q3_seconds for w, p in zip(work, points, strict=True)],
                [w / p.q1_seconds for w, p in zip(work, points, strict=True)],
            )
        )
    repeats = [point.repeats for point in result.matmul]
    svg = lines(
        f"Matrix product on {node}",
        series,
        Axis("size of the square matrices", powers=True),
        Axis("GFLOP/s"),
    )
    return Plot(
        svg,
        f"Median rate by size and type on {result.device} ({result.backend}), band: quartiles, "
        f"n = {min(repeats)} to {max(repeats)} products a point",
    )
