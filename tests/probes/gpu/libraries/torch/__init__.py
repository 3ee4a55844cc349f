"""A stand-in for torch, shaped by FAKE_TORCH: `devices`, `cuda`, `complaint`, `hang`."""

import ast
import os
import time
from types import SimpleNamespace
from typing import Any

_FACTS: Any = ast.literal_eval(os.environ.get("FAKE_TORCH") or "None")
if _FACTS is None:
    msg = "not one of this test"
    raise ImportError(msg)

__version__ = "2.8.0"
version = SimpleNamespace(cuda=_FACTS.get("cuda"), hip=None)


def _available() -> bool:
    if "hang" in _FACTS:
        time.sleep(_FACTS["hang"])
    return bool(_FACTS.get("devices"))


def _init() -> None:
    raise RuntimeError(_FACTS["complaint"])


cuda = SimpleNamespace(
    is_available=_available,
    device_count=lambda: len(_FACTS["devices"]),
    get_device_name=lambda index: _FACTS["devices"][index],
    init=_init,
)
