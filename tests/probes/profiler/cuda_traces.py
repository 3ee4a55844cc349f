"""Traces of a GPU, written after the format that Kineto documents. No time here was measured."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from infertune_probes.profiler.chrome_trace import Trace, read_trace

if TYPE_CHECKING:
    from pathlib import Path

GEMM = "sm80_xmma_gemm_bf16bf16_bf16f32_f32_tn_n_tilesize128x128x32"
POINTWISE = "void at::native::vectorized_elementwise_kernel<4, at::native::GeluFunctor>"


@dataclass
class Script:
    """Collects events in microseconds: the host on one lane, the device on another."""

    events: list[dict[str, Any]] = field(default_factory=list)
    correlation: int = 0

    def host(self, category: str, name: str, start: float, end: float, **args: Any) -> None:
        event = {"ph": "X", "cat": category, "name": name, "pid": 1, "tid": 1, "args": args}
        self.events.append({**event, "ts": start, "dur": end - start})

    def inference(self, start: float, end: float) -> None:
        self.host("user_annotation", "infertune::inference", start, end)

    def launch(
        self,
        at: float,
        kernel: tuple[str, float, float],
        operator: str = "aten::mm",
        category: str = "kernel",
        **args: Any,
    ) -> None:
        """An operator of 4 us around a launch of 2 us, and the kernel (name, start, end)."""
        self.correlation += 1
        number = self.correlation
        name, start, end = kernel
        self.host("cpu_op", operator, at, at + 4, **{"External id": number, **args})
        self.host("cuda_runtime", "cudaLaunchKernel", at + 1, at + 3, correlation=number)
        device = {"correlation": number, "External id": number, "stream": 7, "device": 0}
        event = {"ph": "X", "cat": category, "name": name, "pid": 0, "tid": 7, "args": device}
        self.events.append({**event, "ts": start, "dur": end - start})

    def allocation(self, at: float, size: int, allocated: int, reserved: int) -> None:
        args = {
            "Bytes": size,
            "Device Type": 1,
            "Device Id": 0,
            "Total Allocated": allocated,
            "Total Reserved": reserved,
            "Addr": 1,
        }
        event = {"ph": "i", "cat": "cpu_instant_event", "s": "t", "name": "[memory]"}
        self.events.append({**event, "pid": 1, "tid": 1, "ts": at, "args": args})

    def document(self) -> dict[str, Any]:
        return {
            "schemaVersion": 1,
            "deviceProperties": [{"id": 0, "name": "NVIDIA H100 80GB HBM3"}],
            "traceEvents": self.events,
        }

    def trace(self, folder: Path) -> Trace:
        path = folder / "trace.json"
        path.write_text(json.dumps(self.document(), indent=1), encoding="utf-8")
        return read_trace(path)
