"""The GPU probes on a real GPU; elsewhere skipped, with the reason."""

import subprocess
import sys
from pathlib import Path

import pytest

from infertune_probes.contract.load import Envelope, parse_envelope

NVIDIA_VENDOR = "0x10de"


def nvidia_devices() -> int:
    vendors = Path("/sys/bus/pci/devices").glob("*/vendor")
    return sum(path.read_text().strip() == NVIDIA_VENDOR for path in vendors)


pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(nvidia_devices() == 0, reason="no NVIDIA device on this machine's PCI bus"),
]


def probed(tmp_path: Path, *words: str) -> Envelope:
    output = tmp_path / "envelope.json"
    subprocess.run([sys.executable, "-m", *words, "--output", str(output)], check=True, timeout=120)
    return parse_envelope(output.read_bytes())


def test_the_gpu_check_finds_what_the_bus_shows(tmp_path: Path) -> None:
    found = probed(tmp_path, "infertune_probes.gpu", "--require")
    assert found.verdict in {"pass", "warn"}, found.findings
    assert "NO_DEVICE" not in {finding.code for finding in found.findings}


def test_the_benchmark_measures_the_gpu(tmp_path: Path) -> None:
    found = probed(tmp_path, "infertune_probes.benchmark", "--device", "cuda", "--seconds", "20")
    best = next(m for m in found.measurements if m.name == "matmul_best")
    assert best.value is not None
    assert best.value > 1000.0, "a GPU multiplies at more than a teraflop a second"
