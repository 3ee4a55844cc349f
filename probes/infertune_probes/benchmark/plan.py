"""Which sizes fit the time and memory that were given, and how each is measured.

Pure but for the clock it is handed. It must not know how a product is computed, nor judge.
Trade-off: a size is left out when the last one predicts that it would not fit its share; it is
then named, so a short run is never mistaken for a small machine.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from infertune_probes.benchmark.backends import Unsupported
from infertune_probes.benchmark.timing import AGREEING_MEDIANS, GROUP, MIN_REPEATS, time_operation

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from infertune_probes.benchmark.backends import Backend

STREAM_BYTES = 128 * 1024 * 1024
MIN_POINT_SECONDS = 0.1
# Of the free memory, what a benchmark may take: the rest belongs to whoever else is there.
MEMORY_SHARE = 0.8
_WARMUP_SHARE = 0.4
_MEASURE_SHARE = 0.5
_BYTES = {"fp32": 4, "tf32": 4, "fp16": 2, "bf16": 2, "int8": 1, "fp8": 1}


@dataclass(frozen=True)
class Point:
    """One measured size; the seconds are lower quartile, median and upper quartile."""

    size: int
    dtype: str
    gflops: float
    repeats: int
    seconds: tuple[float, float, float]
    settled: bool
    error: float
    mean_seconds: float | None = None
    peak_share: float | None = None

    @property
    def intensity(self) -> float:
        """Operations for each byte that must be moved at least: the x of the roofline.

        2 n^3 operations over three matrices of n^2 cells: at 4 bytes a cell, n / 6.
        """
        return 2.0 * self.size / (3.0 * _BYTES[self.dtype])

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
            "meanSeconds": self.mean_seconds,
            "gflops": self.gflops,
            "settled": self.settled,
            "maxRelativeError": self.error if finite else None,
            "peakShare": self.peak_share,
            "intensityFlopsPerByte": self.intensity,
        }


@dataclass(frozen=True)
class Stream:
    """One way to move bytes: median and quartiles of its rate in GB/s (10^9 bytes)."""

    name: str
    gigabytes_per_second: float
    low: float
    high: float
    repeats: int

    def to_json(self) -> dict[str, object]:
        """Return the stream as a JSON object."""
        return {
            "name": self.name,
            "gigabytesPerSecond": self.gigabytes_per_second,
            "q1GigabytesPerSecond": self.low,
            "q3GigabytesPerSecond": self.high,
            "repeats": self.repeats,
        }


@dataclass(frozen=True)
class Budget:
    """The time for each point, and the clock that it is read from."""

    seconds: float
    clock: Callable[[], float]


@dataclass
class Swept:
    """What a sweep has so far; it is filled as it goes, so that an interruption loses nothing."""

    points: list[Point] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def sweep(backend: Backend, sizes: Sequence[int], budget: Budget, swept: Swept) -> None:
    """Measure every size and type that fits; the others are named with the reason."""
    room = backend.room_bytes()
    for dtype in backend.dtypes:
        last: Point | None = None
        for size in sorted({backend.size_for(size, dtype) for size in sizes}):
            needed = backend.needed_bytes(size, dtype)
            if room is not None and needed > MEMORY_SHARE * room:
                swept.left_out.append(
                    f"{size} {dtype} (memory: needs {needed >> 20} MiB of {room >> 20})"
                )
                continue
            if not fits(last, size, budget.seconds):
                swept.left_out.append(f"{size} {dtype} (time)")
                continue
            try:
                last = measure_point(backend, size, dtype, budget)
            except Unsupported as error:
                swept.left_out.append(f"{size} {dtype} ({error})")
                continue
            swept.points.append(last)


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
        mean_seconds=timing.mean_seconds,
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


def stream_bytes(room: int | None) -> int:
    """Return the size of one buffer: 128 MiB, less where memory is short (four are needed)."""
    if room is None:
        return STREAM_BYTES
    return max(1 << 20, min(STREAM_BYTES, int(MEMORY_SHARE * room) // 4))


def measure_streams(backend: Backend, budget: Budget) -> list[Stream]:
    """Return the rate of each way to move bytes; the budget is for all of them together."""
    moves = backend.streams(stream_bytes(backend.room_bytes()))
    seconds = budget.seconds / len(moves)
    found = []
    for name, (moved, move) in moves.items():
        timing = time_operation(
            move,
            budget.clock,
            _WARMUP_SHARE * seconds,
            max(MIN_POINT_SECONDS, _MEASURE_SHARE * seconds),
        )
        rates = [moved / s / 1e9 for s in (timing.q3_seconds, timing.q1_seconds)]
        median = moved / timing.median_seconds / 1e9
        found.append(Stream(name, median, rates[0], rates[1], timing.repeats))
    return found
