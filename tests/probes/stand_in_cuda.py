"""Runs the benchmark's CUDA path on the CPU: two devices, whose events are a stopwatch.

Only what names the device is replaced; the products of every number type are torch's own.
"""

import sys
import time
from typing import Any

import torch

from infertune_probes.benchmark import __main__ as probe
from infertune_probes.benchmark import torch_backend


class StopwatchEvent:
    def __init__(self, enable_timing: bool) -> None:
        assert enable_timing
        self.at = 0.0

    def record(self) -> None:
        self.at = time.perf_counter()

    def synchronize(self) -> None:
        pass

    def elapsed_time(self, other: "StopwatchEvent") -> float:
        return 1e3 * (other.at - self.at)


def main() -> int:
    cuda = torch.cuda
    replaced: dict[str, Any] = {
        "Event": StopwatchEvent,
        "synchronize": lambda *_: None,
        "set_device": lambda _: None,
        "is_available": lambda: True,
        "device_count": lambda: 2,
        "get_device_name": lambda _=0: "NVIDIA H100 80GB HBM3",
        "get_device_capability": lambda _=0: (9, 0),
        "mem_get_info": lambda *_: (2 << 30, 4 << 30),
    }
    for name, stand_in in replaced.items():
        setattr(cuda, name, stand_in)
    begin = torch_backend._TorchBackend.__init__

    def on_the_cpu(self: Any, module: Any, seed: int, _where: str) -> None:
        begin(self, module, seed, "cpu")

    torch_backend._TorchBackend.__init__ = on_the_cpu  # type: ignore[method-assign]
    ones = torch.ones

    def unpinned(*shape: Any, pin_memory: bool = False, **more: Any) -> Any:
        return ones(*shape, **more)

    torch.ones = unpinned
    torch_backend._FLUSH_BYTES = 1 << 20
    return probe.main(sys.argv[1:])


if __name__ == "__main__":
    raise SystemExit(main())
