"""The scripted NVML library, built once, and a machine that has it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.probes.gpu.machine import Machine
from tests.probes.gpu.nvml_library.building import build

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "infertune"


@pytest.fixture(scope="session")
def nvml_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("nvml"), CACHE)


@pytest.fixture(scope="session")
def old_nvml_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("old-nvml"), CACHE, "OLD_DRIVER")


@pytest.fixture
def machine(tmp_path: Path, nvml_library: Path) -> Machine:
    return Machine(tmp_path, nvml_library)
