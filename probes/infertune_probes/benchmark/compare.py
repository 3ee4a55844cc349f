"""`python -m infertune_probes.benchmark compare FILE...`: results of many nodes side by side.

It must not judge. It runs where the results are collected, with the load side of the contract,
and never in a foreign image. Trade-off: the largest size that all members of a kind measured in a
type is compared, so one short run shortens the comparison, and is not left out in silence.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from infertune_probes.benchmark import codes, fleet
from infertune_probes.benchmark.fleet import Member, Ranked
from infertune_probes.contract.emit import add_arguments, sinks_from
from infertune_probes.contract.session import CouldNotRun, ProbeSession
from infertune_probes.contract.terminal import Table, number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infertune_probes.contract.load import Envelope
    from infertune_probes.contract.load_result import BenchmarkResult


def main(argv: list[str] | None = None) -> int:
    """Compare, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m infertune_probes.benchmark compare")
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="plain JSON envelopes")
    add_arguments(parser)
    arguments = parser.parse_args(argv)
    with ProbeSession("benchmark", sinks_from(arguments)) as session:
        figures = rank(read(arguments.files))
        session.findings += fleet.judge(figures)
        session.result = {
            "kind": "benchmark-comparison",
            "figures": [figure.to_json() for figure in figures],
        }
        session.tables += [table_of(figure) for figure in figures]
    return session.exit_code


def read(paths: Sequence[Path]) -> list[tuple[Envelope, BenchmarkResult]]:
    """Return the envelopes with their sections.

    Raises:
        CouldNotRun: naming the file that cannot be read or is of another probe.
    """
    from infertune_probes.contract.load import PayloadInvalid, parse_envelope
    from infertune_probes.contract.load_result import BenchmarkResult

    found = []
    for path in paths:
        try:
            envelope = parse_envelope(path.read_bytes())
        except (OSError, PayloadInvalid) as error:
            raise CouldNotRun(codes.NOTHING_TO_COMPARE.unknown(f"{path}: {error}")) from error
        if not isinstance(envelope.result, BenchmarkResult):
            why = f"{path}: no benchmark of one node, but of probe {envelope.probe!r}"
            raise CouldNotRun(codes.NOTHING_TO_COMPARE.unknown(why))
        found.append((envelope, envelope.result))
    return found


def rank(read_in: Sequence[tuple[Envelope, BenchmarkResult]]) -> list[Ranked]:
    """Return every figure that two or more members of a kind have in common."""
    kinds: dict[str, list[tuple[Envelope, BenchmarkResult]]] = {}
    for envelope, result in read_in:
        kinds.setdefault(_kind(envelope, result), []).append((envelope, result))
    figures = []
    for kind, members in sorted(kinds.items()):
        figures += [*_products(kind, members), *_copies(kind, members)]
    return [figure for figure in figures if len(figure.members) > 1]


def _kind(envelope: Envelope, result: BenchmarkResult) -> str:
    """Return what may be compared: the GPU's name, or the processor with the threads in use."""
    if result.device != "cpu":
        return result.device
    return f"{envelope.host.cpu_model or 'cpu'} x{result.threads} ({result.backend})"


def _products(kind: str, members: Sequence[tuple[Envelope, BenchmarkResult]]) -> list[Ranked]:
    measured = [{(p.dtype, p.size): p for p in result.matmul} for _, result in members]
    common = set.intersection(*(set(points) for points in measured))
    largest: dict[str, int] = {}
    for dtype, size in common:
        largest[dtype] = max(size, largest.get(dtype, 0))
    figures = []
    for dtype, size in sorted(largest.items()):
        ranked = tuple(
            _member(
                envelope, result, points[dtype, size].gflops, settled=points[dtype, size].settled
            )
            for (envelope, result), points in zip(members, measured)  # noqa: B905  # strict is Python 3.10
        )
        figures.append(Ranked(kind, f"matmul_{size}_{dtype}", "GFLOP/s", ranked))
    return figures


def _copies(kind: str, members: Sequence[tuple[Envelope, BenchmarkResult]]) -> list[Ranked]:
    ranked = tuple(
        _member(envelope, result, stream.gigabytes_per_second, settled=True)
        for envelope, result in members
        for stream in result.streams
        if stream.name == "copy"
    )
    return [Ranked(kind, "copy", "GB/s", ranked)] if ranked else []


def _member(envelope: Envelope, result: BenchmarkResult, value: float, *, settled: bool) -> Member:
    clock = next((clock for clock in result.clocks if clock.index == 0), None)
    return Member(
        where=envelope.node,
        value=value,
        clock_mhz=None if clock is None else clock.clock_mhz,
        temperature_celsius=None if clock is None else clock.temperature_celsius,
        settled=settled,
    )


def table_of(figure: Ranked) -> Table:
    """Return the members of a figure, the slowest first."""
    slow = {member.where for member in figure.stragglers}
    rows = [
        (
            member.where,
            number(member.value),
            number(round(100 * member.value / figure.median, 1)),
            "straggler" if member.where in slow else "",
        )
        for member in sorted(figure.members, key=lambda member: member.value)
    ]
    title = f"{figure.kind}: {figure.figure}, n={len(rows)}, balance {figure.balance:.3f}"
    return Table(title, ("where", figure.unit, "% of median", ""), rows)
