"""A node and an image for the versions probe: stand-ins for NVML and torch, tools, kernel files."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infertune_probes.versions.witnesses import HINTS
from tests.probes.running import Ran, run_probe

if TYPE_CHECKING:
    from infertune_probes.contract.versions_result import VersionsResult

FAKES = Path(__file__).parent / "fake_modules"
H100 = {"uuid": "GPU-a", "name": "NVIDIA H100", "brand": 14, "capability": [9, 0]}
MODULE = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.98  Thu Jul 27 2023\nGCC version: x\n"
OPEN_MODULE = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  535.98  Release Build\n"
TORCH: dict[str, Any] = {
    "version": "2.7.0+cu126",
    "cuda": "12.6",
    "architectures": "sm_80 sm_90 compute_90",
    "cudnn_compiled": [9, 5, 1],
    "cudnn_loaded": 90501,
    "devices": [{"capability": [9, 0], "kernel": "right"}],
}

CPU_BUILD = {"version": "2.7.0+cpu", "cudnn_compiled": None, "cudnn_loaded": None}


def run_versions(
    directory: Path,
    *flags: str,
    nvml: object = None,
    torch: object = None,
    tools: dict[str, str] | None = None,
    module: str | None = None,
    hints: dict[str, str] | None = None,
) -> Ran:
    folder = directory / "bin"
    folder.mkdir()
    for name, script in (tools or {}).items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    root = directory / "root"
    if module is not None:
        (root / "proc/driver/nvidia").mkdir(parents=True)
        (root / "proc/driver/nvidia/version").write_text(module)
    env = {name: value for name, value in os.environ.items() if name not in HINTS}
    env |= {"PYTHONPATH": str(FAKES), "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}
    env |= {} if nvml is None else {"FAKE_VERSIONS_NVML": json.dumps(nvml)}
    env |= {} if torch is None else {"FAKE_TORCH": json.dumps(torch)}
    arguments = ("--root", str(root), *flags)
    return run_probe(directory, "versions", *arguments, env=env | (hints or {}))


def the_535_node(directory: Path, *flags: str, **changed: Any) -> Ran:
    """A node with driver 535.98 and an H100, and the image with torch 2.7.0 of CUDA 12.6."""
    world: dict[str, Any] = {
        "nvml": {"driver": "535.98", "cuda": 12020, "devices": [H100]},
        "torch": TORCH,
        "tools": {"nvidia-smi": "echo 535.98"},
        "module": MODULE,
    }
    return run_versions(directory, *flags, **{**world, **changed})


def result_of(ran: Ran) -> VersionsResult:
    assert ran.envelope.versions is not None
    return ran.envelope.versions
