"""The child that looks at the devices before anything is loaded: `... memory.device`.

Prints one JSON line: which device torch would use and its size, and who else is on the node's
visible devices. It must not judge. Trade-off: every visible device is looked at and not only the
first, because CUDA and NVML may count them in another order.
"""

from __future__ import annotations

import json
import sys
from typing import Any


def neighbours(nvml: Any) -> dict[str, object]:  # noqa: ANN401  # a module without types
    """Return the processes on the visible devices and the memory in use, or why unknown."""
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        return {"unknown": f"NVML: {error}"}
    try:
        handles = [
            nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())
        ]
        return {
            "processes": sum(
                len(nvml.nvmlDeviceGetComputeRunningProcesses(one)) for one in handles
            ),
            "usedShare": max(
                (_used_share(nvml.nvmlDeviceGetMemoryInfo(one)) for one in handles), default=0.0
            ),
        }
    except nvml.NVMLError as error:
        return {"unknown": f"NVML: {error}"}
    finally:
        nvml.nvmlShutdown()


def _used_share(memory: Any) -> float:  # noqa: ANN401  # a structure without types
    return float(memory.used) / float(memory.total)


def look() -> dict[str, object]:
    """Return the device that a step would use."""
    try:
        import torch
    except (ImportError, OSError, ValueError) as error:
        return {"error": f"torch: {error}", "torchMissing": True}
    version = str(torch.__version__)
    if not torch.cuda.is_available():
        return {"device": "cpu", "name": "cpu", "torch": version}
    try:
        import pynvml  # from nvidia-ml-py; travels with the bundle
    except ImportError:
        alone: dict[str, object] = {"unknown": "pynvml (nvidia-ml-py) is not installed"}
    else:
        # Before torch makes a context, so that what NVML sees is others'.
        alone = neighbours(pynvml)
    properties = torch.cuda.get_device_properties(0)
    return {
        "device": "cuda",
        "name": str(properties.name),
        "total": int(properties.total_memory),
        "torch": version,
        "neighbours": alone,
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(look()) + "\n")
