"""The child that really touches NVML or torch: `python -m infertune_probes.gpu.reader nvml|torch`.

Prints one JSON object and exits; it must not judge. It may hang, its parent has the deadline. A
field that NVML will not tell (not supported, no permission) is null, never zero. Trade-off: the
fields are read one by one, so that one missing field costs only itself.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

# Field value NVML_FI_DEV_GET_GPU_RECOVERY_ACTION; newer than some packaged pynvml.
_RECOVERY_ACTION = 230


def read_nvml(nvml: Any) -> dict[str, object]:  # noqa: ANN401  # a module or a handle without types
    """Return driver, CUDA version and devices as NVML sees them, or the error of its start."""
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        return {"error": str(error)}
    try:
        return {
            "driver": _or_none(nvml, lambda: _text(nvml.nvmlSystemGetDriverVersion())),
            "cuda": _or_none(nvml, lambda: _cuda(nvml.nvmlSystemGetCudaDriverVersion_v2())),
            "devices": [_device(nvml, index) for index in range(nvml.nvmlDeviceGetCount())],
        }
    except nvml.NVMLError as error:
        return {"error": str(error)}
    finally:
        nvml.nvmlShutdown()


def _device(nvml: Any, index: int) -> dict[str, object]:  # noqa: ANN401  # a module or a handle without types
    device: dict[str, object] = {"index": index}
    try:
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
    except nvml.NVMLError as error:
        device["error"] = str(error)
        return device
    for name, read in _readers(nvml, handle).items():
        device[name] = _or_none(nvml, read)
    return device


def _readers(nvml: Any, handle: Any) -> dict[str, Callable[[], object]]:  # noqa: ANN401  # a module or a handle without types
    def memory(part: str) -> Callable[[], object]:
        return lambda: int(getattr(nvml.nvmlDeviceGetMemoryInfo(handle), part))

    return {
        "uuid": lambda: _text(nvml.nvmlDeviceGetUUID(handle)),
        "name": lambda: _text(nvml.nvmlDeviceGetName(handle)),
        "pciBusId": lambda: _text(nvml.nvmlDeviceGetPciInfo(handle).busId).lower(),
        "memoryTotalBytes": memory("total"),
        "memoryUsedBytes": memory("used"),
        "memoryFreeBytes": memory("free"),
        "utilisationPercent": lambda: float(nvml.nvmlDeviceGetUtilizationRates(handle).gpu),
        "temperatureCelsius": lambda: float(
            nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU)
        ),
        "powerWatts": lambda: nvml.nvmlDeviceGetPowerUsage(handle) / 1000.0,
        "powerLimitWatts": lambda: nvml.nvmlDeviceGetEnforcedPowerLimit(handle) / 1000.0,
        # Volatile: since the driver was loaded. Old aggregate errors may long be repaired.
        "eccUncorrected": lambda: int(
            nvml.nvmlDeviceGetTotalEccErrors(
                handle, nvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED, nvml.NVML_VOLATILE_ECC
            )
        ),
        "eventReasons": lambda: int(nvml.nvmlDeviceGetCurrentClocksEventReasons(handle)),
        "processes": lambda: len(nvml.nvmlDeviceGetComputeRunningProcesses(handle)),
        "recoveryAction": lambda: _recovery_action(nvml, handle),
    }


def _recovery_action(nvml: Any, handle: Any) -> int | None:  # noqa: ANN401  # a module or a handle without types
    value = nvml.nvmlDeviceGetFieldValues(handle, [_RECOVERY_ACTION])[0]
    return int(value.value.uiVal) if value.nvmlReturn == 0 else None


def _or_none(nvml: Any, read: Callable[[], object]) -> object:  # noqa: ANN401  # a module or a handle without types
    """Return what the reader returns; None when NVML or an older pynvml does not know it."""
    try:
        return read()
    except (nvml.NVMLError, AttributeError):
        return None


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _cuda(version: int) -> str:
    return f"{version // 1000}.{version % 1000 // 10}"


def read_torch() -> dict[str, object]:
    """Return the devices that torch can use, or why it cannot be asked."""
    try:
        import torch  # optional
    except ImportError:
        return {"error": "torch is not installed"}
    if not torch.cuda.is_available():
        return {"devices": [], "build": str(torch.version.cuda)}
    count = torch.cuda.device_count()
    return {
        "devices": [str(torch.cuda.get_device_name(index)) for index in range(count)],
        "build": str(torch.version.cuda),
    }


def main(witness: str) -> None:
    """Print what the witness sees as one JSON line."""
    if witness == "torch":
        seen = read_torch()
    else:
        try:
            import pynvml  # from nvidia-ml-py; optional
        except ImportError:
            seen = {"error": "pynvml (nvidia-ml-py) is not installed"}
        else:
            seen = read_nvml(pynvml)
    sys.stdout.write(json.dumps(seen) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
