"""`python -m infertune_probes.benchmark`: matrix products and copies within a time budget.

It must not contain arithmetic. Trade-off: as many BLAS threads as the cgroup really grants; more
would be throttled in the middle of a product and measure the throttle.
"""

from __future__ import annotations

import argparse
import os
import time

from infertune_probes.contract.emit import add_arguments, sinks_from
from infertune_probes.contract.envelope import Finding
from infertune_probes.contract.host import usable_cores
from infertune_probes.contract.session import CouldNotRun, ProbeSession

DEFAULT_SIZES = "256,512,1024,2048,4096"
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def main(argv: list[str] | None = None) -> int:
    """Run the probe and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m infertune_probes.benchmark")
    parser.add_argument("--seconds", type=_positive, default=10.0, help="for everything")
    parser.add_argument("--sizes", type=_sizes, default=_sizes(DEFAULT_SIZES), metavar="N,N,...")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    add_arguments(parser)
    arguments = parser.parse_args(argv)
    with ProbeSession("benchmark", sinks_from(arguments)) as session:
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
        fix = "use an image with the `probes` extra"
        raise CouldNotRun(Finding("NUMPY_MISSING", "unknown", str(error), fix)) from error
    backend = backends.choose(arguments.device, arguments.seed)
    if backend is None:
        why = "torch sees no CUDA device"
        raise CouldNotRun(Finding("NO_DEVICE", "unknown", why, "use --device auto or cpu"))
    matmul: list[dict[str, object]] = []
    session.result = {
        "kind": "benchmark",
        "device": backend.device,
        "backend": backend.name,
        "threads": threads,
        "seed": arguments.seed,
        "matmul": matmul,
    }
    jobs = [(size, dtype) for dtype in backend.dtypes for size in arguments.sizes]
    # One share for each size and one for the copy; larger sizes are last and may borrow.
    share = arguments.seconds / (len(jobs) + 1)
    budget = plan.Budget(share, time.perf_counter)
    session.measurements.append(plan.measure_copy(backend, budget))
    points: list[plan.Point] = []
    left_out: list[str] = []
    for size, dtype in jobs:
        last = points[-1] if points and points[-1].dtype == dtype else None
        if not plan.fits(last, size, share):
            left_out.append(f"{size} {dtype}")
            continue
        points.append(plan.measure_point(backend, size, dtype, budget))
        matmul.append(points[-1].to_json())
    session.measurements += plan.measurements_of(points)
    session.findings += plan.findings_of(points, left_out)


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
