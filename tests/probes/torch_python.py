"""Finds a Python that has torch, or says why tests that need one are skipped.

PyPI's torch for Linux brings gigabytes of CUDA along, so the development lock has none. Name an
interpreter that has it: INFERTUNE_TORCH_PYTHON=/path/to/python make test-full.
"""

from __future__ import annotations

import functools
import os
import subprocess
import sys

import pytest

VARIABLE = "INFERTUNE_TORCH_PYTHON"


@functools.lru_cache(maxsize=1)
def torch_python() -> str:
    """Return the interpreter; skip the test when there is none."""
    python = os.environ.get(VARIABLE, sys.executable)
    tried = subprocess.run(
        [python, "-c", "import torch"], capture_output=True, text=True, timeout=110, check=False
    )
    if tried.returncode != 0:
        last = tried.stderr.strip().splitlines()[-1:]
        pytest.skip(f"{python} has no torch ({''.join(last)}); set {VARIABLE} to a Python that has")
    return python
