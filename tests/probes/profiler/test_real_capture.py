"""Real captures with a real torch, where there is one."""

import os
import subprocess
from pathlib import Path

import pytest

from infertune_probes.contract.load import Envelope, parse_envelope
from infertune_probes.contract.profiler_result import ProfilerResult
from tests.contract.paths import ROOT
from tests.probes.torch_python import torch_python

pytestmark = pytest.mark.torch
WORKLOADS = ROOT / "tests" / "probes" / "workloads"


def profile(folder: Path, *arguments: str) -> tuple[int, Envelope]:
    output = folder / "envelope.json"
    done = subprocess.run(
        [
            torch_python(),
            *("-m", "infertune_probes.profiler", *arguments, "--output", str(output)),
        ],
        env={**os.environ, "PYTHONPATH": str(ROOT / "probes"), "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=WORKLOADS,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert output.exists(), done.stderr
    return done.returncode, parse_envelope(output.read_bytes())


def model(envelope: Envelope) -> ProfilerResult:
    assert isinstance(envelope.result, ProfilerResult)
    return envelope.result


def test_a_careless_model_is_seen_through(tmp_path: Path) -> None:
    names = ("--entry", "tiny_model:careless", "--input", "tiny_model:sample")
    code, envelope = profile(tmp_path, *names, "--active", "2", "--device", "cpu")
    codes = {finding.code for finding in envelope.findings}
    assert code == 0
    assert {"PROFILE_READ", "AUTOGRAD_ON", "TRAINING_MODE"} <= codes
    result = model(envelope)
    assert (result.calls, result.device, result.autograd) == (2, "cpu", "recording")
    assert result.parameter_types == {"float32": 12_640}
    assert envelope.software is not None
    assert envelope.software.torch == result.torch


def test_a_careful_model_of_two_items_has_modules_stacks_and_flops(tmp_path: Path) -> None:
    names = ("--entry", "tiny_model:careful", "--input", "tiny_model:sample", "--batch", "4")
    _, envelope = profile(tmp_path, *names, "--mode", "detailed", "--device", "cpu")
    codes = {finding.code for finding in envelope.findings}
    assert not {"AUTOGRAD_ON", "TRAINING_MODE"} & codes
    result = model(envelope)
    assert result.flops_per_call is not None
    # The two dense layers alone: 2 * (4 * 16) * (32 * 128 + 128 * 32).
    assert result.flops_per_call >= 2 * 64 * (32 * 128 + 128 * 32)
    assert result.precisions == {"fp32": 1.0}
    assert all(table.rows for table in result.tables if table.name in ("modules", "stacks"))


def test_a_memory_capture_has_a_timeline_and_keeps_its_trace(tmp_path: Path) -> None:
    names = ("--factory", "tiny_model:Block", "--input", "tiny_model:sample")
    kept = ("--mode", "memory", "--artifacts", str(tmp_path / "kept"), "--device", "cpu")
    _, envelope = profile(tmp_path, *names, *kept)
    assert [artifact.name for artifact in envelope.artifacts] == ["trace.json.gz"]
    assert model(envelope).memory_timeline


@pytest.mark.parametrize(
    ("entry", "given", "words"),
    [
        ("tiny_model:broken", "tiny_model:sample", "ValueError: this model never works"),
        ("tiny_model:absent", "tiny_model:sample", "tiny_model has no absent"),
        ("no_such_module:model", "tiny_model:sample", "No module named 'no_such_module'"),
        ("tiny_model:careful", "nothing.json", "No such file"),
    ],
    ids=["the model fails", "no such callable", "no such module", "no such input"],
)
def test_a_model_that_cannot_be_called_is_told_with_its_reason(
    tmp_path: Path, entry: str, given: str, words: str
) -> None:
    code, envelope = profile(tmp_path, "--entry", entry, "--input", given)
    (finding,) = envelope.findings
    assert (code, finding.code) == (2, "PROFILE_NOT_CAPTURED")
    assert words in finding.evidence


def test_changes_of_the_call_are_timed_on_the_model_itself(tmp_path: Path) -> None:
    """Which of them pays depends on the machine; that each was tried or says why does not."""
    names = ("--entry", "tiny_model:careless", "--input", "tiny_model:sample", "--device", "cpu")
    _, envelope = profile(tmp_path, *names, "--compare", "--deadline-seconds", "104")
    variants = {one.name: one for one in model(envelope).variants}
    assert list(variants) == ["inference_mode", "bf16_autocast", "torch_compile", "channels_last"]
    assert all(one.median_ms is not None or one.note for one in variants.values())
    measured = [one for one in variants.values() if one.median_ms is not None]
    assert all((one.difference or 0.0) <= 0.02 for one in measured)
    assert variants["channels_last"].median_ms is None
