"""The GPUs of one node, one after the other, in the same product and copy.

It must not judge. Trade-off: one after the other, so that one device's heat and the host's
bandwidth do not colour its neighbour; whether they hold when all work at once is for a longer test.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from infertune_probes.benchmark.backends import Unsupported
from infertune_probes.benchmark.fleet import Member, Ranked
from infertune_probes.benchmark.plan import measure_point, stream_bytes
from infertune_probes.benchmark.timing import time_operation
from infertune_probes.contract.envelope import measured, unmeasured

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infertune_probes.benchmark.plan import Budget, Point
    from infertune_probes.contract.envelope import Measurement

_MICRO = 1e6


@dataclass(frozen=True)
class Speed:
    """One GPU in the product and the copy that all of them ran."""

    index: int
    device: str
    size: int
    dtype: str
    gflops: float
    copy_gigabytes_per_second: float
    settled: bool

    def to_json(self) -> dict[str, object]:
        """Return the speed as a JSON object."""
        return {
            "index": self.index,
            "device": self.device,
            "size": self.size,
            "dtype": self.dtype,
            "gflops": self.gflops,
            "copyGigabytesPerSecond": self.copy_gigabytes_per_second,
            "settled": self.settled,
        }


def launch_microseconds(seed: int, budget: Budget) -> Measurement:
    """Return the round trip of a kernel that does nothing: launch and wait."""
    import torch

    from infertune_probes.benchmark.torch_backend import CudaBackend

    name = "kernel_launch_round_trip"
    try:
        timing = time_operation(
            CudaBackend(torch, seed, 0).launch(), budget.clock, budget.seconds / 2, 0.1
        )
    except RuntimeError as error:
        return unmeasured(name, "us", str(error).splitlines()[0])
    return measured(name, "us", _MICRO * timing.median_seconds, timing.repeats)


def measure(seed: int, points: Sequence[Point], budget: Budget) -> list[Speed]:
    """Return every visible GPU in the fastest product of the first; none when there is but one."""
    import torch

    from infertune_probes.benchmark.torch_backend import CudaBackend

    if torch.cuda.device_count() < 2 or not points:  # noqa: PLR2004  # one has no neighbour
        return []
    best = max(points, key=lambda point: point.gflops)
    speeds = []
    for index in range(torch.cuda.device_count()):
        backend = CudaBackend(torch, seed, index)
        try:
            point = measure_point(backend, best.size, best.dtype, budget)
        except Unsupported:
            continue
        moved, copy = backend.streams(stream_bytes(backend.room_bytes()))["copy"]
        timing = time_operation(copy, budget.clock, 0.1, 0.1)
        rate = moved / timing.median_seconds / 1e9
        speeds.append(
            Speed(index, backend.device, best.size, best.dtype, point.gflops, rate, point.settled)
        )
    return speeds


def ranked(speeds: Sequence[Speed]) -> list[Ranked]:
    """Return the figures of each kind of GPU that the node has more than one of."""
    figures = []
    for kind in sorted({speed.device for speed in speeds}):
        own = [speed for speed in speeds if speed.device == kind]
        if len(own) > 1:
            where = [(f"gpu {speed.index}", speed) for speed in own]
            product = tuple(Member(w, s.gflops, settled=s.settled) for w, s in where)
            copy = tuple(Member(w, s.copy_gigabytes_per_second) for w, s in where)
            name = f"matmul_{own[0].size}_{own[0].dtype}"
            figures += [Ranked(kind, name, "GFLOP/s", product), Ranked(kind, "copy", "GB/s", copy)]
    return figures
