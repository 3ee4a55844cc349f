"""A stand-in for nvidia-ml-py, shaped by the JSON in FAKE_VERSIONS_NVML.

`{"init": "text"}` fails at start, `{"hang": 30}` never answers; a field that a device lacks is not
supported.
"""

# ruff: noqa: N802  # the names are NVML's

from __future__ import annotations

import json
import os
import time
from types import SimpleNamespace
from typing import Any

FAKE: Any = json.loads(os.environ.get("FAKE_VERSIONS_NVML", '{"init": "Driver Not Loaded"}'))


class NVMLError(Exception):
    pass


def _field(holder: Any, name: str) -> Any:
    if name not in holder:
        raise NVMLError("Not Supported")
    return holder[name]


def nvmlInit() -> None:
    time.sleep(FAKE.get("hang", 0))
    if "init" in FAKE:
        raise NVMLError(FAKE["init"])


def nvmlShutdown() -> None:
    pass


def nvmlSystemGetDriverVersion() -> bytes:
    return str(_field(FAKE, "driver")).encode()


def nvmlSystemGetCudaDriverVersion_v2() -> int:
    return int(_field(FAKE, "cuda"))


def nvmlDeviceGetCount() -> int:
    return len(FAKE.get("devices", []))


def nvmlDeviceGetHandleByIndex(index: int) -> Any:
    return FAKE["devices"][index]


def nvmlDeviceGetUUID(handle: Any) -> str:
    return str(_field(handle, "uuid"))


def nvmlDeviceGetName(handle: Any) -> str:
    return str(_field(handle, "name"))


def nvmlDeviceGetBrand(handle: Any) -> int:
    return int(_field(handle, "brand"))


def nvmlDeviceGetCudaComputeCapability(handle: Any) -> tuple[int, int]:
    major, minor = _field(handle, "capability")
    return major, minor


def nvmlDeviceGetComputeRunningProcesses(handle: Any) -> list[int]:
    return [1] * int(_field(handle, "processes"))


def nvmlDeviceGetMemoryInfo(handle: Any) -> SimpleNamespace:
    return SimpleNamespace(used=_field(handle, "used"), total=80_000)
