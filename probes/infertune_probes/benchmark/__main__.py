"""`python -m infertune_probes.benchmark [compare | overhead]`: how fast is this node?

It must not contain arithmetic. Trade-off: as many BLAS threads as the cgroup really grants; more
would be throttled in the middle of a product and measure the throttle.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from typing import TYPE_CHECKING

from infertune_probes.benchmark import codes
from infertune_probes.benchmark.clocks import Notes, note, setting_of_busiest
from infertune_probes.benchmark.granted import cores_granted
from infertune_probes.contract.codes import NO_DEVICE
from infertune_probes.contract.emit import add_arguments, sinks_from
from infertune_probes.contract.gpu_peaks import peak_of
from infertune_probes.contract.host import usable_cores
from infertune_probes.contract.session import CouldNotRun, ProbeSession
from infertune_probes.contract.terminal import Table, number

if TYPE_CHECKING:
    from infertune_probes.benchmark.backends import Backend
    from infertune_probes.benchmark.plan import Budget, Stream, Swept

DEFAULT_SIZES = "1000,2000,4000,8000"
# What the verdict against the peak is spoken at; multiples of 16, which int8 and fp8 need.
VERDICT_SIZES = (4096, 8192)
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_SLACK_SECONDS = 120.0


def main(argv: list[str] | None = None) -> int:
    """Run the probe and return its exit code."""
    words = sys.argv[1:] if argv is None else argv
    if words and words[0] == "compare":
        from infertune_probes.benchmark import compare

        return compare.main(words[1:])
    if words and words[0] == "overhead":
        from infertune_probes.benchmark import limits

        return limits.main(words[1:])
    return _measure(words)


def _measure(words: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m infertune_probes.benchmark",
        epilog="Besides: `compare FILE...` (results of many nodes), `overhead` (cost of a limit).",
    )
    parser.add_argument("--seconds", type=_positive, default=10.0, help="for everything")
    parser.add_argument("--sizes", type=_sizes, metavar="N,N,...", help=f"default {DEFAULT_SIZES}")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device", choices=("auto", "cpu", "torch-cpu", "cuda"), default="auto")
    add_arguments(parser)
    arguments = parser.parse_args(words)
    deadline = 4 * arguments.seconds + _SLACK_SECONDS
    with ProbeSession("benchmark", sinks_from(arguments), deadline) as session:
        _run(arguments, session)
    return session.exit_code


def _run(arguments: argparse.Namespace, session: ProbeSession) -> None:
    threads = usable_cores()
    for variable in _THREAD_VARIABLES:
        # BLAS reads these once, when numpy is imported: hence the imports below.
        os.environ[variable] = str(threads)
    try:
        from infertune_probes.benchmark import backends, plan
    except ImportError as error:
        raise CouldNotRun(codes.NUMPY_MISSING.unknown(str(error))) from error
    backend = backends.choose(arguments.device, arguments.seed, threads)
    if backend is None:
        why = f"torch offers no device for --device {arguments.device}"
        raise CouldNotRun(NO_DEVICE.unknown(why, "use --device auto or cpu"))
    swept = plan.Swept()
    matmul: list[dict[str, object]] = []
    section: dict[str, object] = {
        "kind": "benchmark",
        "device": backend.device,
        "backend": backend.name,
        "threads": threads,
        "seed": arguments.seed,
        "matmul": matmul,
    }
    session.result = section
    sizes = arguments.sizes or _default_sizes(backend)
    # One share for each size and one for the memory; larger sizes are last and may borrow.
    share = arguments.seconds / (len(sizes) * len(backend.dtypes) + 1)
    budget = plan.Budget(share, time.perf_counter)
    granted = cores_granted(threads) if backend.device == "cpu" else None
    with Notes() as notes:
        streams = _sweep(backend, sizes, budget, swept, session)
        if backend.device != "cpu":
            _against_peak(backend, swept, streams, notes, session)
            _on_gpus(arguments.seed, swept, budget, section, session)
    if backend.device == "cpu":
        _on_cpu(granted, threads, section, session)
    else:
        section["clocks"] = [noted.to_json() for noted in note(notes.readings)]
        section["clocksReason"] = notes.reason


def _default_sizes(backend: Backend) -> tuple[int, ...]:
    sizes = _sizes(DEFAULT_SIZES)
    return sizes if backend.device == "cpu" else tuple(sorted({*sizes, *VERDICT_SIZES}))


def _sweep(
    backend: Backend, sizes: tuple[int, ...], budget: Budget, swept: Swept, session: ProbeSession
) -> list[Stream]:
    from infertune_probes.benchmark import judgement, plan

    streams = plan.measure_streams(backend, budget)
    where = "host" if backend.device == "cpu" else "device"
    session.measurements += judgement.stream_measurements(streams, where)
    section = session.result if session.result is not None else {}
    section["streams"] = [stream.to_json() for stream in streams]
    peaks = peak_of(backend.device)
    try:
        plan.sweep(backend, sizes, budget, swept)
    finally:
        # Also what was measured before somebody stopped us.
        points = judgement.with_shares(swept.points, peaks)
        section["matmul"] = [point.to_json() for point in points]
        section["leftOut"] = list(swept.left_out)
        section["roofline"] = judgement.roofline(points, streams)
        session.measurements += judgement.measurements_of(points)
        session.findings += judgement.findings_of(points, swept.left_out)
        session.tables.append(_table(points))
    return streams


def _against_peak(
    backend: Backend, swept: Swept, streams: list[Stream], notes: Notes, session: ProbeSession
) -> None:
    from infertune_probes.benchmark import judgement

    peaks = peak_of(backend.device)
    points = judgement.with_shares(swept.points, peaks)
    setting = setting_of_busiest(list(notes.readings))
    session.findings += judgement.against_peak(backend.device, points, streams, peaks, setting)


def _on_cpu(
    granted: float | None, threads: int, section: dict[str, object], session: ProbeSession
) -> None:
    from infertune_probes.benchmark import judgement
    from infertune_probes.contract.envelope import measured, unmeasured

    section["coresGranted"] = granted
    session.findings += judgement.cores_finding(granted, threads)
    session.measurements.append(
        unmeasured("cores_granted", "1", "the processes could not be started")
        if granted is None
        else measured("cores_granted", "1", granted, threads)
    )


def _on_gpus(
    seed: int, swept: Swept, budget: Budget, section: dict[str, object], session: ProbeSession
) -> None:
    from infertune_probes.benchmark import fleet, neighbours

    launch = neighbours.launch_microseconds(seed, budget)
    section["launchMicroseconds"] = launch.value
    session.measurements.append(launch)
    speeds = neighbours.measure(seed, swept.points, budget)
    section["devices"] = [speed.to_json() for speed in speeds]
    figures = neighbours.ranked(speeds)
    if figures:
        section["compared"] = [figure.to_json() for figure in figures]
        session.findings += fleet.judge(figures)


def _table(points: list) -> Table:  # type: ignore[type-arg]
    rows = [
        (
            str(p.size),
            p.dtype,
            number(1e3 * p.seconds[1]),
            number(1e3 * (p.mean_seconds or p.seconds[1])),
            number(1e3 * (p.seconds[2] - p.seconds[0])),
            number(p.gflops / 1e3),
            "-" if p.peak_share is None else number(round(100 * p.peak_share, 1)),
            str(p.repeats),
        )
        for p in points
    ]
    columns = ("size", "type", "median ms", "mean ms", "IQR ms", "TFLOP/s", "% of peak", "n")
    return Table("matrix products", columns, rows)


def _sizes(text: str) -> tuple[int, ...]:
    sizes = tuple(sorted({int(word) for word in text.split(",") if word.strip()}))
    if not sizes or sizes[0] < 1:
        msg = f"{text!r} must be whole numbers, 1 or more"
        raise argparse.ArgumentTypeError(msg)
    return sizes


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        msg = f"{text!r} must be a finite number above 0"
        raise argparse.ArgumentTypeError(msg)
    return value


if __name__ == "__main__":
    raise SystemExit(main())
