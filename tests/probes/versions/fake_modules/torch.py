"""A stand-in for torch, shaped by the JSON in FAKE_TORCH; without it torch is not installed.

`devices` are the visible ones: each a capability and what becomes of a kernel on it: "right",
"wrong", "hang", or the text of the error.
"""

from __future__ import annotations

import json
import os
import time
from types import SimpleNamespace
from typing import Any

if "FAKE_TORCH" not in os.environ:
    raise ModuleNotFoundError("No module named 'torch'", name="torch")

FAKE: Any = json.loads(os.environ["FAKE_TORCH"])
DEVICES: Any = FAKE.get("devices", [])
if "CUDA_VISIBLE_DEVICES" in os.environ:
    chosen = [word for word in os.environ["CUDA_VISIBLE_DEVICES"].split(",") if word]
    DEVICES = [device for device in DEVICES if device.get("uuid") in chosen]

__version__ = FAKE["version"]
version = SimpleNamespace(cuda=FAKE.get("cuda"), hip=FAKE.get("hip"), git_version="abc123")
float32 = "float32"


def _compiled() -> tuple[int, ...]:
    return tuple(FAKE["cudnn_compiled"])


_C = SimpleNamespace(
    _cuda_getArchFlags=lambda: FAKE.get("architectures", ""),
    _cudnn=SimpleNamespace(getCompileVersion=_compiled),
)
backends = SimpleNamespace(cudnn=SimpleNamespace(version=lambda: FAKE["cudnn_loaded"]))


class Number:
    """A tensor as far as the probe computes with it: every operation leads to one number."""

    def __init__(self, device: str, value: float) -> None:
        self.fate = DEVICES[int(device.split(":")[1])]["kernel"]
        self.value = value

    def __mul__(self, _other: object) -> Number:
        return self

    def __add__(self, _other: object) -> Number:
        return self

    def __matmul__(self, _other: object) -> Number:
        return self

    def __getitem__(self, _index: object) -> Number:
        return self

    def sum(self) -> Number:
        return self

    def item(self) -> float:
        if self.fate == "hang":
            time.sleep(60)
        if self.fate not in {"right", "wrong"}:
            raise RuntimeError(self.fate)
        return self.value if self.fate == "right" else self.value + 1


def arange(_count: int, *, device: str, dtype: str) -> Number:
    assert dtype == float32
    return Number(device, 1_000_000.0)


def ones(rows: int, _columns: int, *, device: str) -> Number:
    return Number(device, float(rows))


def _properties(index: int) -> SimpleNamespace:
    major, minor = DEVICES[index]["capability"]
    return SimpleNamespace(name=f"GPU {index}", major=major, minor=minor)


cuda = SimpleNamespace(
    is_available=lambda: bool(DEVICES),
    device_count=lambda: len(DEVICES),
    get_device_properties=_properties,
    synchronize=lambda _index: None,
    nccl=SimpleNamespace(version=lambda: (2, 26, 2)),
)
