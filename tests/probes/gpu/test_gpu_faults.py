"""A driver that hangs, dies, lies or is old; and a probe that is told to stop meanwhile."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

import pytest

from infertune_probes.contract.load import parse_log, parse_summary
from tests.probes.gpu.machine import (
    Machine,
    child_of,
    ended,
    evidence,
    gpu_result,
    interrupt,
    verdicts,
    wait_for_samples,
)
from tests.probes.gpu.scenarios import LOST, h100, uuid_of

if TYPE_CHECKING:
    from pathlib import Path

# Long enough for the start of a child on a busy machine.
SOON = ("--deadline-seconds", "8")


@pytest.mark.parametrize(("on_bus", "code"), [(1, 1), (0, 0)])
def test_a_hung_start_is_a_finding_within_the_deadline(
    machine: Machine, on_bus: int, code: int
) -> None:
    began = time.monotonic()
    machine.driver(init="hang", bus=on_bus)
    ran = machine.run(*SOON)
    assert (ran.exit_code, ran.codes[0]) == (code, "NVML_HUNG")
    words = "in nvmlInit: no answer within 8 s"
    assert evidence(ran, "NVML_HUNG").startswith(words)
    assert "torch: not asked, because NVML hung" in evidence(ran, "NVML_HUNG")
    assert time.monotonic() - began < 25.0


def test_a_call_that_hangs_is_named_and_the_devices_before_it_are_kept(machine: Machine) -> None:
    machine.driver(h100(0), h100(1, power="hang"), h100(2))
    ran = machine.run(*SOON)
    assert ran.exit_code == 1
    assert evidence(ran, "NVML_HUNG").startswith(
        "in nvmlDeviceGetPowerUsage of device 1: no answer within 8 s"
    )
    assert evidence(ran, "DEVICE_HEALTHY").startswith(f"device 0 ({uuid_of(0)})")
    assert [device.index for device in gpu_result(ran).devices] == [0]
    assert gpu_result(ran).device_count == 3


def test_a_crash_inside_the_library_is_named_and_kills_only_the_child(machine: Machine) -> None:
    machine.driver(h100(0), h100(1, rows_corrected="crash"))
    ran = machine.run()
    assert (ran.exit_code, verdicts(ran)["NVML_CRASHED"]) == (1, "fail")
    assert evidence(ran, "NVML_CRASHED").startswith(
        "in nvmlDeviceGetRemappedRows of device 1: ended by SIGSEGV"
    )
    assert evidence(ran, "DEVICE_HEALTHY").startswith("device 0")


def test_a_gpu_that_is_gone_when_asked(machine: Machine) -> None:
    machine.driver(h100(0, handle=LOST), h100(1))
    ran = machine.run()
    assert (ran.exit_code, verdicts(ran)["DEVICE_LOST"]) == (1, "fail")
    assert evidence(ran, "DEVICE_LOST") == "device 0 (no UUID): GPU is lost"
    assert evidence(ran, "DEVICE_HEALTHY").startswith("device 1")


@pytest.mark.parametrize(("answer", "words"), [(LOST, "GPU is lost"), ("!16", "requires restart")])
def test_a_gpu_that_falls_off_the_bus_while_it_is_read_keeps_its_uuid(
    machine: Machine, answer: str, words: str
) -> None:
    machine.driver(h100(temperature=answer))
    ran = machine.run()
    assert evidence(ran, "DEVICE_LOST").startswith(f"device 0 ({uuid_of(0)}): ")
    assert words in evidence(ran, "DEVICE_LOST")
    (device,) = gpu_result(ran).devices
    assert device.error is not None
    assert device.power_watts is None


def test_a_mismatch_of_library_and_kernel_module_is_said_in_the_driver_s_words(
    machine: Machine,
) -> None:
    machine.driver(init="!18", bus=1)
    assert "NVML/RM version mismatch" in evidence(machine.run(), "GPU_NOT_USABLE")


def test_a_driver_from_before_the_calls_had_their_present_names(
    tmp_path: Path, old_nvml_library: Path
) -> None:
    old = Machine(tmp_path, old_nvml_library)
    old.driver(h100(reasons=0x40, compute="4242:1073741824", field230=None), driver="470.42.01")
    ran = old.run()
    (device,) = gpu_result(ran).devices
    assert (device.event_reasons, device.recovery_action) == (0x40, None)
    assert [(user.pid, user.used_memory_bytes) for user in device.tenants] == [(4242, 1 << 30)]
    assert verdicts(ran)["HW_SLOWDOWN"] == "warn"


def test_violations_come_from_field_values_where_the_call_is_gone(machine: Machine) -> None:
    machine.driver(h100(violation0=None, field74=123_000))
    (device,) = gpu_result(machine.run()).devices
    assert device.violations is not None
    assert device.violations.power_nanoseconds == 123_000


def test_sigterm_while_nvml_hangs_leaves_a_partial_envelope_and_no_child(machine: Machine) -> None:
    machine.driver(init="hang", bus=1)
    message = machine.folder / "termination"
    process = machine.start("--termination-log", str(message))
    child = child_of(process)
    stdout, _ = interrupt(process)
    envelope = parse_log(stdout, parse_summary(message.read_text()).sha256)
    assert (process.returncode, envelope.partial) == (2, True)
    assert [finding.code for finding in envelope.findings] == ["INTERRUPTED"]
    assert ended(child, within_seconds=20.0)


def test_a_torch_that_hangs_costs_its_deadline_and_nothing_else(machine: Machine) -> None:
    machine.driver(h100())
    machine.torch(hang=60, cuda="12.8")
    ran = machine.run(*SOON)
    seen = {source.name: source.reason for source in gpu_result(ran).sources}
    assert seen["torch"] == "no answer within 8 s"
    assert verdicts(ran)["DEVICE_HEALTHY"] == "pass"


def test_a_machine_without_a_gpu_waits_for_no_slow_torch(tmp_path: Path) -> None:
    """The default deadline is 20 s; the whole probe takes at most 10 s where there is no GPU."""
    bare = Machine(tmp_path, None)
    bare.torch(hang=60)
    ran = bare.run()
    seen = {source.name: source.reason for source in gpu_result(ran).sources}
    assert (ran.codes, seen["torch"]) == (["NO_DEVICE"], "no answer within 6 s")


def test_the_hard_deadline_ends_a_probe_whose_driver_is_slow_but_alive(machine: Machine) -> None:
    machine.driver(h100())
    ran = machine.run("--window", "60", "--hard-deadline-seconds", "1")
    assert (ran.exit_code, ran.envelope.partial) == (2, True)
    assert verdicts(ran)["DEADLINE_EXCEEDED"] == "unknown"


def test_sigterm_in_a_window_keeps_the_samples_until_then(machine: Machine) -> None:
    machine.driver(h100())
    output = machine.folder / "partial.json"
    message = machine.folder / "termination"
    flags = ("--output", str(output), "--termination-log", str(message), "--window", "60")
    process = machine.start(*flags, "--interval", "0.1")
    wait_for_samples(process)
    interrupt(process, signal.SIGTERM)
    assert process.returncode == 2
    assert '"partial":true' in output.read_text()
    assert '"smPercent"' in output.read_text()
