"""Which matrix sizes fit the time that was given, and what the results mean.

Pure but for the clock it is handed. It must not know how a product is computed. Trade-off: a
size is left out when the last one predicts that it would not fit its share; the finding then
names it, so a short run is never mistaken for a small machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from infertune_probes.benchmark.timing import AGREEING_MEDIANS, GROUP, MIN_REPEATS, time_operation
from infertune_probes.contract.envelope import Finding, Measurement, measured, unmeasured

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from infertune_probes.benchmark.backends import Backend

# Worst error of a correct product of random numbers, over the largest true value.
TOLERANCE = {"float32": 1e-3, "bfloat16": 5e-2}
COPY_BYTES = 128 * 1024 * 1024
MIN_POINT_SECONDS = 0.1
_WARMUP_SHARE = 0.4
_MEASURE_SHARE = 0.5


@dataclass(frozen=True)
class Point:
    """One measured size."""

    size: int
    dtype: str
    gflops: float
    repeats: int
    seconds: tuple[float, float, float]
    settled: bool
    error: float

    def to_json(self) -> dict[str, object]:
        """Return the point as a JSON object; an error that is not finite becomes null."""
        finite = self.error == self.error and self.error != float("inf")
        q1, median, q3 = self.seconds
        return {
            "size": self.size,
            "dtype": self.dtype,
            "repeats": self.repeats,
            "medianSeconds": median,
            "q1Seconds": q1,
            "q3Seconds": q3,
            "gflops": self.gflops,
            "settled": self.settled,
            "maxRelativeError": self.error if finite else None,
        }


@dataclass(frozen=True)
class Budget:
    """The time for everything, and the clock that it is read from."""

    seconds: float
    clock: Callable[[], float]


def measure_point(backend: Backend, size: int, dtype: str, budget: Budget) -> Point:
    """Measure one size within its budget (longer only for the minimum number of repeats)."""
    backend.prepare(size, dtype)
    measure_seconds = max(MIN_POINT_SECONDS, _MEASURE_SHARE * budget.seconds)
    timing = time_operation(
        backend.multiply, budget.clock, _WARMUP_SHARE * budget.seconds, measure_seconds
    )
    # A product of n x n matrices is n^2 dot products of n multiplications and n additions.
    gflops = 2.0 * size**3 / timing.median_seconds / 1e9
    return Point(
        size=size,
        dtype=dtype,
        gflops=gflops,
        repeats=timing.repeats,
        seconds=(timing.q1_seconds, timing.median_seconds, timing.q3_seconds),
        settled=timing.settled,
        error=backend.relative_error(),
    )


def fits(last: Point | None, size: int, share_seconds: float) -> bool:
    """Return whether a size's least number of products fits twice its share.

    Example: 1 ms at 512 predicts 8 ms at 1024; 14 products are 112 ms and fit a share of 60 ms.
    """
    if last is None:
        return True
    predicted = last.seconds[1] * (size / last.size) ** 3
    least = GROUP * AGREEING_MEDIANS + MIN_REPEATS
    return least * predicted <= 2 * share_seconds


def findings_of(points: Sequence[Point], left_out: Sequence[str]) -> list[Finding]:
    """Return the findings of the matrix products."""
    wrong = [point for point in points if not point.error <= TOLERANCE[point.dtype]]
    findings = [
        Finding(
            "RESULT_WRONG",
            "fail",
            f"{point.dtype} product of size {point.size} is off by {point.error:.2g} of its "
            f"largest value (allowed {TOLERANCE[point.dtype]:g})",
            "do not trust this device; test its memory",
        )
        for point in wrong
    ]
    if points and not wrong:
        best = max(points, key=lambda point: point.gflops)
        evidence = f"best {best.gflops:.1f} GFLOP/s, {best.dtype} at size {best.size}"
        findings.append(Finding("BENCHMARK_MEASURED", "pass", evidence))
    unsettled = ", ".join(f"{p.size} {p.dtype}" for p in points if not p.settled)
    if unsettled:
        evidence = f"three medians never agreed within 1 %: {unsettled}"
        fix = "another process shares the device, or its clock moves; run longer"
        findings.append(Finding("NOT_SETTLED", "warn", evidence, fix))
    if left_out:
        evidence = f"left out for want of time: {', '.join(left_out)}"
        findings.append(Finding("SIZES_LEFT_OUT", "warn", evidence, "raise --seconds"))
    return findings


def measurements_of(points: Sequence[Point]) -> list[Measurement]:
    """Return one measurement per size and the best of all."""
    if not points:
        return [unmeasured("matmul_best", "GFLOP/s", "no size was measured")]
    each = [
        measured(f"matmul_{point.size}_{point.dtype}", "GFLOP/s", point.gflops, point.repeats)
        for point in points
    ]
    best = max(points, key=lambda point: point.gflops)
    return [*each, measured("matmul_best", "GFLOP/s", best.gflops, best.repeats)]


def measure_copy(backend: Backend, budget: Budget) -> Measurement:
    """Return the copy bandwidth in GB/s, bytes read plus bytes written."""
    moved = backend.prepare_copy(COPY_BYTES)
    timing = time_operation(
        backend.copy, budget.clock, _WARMUP_SHARE * budget.seconds, _MEASURE_SHARE * budget.seconds
    )
    name = f"{'host' if backend.device == 'cpu' else 'device'}_copy_bandwidth"
    return measured(name, "GB/s", moved / timing.median_seconds / 1e9, timing.repeats)
