"""The benchmark on a real GPU; elsewhere skipped, with the reason."""

import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from infertune_probes.contract.gpu_peaks import peak_of
from infertune_probes.contract.load import Envelope, parse_envelope
from infertune_probes.contract.load_result import BenchmarkResult
from tests.gpu.test_gpu_probes import nvidia_devices

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(nvidia_devices() == 0, reason="no NVIDIA device on this machine's PCI bus"),
]


@lru_cache(maxsize=1)
def benchmarked() -> Envelope:
    """Return one run with the sizes of the verdict; measured once for all tests."""
    with TemporaryDirectory() as folder:
        output = Path(folder) / "envelope.json"
        words = ("--device", "cuda", "--seconds", "40", "--output", str(output))
        command = [sys.executable, "-m", "infertune_probes.benchmark", *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        assert output.exists(), done.stderr
        return parse_envelope(output.read_bytes())


def section() -> BenchmarkResult:
    result = benchmarked().result
    assert isinstance(result, BenchmarkResult)
    return result


@pytest.mark.timeout(330)
def test_every_product_is_right_and_none_beats_its_peak() -> None:
    """A rate above the peak would mean that the clock started too late."""
    codes = {finding.code for finding in benchmarked().findings}
    assert "RESULT_WRONG" not in codes
    shares = {(p.dtype, p.size): p.peak_share for p in section().matmul if p.peak_share}
    assert not {point: share for point, share in shares.items() if share > 1.0}


@pytest.mark.timeout(330)
def test_a_known_device_gets_a_verdict_and_an_unknown_one_does_not() -> None:
    verdicts = {finding.code: finding.verdict for finding in benchmarked().findings}
    if peak_of(section().device) is None:
        assert verdicts["PEAK_UNKNOWN"] == "unknown"
    else:
        assert verdicts["GEMM_SHARE"] in {"pass", "warn"}, benchmarked().findings
        assert verdicts["COPY_SHARE"] in {"pass", "warn"}, benchmarked().findings


@pytest.mark.timeout(330)
def test_transfers_launch_and_clocks_are_plausible() -> None:
    rates = {stream.name: stream.gigabytes_per_second for stream in section().streams}
    assert rates["to_device_pinned"] > rates["to_device_pageable"]
    assert rates["copy"] > rates["to_device_pinned"]
    assert 1.0 < (section().launch_microseconds or 0.0) < 500.0
    assert section().clocks or section().clocks_reason
