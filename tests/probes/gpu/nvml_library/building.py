"""Builds the scripted NVML library with a C compiler; without one, with Zig's from PyPI.

The library is a few kilobytes and takes a second, so it is built anew by every run of the tests.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).parent / "nvml.c"
SONAME = "libnvidia-ml.so.1"
ZIG = "ziglang==0.17.1"
_FLAGS = ["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror"]


def compiler(cache: Path) -> list[str]:
    """Return the command of a C compiler: $CC, cc, gcc or clang, else Zig in `cache`."""
    for name in (os.environ.get("CC"), "cc", "gcc", "clang"):
        if name and shutil.which(name):
            return [name]
    folder = cache / ZIG.replace("==", "-")
    program = folder / "ziglang" / "zig"
    if not program.exists():
        fetched = subprocess.run(
            [*_installer(), "-q", "--target", str(folder), ZIG],
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert program.exists(), (
            f"these tests build a small C library: there is no C compiler here, and {ZIG} cannot "
            f"be had from PyPI: install gcc\n{fetched.stderr}"
        )
    return [str(program), "cc"]


def _installer() -> list[str]:
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip", "install"]
    return [sys.executable, "-m", "uv", "pip", "install"]


def build(folder: Path, cache: Path, *defines: str) -> Path:
    """Build the library into `folder` and return the folder, for LD_LIBRARY_PATH."""
    folder.mkdir(parents=True, exist_ok=True)
    words = [f"-D{define}" for define in defines]
    command = [*compiler(cache), *_FLAGS, *words, "-o", str(folder / SONAME), str(SOURCE)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stderr}"
    return folder
