"""The benchmark through a real torch: its CPU, and the CUDA path with a stand-in for the device."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from infertune_probes.contract.load import Envelope, parse_envelope
from infertune_probes.contract.load_result import BenchmarkResult
from tests.contract.paths import ROOT
from tests.probes.torch_python import torch_python

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.torch
ALL_TYPES = ("fp32", "tf32", "fp16", "bf16", "int8", "fp8")


def measured(folder: Path, *command: str) -> tuple[Envelope, BenchmarkResult]:
    output = folder / "envelope.json"
    done = subprocess.run(
        [torch_python(), *command, "--seconds", "3", "--output", str(output)],
        env={**os.environ, "PYTHONPATH": str(ROOT / "probes"), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert output.exists(), done.stderr
    envelope = parse_envelope(output.read_bytes())
    assert isinstance(envelope.result, BenchmarkResult)
    return envelope, envelope.result


def test_torch_on_the_cpu_multiplies_right(tmp_path: Path) -> None:
    command = ("-m", "infertune_probes.benchmark", "--device", "torch-cpu", "--sizes", "64,128")
    envelope, result = measured(tmp_path, *command)
    assert (result.backend, result.device) == ("torch", "cpu")
    assert set(result.best_gflops) == {"fp32", "bf16"}
    assert "RESULT_WRONG" not in {finding.code for finding in envelope.findings}


def test_every_type_of_a_hopper_is_measured_checked_and_compared(tmp_path: Path) -> None:
    """100 is no multiple of 16, so int8 and fp8 are measured at 112."""
    script = str(ROOT / "tests" / "probes" / "stand_in_cuda.py")
    envelope, result = measured(tmp_path, script, "--sizes", "64,100")
    codes = {finding.code for finding in envelope.findings}
    points = {(point.dtype, point.size) for point in result.matmul}
    left_out = {tuple(text.split()[:2]) for text in result.left_out}
    for dtype in ALL_TYPES:
        last = 112 if dtype in ("int8", "fp8") else 100
        assert (dtype, 64) in points
        assert (dtype, last) in points or (str(last), dtype) in left_out
    assert "RESULT_WRONG" not in codes
    assert {"GEMM_SHARE", "COPY_SHARE"} <= codes
    assert all(point.peak_share is not None for point in result.matmul)
    assert {stream.name for stream in result.streams} == {
        "copy",
        "triad",
        "to_device_pinned",
        "to_device_pageable",
        "to_host_pinned",
        "to_host_pageable",
    }
    assert result.launch_microseconds is not None
    assert [device.index for device in result.devices] == [0, 1]
    assert [figure.figure.partition("_")[0] for figure in result.compared] == ["matmul", "copy"]
    assert result.clocks or result.clocks_reason
