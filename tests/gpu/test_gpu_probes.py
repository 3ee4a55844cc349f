"""The GPU probes on a real GPU; elsewhere skipped, with the reason."""

import csv
import io
import subprocess
import sys
from pathlib import Path

import pytest

from infertune_probes.contract.gpu_result import GpuResult
from infertune_probes.contract.load import Envelope, parse_envelope

NVIDIA_VENDOR = "0x10de"
GPU = "infertune_probes.gpu"


def nvidia_devices() -> int:
    """Return how many are on the bus; a container may show its devices without /sys."""
    vendors = Path("/sys/bus/pci/devices").glob("*/vendor")
    on_bus = sum(path.read_text().strip() == NVIDIA_VENDOR for path in vendors)
    return on_bus or len(list(Path("/dev").glob("nvidia[0-9]*")))


pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(nvidia_devices() == 0, reason="no NVIDIA device on this machine's PCI bus"),
]


def probed(tmp_path: Path, *words: str) -> Envelope:
    output = tmp_path / "envelope.json"
    done = subprocess.run(
        [sys.executable, "-m", *words, "--output", str(output)], check=False, timeout=120
    )
    # A sick device fails the check and not this test, which is about the probe.
    assert done.returncode in (0, 1)
    return parse_envelope(output.read_bytes())


def gpu_result(found: Envelope) -> GpuResult:
    assert isinstance(found.result, GpuResult)
    return found.result


def test_the_gpu_check_finds_a_device_and_tells_its_vital_signs(tmp_path: Path) -> None:
    found = probed(tmp_path, GPU, "--require")
    codes = {finding.code for finding in found.findings}
    assert "GPU_PRESENT" in codes, found.findings
    assert codes & {"NVML_HUNG", "NVML_CRASHED", "PROBE_CRASHED", "SOURCES_DISAGREE"} == set()
    for device in gpu_result(found).devices:
        sys.stdout.write(f"{device.name} {device.uuid} unread: {device.unread}\n")
        assert device.uuid is not None
        assert device.memory_total_bytes is not None
        assert device.temperature_celsius is not None
        assert device.clocks is not None
        assert "this nvidia-ml-py does not know the call" not in device.unread.values()


def test_what_nvidia_smi_says_is_what_the_probe_says(tmp_path: Path) -> None:
    fields = "uuid,name,driver_version,memory.total,pcie.link.width.max,ecc.mode.current"
    query = ["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader,nounits"]
    text = subprocess.run(query, capture_output=True, text=True, check=True, timeout=60).stdout
    rows = list(csv.reader(io.StringIO(text), skipinitialspace=True))
    result = gpu_result(probed(tmp_path, GPU))
    assert [(d.uuid, d.name) for d in result.devices] == [(row[0], row[1]) for row in rows]
    for device, row in zip(result.devices, rows, strict=True):
        assert result.driver_version == row[2]
        assert device.memory_total_bytes == pytest.approx(float(row[3]) * 2**20, rel=0.02)
        assert device.pcie is not None
        assert str(device.pcie.max_width) == row[4]
        if row[5] in ("Enabled", "Disabled"):
            assert device.ecc is not None
            assert device.ecc.enabled == (row[5] == "Enabled")


def test_a_window_over_a_working_device_is_busy_and_judges_its_link(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="no torch here, so nothing can work the device")
    work = (
        "import time, torch; a = torch.randn(4096, 4096, device='cuda'); end = time.time() + 40\n"
        "while time.time() < end:\n    a = (a @ a).clamp(-1, 1); torch.cuda.synchronize()"
    )
    worker = subprocess.Popen([sys.executable, "-c", work])
    try:
        found = probed(tmp_path, GPU, "--window", "12", "--interval", "0.5", "--expect-busy")
    finally:
        worker.kill()
        worker.wait()
    verdicts = {finding.code: finding.verdict for finding in found.findings}
    assert "GPU_BUSY" in verdicts, verdicts
    assert "PCIE_UNDER_LOAD" in verdicts
    window = gpu_result(found).window
    assert window is not None
    means = {name: told.mean for name, told in window.devices[0].fields.items()}
    sys.stdout.write(f"{means}\n")
    assert window.devices[0].fields["powerWatts"].n >= 20


def test_an_idle_device_where_load_was_expected_is_not_used(tmp_path: Path) -> None:
    found = probed(tmp_path, GPU, "--window", "4", "--interval", "0.5", "--expect-busy")
    used = {f.code for f in found.findings} & {"GPU_NOT_USED", "GPU_BUSY", "GPU_USE_UNKNOWN"}
    sys.stdout.write(f"{[f.evidence for f in found.findings if f.code in used]}\n")
    assert used, "one of the three is always said"


def test_watching_prints_a_row_per_device_and_tick() -> None:
    flags = ["--watch", "0.5", "--count", "3", "--format", "csv"]
    done = subprocess.run(
        [sys.executable, "-m", GPU, *flags], capture_output=True, text=True, check=True, timeout=60
    )
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert len(rows) % 3 == 0
    assert all(row["uuid"].startswith(("GPU-", "MIG-")) for row in rows)


def test_the_benchmark_measures_the_gpu(tmp_path: Path) -> None:
    found = probed(tmp_path, "infertune_probes.benchmark", "--device", "cuda", "--seconds", "20")
    best = next(m for m in found.measurements if m.name == "matmul_best")
    assert best.value is not None
    assert best.value > 1000.0, "a GPU multiplies at more than a teraflop a second"
