"""A stand-in for nvidia-ml-py, shaped by the JSON in FAKE_NVML; put first on PYTHONPATH.

`{"init": "text"}` fails at start, `{"hang": 30}` never answers, `{"devices": [...]}` has devices;
a field that a device lacks is not supported.
"""

# ruff: noqa: N802  # the names are NVML's

from __future__ import annotations

import json
import os
import time
from types import SimpleNamespace
from typing import Any

Handle = dict[str, Any]

FAKE: Any = json.loads(os.environ.get("FAKE_NVML", '{"devices": []}'))

NVML_TEMPERATURE_GPU = 0
NVML_MEMORY_ERROR_TYPE_UNCORRECTED = 1
NVML_VOLATILE_ECC = 0


class NVMLError(Exception):
    pass


def _field(handle: Handle, name: str) -> Any:
    if name not in handle:
        raise NVMLError("Not Supported")
    return handle[name]


def nvmlInit() -> None:
    if "hang" in FAKE:
        time.sleep(FAKE["hang"])
    if "init" in FAKE:
        raise NVMLError(FAKE["init"])


def nvmlShutdown() -> None:
    pass


def nvmlSystemGetDriverVersion() -> bytes:
    return b"580.65.06"


def nvmlSystemGetCudaDriverVersion_v2() -> int:
    return 13000


def nvmlDeviceGetCount() -> int:
    return len(FAKE["devices"])


def nvmlDeviceGetHandleByIndex(index: int) -> Handle:
    if "lost" in FAKE["devices"][index]:
        raise NVMLError("GPU is lost")
    return dict(FAKE["devices"][index])


def nvmlDeviceGetUUID(handle: Handle) -> bytes:
    return str(_field(handle, "uuid")).encode()


def nvmlDeviceGetName(handle: Handle) -> Any:
    return _field(handle, "name")


def nvmlDeviceGetPciInfo(handle: Handle) -> SimpleNamespace:
    return SimpleNamespace(busId=_field(handle, "bus").encode())


def nvmlDeviceGetMemoryInfo(handle: Handle) -> SimpleNamespace:
    total, used = _field(handle, "memory")
    return SimpleNamespace(total=total, used=used, free=total - used)


def nvmlDeviceGetUtilizationRates(handle: Handle) -> SimpleNamespace:
    return SimpleNamespace(gpu=_field(handle, "utilisation"))


def nvmlDeviceGetTemperature(handle: Handle, _sensor: int) -> Any:
    return _field(handle, "temperature")


def nvmlDeviceGetPowerUsage(handle: Handle) -> Any:
    return _field(handle, "milliwatts")


def nvmlDeviceGetEnforcedPowerLimit(handle: Handle) -> Any:
    return _field(handle, "limit_milliwatts")


def nvmlDeviceGetTotalEccErrors(handle: Handle, _kind: int, _counter: int) -> Any:
    return _field(handle, "ecc")


def nvmlDeviceGetCurrentClocksEventReasons(handle: Handle) -> Any:
    return _field(handle, "reasons")


def nvmlDeviceGetComputeRunningProcesses(handle: Handle) -> list[None]:
    return [None] * _field(handle, "processes")


def nvmlDeviceGetFieldValues(handle: Handle, fields: list[int]) -> list[SimpleNamespace]:
    assert fields == [230]
    known = "recovery" in handle
    value = SimpleNamespace(uiVal=handle.get("recovery", 0))
    return [SimpleNamespace(nvmlReturn=0 if known else 3, value=value)]
