"""The gpu probe against a fake NVML, a fake PCI bus and a fake nvidia-smi."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from infertune_probes.contract.load import parse_log, parse_summary
from infertune_probes.contract.load_result import GpuResult
from tests.probes.running import Ran, run_probe

FAKES = Path(__file__).parent / "fake_modules"
HEALTHY = {
    "uuid": "GPU-aaaa",
    "name": "NVIDIA L4",
    "bus": "00000000:3B:00.0",
    "memory": [24_000_000_000, 1_000_000_000],
    "utilisation": 3,
    "temperature": 41,
    "milliwatts": 17_500,
    "limit_milliwatts": 72_000,
    "ecc": 0,
    "reasons": 0,
    "processes": 0,
    "recovery": 0,
}


def a_bus(directory: Path, gpus: int) -> Path:
    """A PCI bus with one network card, one NVIDIA audio function and so many GPUs."""
    root = directory / "pci"
    functions = [("0000:00:03.0", "0x1af4", "0x020000"), ("0000:3b:00.1", "0x10de", "0x040300")]
    functions += [(f"0000:{0x3B + i:02x}:00.0", "0x10de", "0x030200") for i in range(gpus)]
    for address, vendor, kind in functions:
        (root / address).mkdir(parents=True)
        (root / address / "vendor").write_text(f"{vendor}\n")
        (root / address / "class").write_text(f"{kind}\n")
    return root


def surroundings(directory: Path, nvml: object, smi: str | None) -> dict[str, str]:
    tools = directory / "bin"
    tools.mkdir()
    if smi is not None:
        (tools / "nvidia-smi").write_text(f"#!/bin/sh\n{smi}\n")
        (tools / "nvidia-smi").chmod(0o755)
    path = f"{tools}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PYTHONPATH": str(FAKES), "FAKE_NVML": json.dumps(nvml), "PATH": path}


def run_gpu(
    directory: Path,
    nvml: object,
    *,
    on_bus: int,
    smi: str | None = None,
    flags: tuple[str, ...] = (),
) -> Ran:
    bus = a_bus(directory, on_bus)
    env = surroundings(directory, nvml, smi)
    return run_probe(directory, "gpu", "--pci-root", str(bus), *flags, env=env)


def test_a_healthy_gpu_on_which_all_agree(tmp_path: Path) -> None:
    ran = run_gpu(tmp_path, {"devices": [HEALTHY]}, on_bus=1, smi="echo GPU-aaaa")
    result = ran.envelope.result
    assert isinstance(result, GpuResult)
    assert (ran.exit_code, ran.codes) == (0, ["GPU_PRESENT", "DEVICE_HEALTHY"])
    assert (result.driver_version, result.cuda_driver_version) == ("580.65.06", "13.0")
    (device,) = result.devices
    assert device.model_dump() == {
        "index": 0,
        "uuid": "GPU-aaaa",
        "name": "NVIDIA L4",
        "pci_bus_id": "00000000:3b:00.0",
        "memory_total_bytes": 24_000_000_000,
        "memory_used_bytes": 1_000_000_000,
        "memory_free_bytes": 23_000_000_000,
        "utilisation_percent": 3.0,
        "temperature_celsius": 41.0,
        "power_watts": 17.5,
        "power_limit_watts": 72.0,
        "ecc_uncorrected": 0,
        "event_reasons": 0,
        "processes": 0,
    }


@pytest.mark.parametrize(("flags", "code"), [((), 0), (("--require",), 1)])
def test_no_gpu_is_a_fact_and_only_a_failure_when_one_is_required(
    tmp_path: Path, flags: tuple[str, ...], code: int
) -> None:
    nvml = {"init": "NVML Shared Library Not Found"}
    ran = run_gpu(tmp_path, nvml, on_bus=0, smi="exit 9", flags=flags)
    (finding,) = ran.envelope.findings
    assert (ran.exit_code, finding.code) == (code, "NO_DEVICE")
    assert finding.verdict == ("fail" if flags else "unknown")
    assert finding.evidence.startswith("pci: 0; nvml: NVML Shared Library Not Found; nvidia-smi:")


def test_a_device_that_no_driver_serves_is_not_called_absent(tmp_path: Path) -> None:
    ran = run_gpu(tmp_path, {"init": "Driver Not Loaded"}, on_bus=1, flags=("--require",))
    assert (ran.exit_code, ran.codes) == (1, ["GPU_NOT_USABLE"])


def test_a_bus_that_cannot_be_read_proves_no_absence(tmp_path: Path) -> None:
    env = surroundings(tmp_path, {"init": "NVML Shared Library Not Found"}, None)
    ran = run_probe(tmp_path, "gpu", "--pci-root", str(tmp_path / "absent"), env=env)
    assert (ran.exit_code, ran.codes, ran.envelope.verdict) == (0, ["GPU_UNKNOWN"], "unknown")


@pytest.mark.parametrize(("on_bus", "code"), [(1, 1), (0, 0)])
def test_a_hung_nvml_is_a_finding_within_the_deadline(
    tmp_path: Path, on_bus: int, code: int
) -> None:
    began = time.monotonic()
    flags = ("--deadline-seconds", "0.7")
    ran = run_gpu(tmp_path, {"hang": 60}, on_bus=on_bus, flags=flags)
    assert (ran.exit_code, ran.codes) == (code, ["NVML_HUNG"])
    assert "no answer within 0.7 s" in ran.envelope.findings[0].evidence
    assert time.monotonic() - began < 5.0


def test_witnesses_that_disagree_are_a_finding(tmp_path: Path) -> None:
    """Two on the bus, one in NVML (perhaps not ours to see), none in nvidia-smi (broken)."""
    smi = "echo No devices were found"
    ran = run_gpu(tmp_path, {"devices": [HEALTHY]}, on_bus=2, smi=smi)
    assert ran.exit_code == 1
    assert ran.codes == ["GPU_PRESENT", "BUS_DISAGREES", "SOURCES_DISAGREE", "DEVICE_HEALTHY"]


@pytest.mark.parametrize(
    ("change", "code", "verdict"),
    [
        pytest.param({"ecc": 2}, "ECC_UNCORRECTED", "fail", id="ecc"),
        pytest.param({"reasons": 0x48}, "HW_SLOWDOWN", "warn", id="thermal-slowdown"),
        pytest.param({"recovery": 1}, "RECOVERY_NEEDED", "fail", id="driver-wants-a-reset"),
        pytest.param({"lost": True}, "DEVICE_LOST", "fail", id="fell-off-the-bus"),
        pytest.param({"reasons": 0x4}, "DEVICE_HEALTHY", "pass", id="software-power-cap-is-normal"),
    ],
)
def test_health(tmp_path: Path, change: dict[str, object], code: str, verdict: str) -> None:
    ran = run_gpu(tmp_path, {"devices": [{**HEALTHY, **change}]}, on_bus=1)
    finding = ran.envelope.findings[-1]
    assert (finding.code, finding.verdict) == (code, verdict)


def test_what_nvml_will_not_tell_is_unknown_and_never_zero(tmp_path: Path) -> None:
    """A consumer card without ECC and temperature."""
    device = {name: HEALTHY[name] for name in ("uuid", "name", "reasons", "recovery")}
    ran = run_gpu(tmp_path, {"devices": [device]}, on_bus=1)
    result = ran.envelope.result
    assert isinstance(result, GpuResult)
    assert result.devices[0].ecc_uncorrected is None
    assert ran.codes == ["GPU_PRESENT", "HEALTH_PARTLY_UNKNOWN"]
    missing = {m.name: m.reason for m in ran.envelope.measurements if m.value is None}
    assert missing["gpu0_temperatureCelsius"] == "NVML does not tell"


def ended(pid: int, within_seconds: float) -> bool:
    """An orphan is gone, or a zombie that init has not collected yet."""
    stat, deadline = Path(f"/proc/{pid}/stat"), time.monotonic() + within_seconds
    while time.monotonic() < deadline:
        try:
            if stat.read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.05)
    return False


def test_sigterm_while_nvml_hangs_leaves_a_partial_envelope_and_no_child(tmp_path: Path) -> None:
    env = surroundings(tmp_path, {"hang": 61.5}, None)
    message = tmp_path / "termination"
    command = [sys.executable, "-m", "infertune_probes.gpu", "--termination-log", str(message)]
    process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 10
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while not (child := children.read_text().split()) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    stdout, _ = process.communicate(timeout=10)
    envelope = parse_log(stdout, parse_summary(message.read_text()).sha256)
    assert (process.returncode, envelope.partial) == (2, True)
    assert [finding.code for finding in envelope.findings] == ["INTERRUPTED"]
    assert ended(int(child[0]), within_seconds=5.0)
