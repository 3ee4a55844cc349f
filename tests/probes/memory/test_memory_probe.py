"""The memory probe as a process: without torch, and with a real one where there is one."""

import os
import subprocess
from pathlib import Path

import pytest

from infertune_probes.contract.load import Envelope, parse_envelope
from infertune_probes.contract.memory_result import MemoryResult
from tests.contract.paths import ROOT
from tests.probes.torch_python import torch_python

WORKLOADS = ROOT / "tests" / "probes" / "workloads"
MIB = 1 << 20


def fill(folder: Path, *arguments: str) -> tuple[int, Envelope]:
    output = folder / "envelope.json"
    done = subprocess.run(
        [torch_python(), "-m", "infertune_probes.memory", *arguments, "--output", str(output)],
        env={**os.environ, "PYTHONPATH": str(ROOT / "probes"), "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=WORKLOADS,
        capture_output=True,
        text=True,
        timeout=115,
        check=False,
    )
    assert output.exists(), done.stderr
    return done.returncode, parse_envelope(output.read_bytes())


@pytest.mark.torch
def test_the_batch_where_memory_runs_out_is_found_and_nobody_is_killed(tmp_path: Path) -> None:
    """`hungry` takes 8 MiB per item; the rest is torch itself, hundreds of MiB."""
    code, envelope = fill(
        tmp_path,
        *("--entry", "tiny_model:hungry", "--input", "tiny_model:sized", "--device", "cpu"),
        *("--memory-bytes", str(1200 * MIB), "--start", "8", "--most", "256"),
    )
    result = envelope.result
    assert isinstance(result, MemoryResult)
    assert code == 0
    assert "BATCH_RUNS_OUT" in {finding.code for finding in envelope.findings}
    assert result.total_source == "--memory-bytes"
    per_item = {one.name: one.value for one in envelope.measurements}["memory_per_item"]
    assert per_item == pytest.approx(8 * MIB, rel=0.15)
    assert result.smallest_failing is not None
    assert result.largest_serving < result.largest_fitting < result.smallest_failing
    peaks = {step.batch: step.peak_bytes or 0 for step in result.steps if step.outcome == "fits"}
    assert max(peaks.values()) < 1200 * MIB
    reasons = {step.reason for step in result.steps if step.outcome == "out"}
    assert all("allocate" in (reason or "") for reason in reasons)


@pytest.mark.torch
def test_a_model_that_fails_is_not_called_too_large(tmp_path: Path) -> None:
    names = ("--entry", "tiny_model:broken", "--input", "tiny_model:sized", "--device", "cpu")
    _, envelope = fill(tmp_path, *names, "--memory-bytes", str(1200 * MIB))
    (finding,) = envelope.findings
    assert finding.code == "MEMORY_NOT_MEASURED"
    assert "ValueError: this model never works" in finding.evidence
