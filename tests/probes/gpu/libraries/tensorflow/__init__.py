"""A stand-in for TensorFlow, shaped by FAKE_TENSORFLOW: `devices`, `cuda`; empty: not usable."""

import ast
import os
from types import SimpleNamespace
from typing import Any

_FACTS: Any = ast.literal_eval(os.environ.get("FAKE_TENSORFLOW") or "None")
if _FACTS is None:
    msg = "not one of this test"
    raise ImportError(msg)

__version__ = "2.20.0"
sysconfig = SimpleNamespace(get_build_info=lambda: {"cuda_version": _FACTS.get("cuda")})
config = SimpleNamespace(
    list_physical_devices=lambda _kind: [
        SimpleNamespace(name=name) for name in _FACTS.get("devices", [])
    ]
)
