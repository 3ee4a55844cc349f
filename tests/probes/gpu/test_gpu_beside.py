"""The watch beside a trial's server: the real probe against the scripted driver."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from infertune_probes.contract.gpu_result import GpuResult
from infertune_probes.contract.load import Envelope, PayloadLost, parse_envelope, parse_summary
from infertune_probes.contract.newest import parse_newest
from tests.probes.gpu.scenarios import Value, h100, uuid_of

if TYPE_CHECKING:
    from tests.probes.gpu.machine import Machine

OWN_ERROR = "6,{},1,-;NVRM: Xid (PCI:0000:3b:00): 79, GPU has fallen off the bus.\n"
BUSY: dict[str, Value] = {"sm": 97, "memory_controller": 60, "reasons": 0}


def command(machine: Machine, *flags: str) -> list[str]:
    files = ("--root", str(machine.root), "--devices", str(machine.folder / "devices"))
    ends = ("--termination-log", str(machine.folder / "termination"))
    pace = ("--every", "1", "--interval", "0.1", *flags)
    return [sys.executable, "-m", "infertune_probes.gpu.beside", *files, *ends, *pace]


def given(machine: Machine, *uuids: str) -> None:
    (machine.folder / "devices").write_text(json.dumps(uuids))


def watched(machine: Machine, *flags: str, rounds: int = 2) -> Envelope:
    ran = subprocess.run(
        command(machine, "--rounds", str(rounds), *flags),
        env=machine.environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.count("BEGIN INFERTUNE RESULT") == rounds + 1
    return parse_newest(ran.stdout)


def found(envelope: Envelope) -> dict[str, tuple[str, str]]:
    return {f.code: (f.verdict, f.evidence) for f in envelope.findings}


def test_only_the_trials_device_is_watched_and_its_course_is_kept(machine: Machine) -> None:
    machine.driver(h100(0, ecc_uncorrected=9), h100(1, **BUSY))
    given(machine, uuid_of(1))
    envelope = watched(machine)
    assert isinstance(envelope.result, GpuResult)
    assert [device.uuid for device in envelope.result.devices] == [uuid_of(1)]
    window = envelope.result.window
    assert window is not None
    (device,) = window.devices
    assert device.index == 1
    assert {value for _, value in device.courses["smPercent"]} == {97.0}
    assert len(device.courses["smPercent"]) >= 10
    told = found(envelope)
    assert told["TRIAL_DEVICE"] == ("pass", uuid_of(1))
    assert {code for code, (verdict, _) in told.items() if verdict == "fail"} == set()


@pytest.mark.parametrize(
    ("change", "code", "verdict"),
    [
        pytest.param({"reasons": 0x80}, "HW_SLOWDOWN", "fail", id="a-power-brake"),
        pytest.param({"reasons": 0x20}, "SW_THERMAL_SLOWDOWN", "warn", id="too-hot"),
        pytest.param({"ecc_corrected": "3,3,3,4,5"}, "ECC_GROWING", "warn", id="memory-errors"),
        pytest.param({"ecc_uncorrected": "0,0,0,0,1"}, "ECC_UNCORRECTED", "fail", id="worse-ones"),
    ],
)
def test_what_happened_once_under_load_stays_in_every_later_envelope(
    machine: Machine, change: dict[str, Value], code: str, verdict: str
) -> None:
    machine.driver(h100(**{**BUSY, **change}))
    given(machine, uuid_of(0))
    told = found(watched(machine))
    assert told[code][0] == verdict
    assert uuid_of(0) in told[code][1]


def test_an_xid_of_before_is_history_and_one_during_the_watch_is_not(machine: Machine) -> None:
    machine.driver(h100(**BUSY))
    given(machine, uuid_of(0))
    log = machine.root / "dev/kmsg"
    log.write_text(OWN_ERROR.format(1))
    process = subprocess.Popen(
        command(machine), env=machine.environment(), stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    first = read_block(process)
    assert found(first)["XID_NONE"][0] == "pass"
    with log.open("a") as stream:
        stream.write(OWN_ERROR.format(2))
    deadline = time.monotonic() + 30
    while "XID_HARDWARE" not in found(envelope := read_block(process)):
        assert time.monotonic() < deadline
    assert found(envelope)["XID_HARDWARE"][0] == "fail"
    process.send_signal(signal.SIGTERM)
    rest, _ = process.communicate(timeout=15)
    assert process.returncode == 0
    last = parse_newest(rest)
    assert {"XID_HARDWARE", "INTERRUPTED"} <= set(found(last))
    summary = parse_summary((machine.folder / "termination").read_text())
    assert summary.verdict == "fail"


def read_block(process: subprocess.Popen[str]) -> Envelope:
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith("-----END"):
            break
    return parse_newest("".join(lines))


def test_without_a_list_of_the_gate_nothing_is_watched_and_that_is_said(machine: Machine) -> None:
    machine.driver(h100(**BUSY))
    envelope = watched(machine)
    assert found(envelope)["TRIAL_DEVICES_UNKNOWN"][0] == "unknown"
    assert envelope.verdict == "unknown"


def test_a_device_that_is_not_visible_here_is_unknown_and_not_lost(machine: Machine) -> None:
    machine.driver(h100(0))
    given(machine, uuid_of(5))
    told = found(watched(machine))
    assert told["TRIAL_DEVICES_UNKNOWN"][0] == "unknown"
    assert "DEVICE_LOST" not in told


def test_a_device_that_is_listed_no_more_is_lost(machine: Machine) -> None:
    machine.driver(h100(0, **BUSY), h100(1))
    given(machine, uuid_of(0), uuid_of(1))
    process = subprocess.Popen(
        command(machine), env=machine.environment(), stdout=subprocess.PIPE, text=True
    )
    assert "DEVICE_LOST" not in found(read_block(process))
    machine.driver(h100(0, **BUSY), bus=2)
    deadline = time.monotonic() + 30
    while "DEVICE_LOST" not in found(envelope := read_block(process)):
        assert time.monotonic() < deadline
    process.kill()
    process.communicate(timeout=15)
    assert uuid_of(1) in found(envelope)["DEVICE_LOST"][1]


def test_a_driver_that_hangs_under_the_watch_is_named(machine: Machine) -> None:
    machine.driver(h100(sm_clock="345,hang"))
    given(machine, uuid_of(0))
    told = found(watched(machine, "--deadline-seconds", "3", "--every", "8", rounds=1))
    assert told["WINDOW_CUT"][0] == "fail"
    assert uuid_of(0) in told["WINDOW_CUT"][1]


def test_the_newest_whole_block_counts() -> None:
    with pytest.raises(PayloadLost):
        parse_newest("only words")


def test_a_block_that_is_cut_gives_way_to_the_one_before(machine: Machine) -> None:
    machine.driver(h100(**BUSY))
    given(machine, uuid_of(0))
    ran = subprocess.run(
        command(machine, "--rounds", "1"),
        env=machine.environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    whole, cut = parse_newest(ran.stdout), parse_newest(ran.stdout[:-200])
    assert cut.finished_at < whole.finished_at
    plain = machine.folder / "last.json"
    subprocess.run(
        command(machine, "--rounds", "1", "--output", str(plain)),
        env=machine.environment(),
        timeout=60,
        check=True,
    )
    assert parse_envelope(plain.read_bytes()).probe == "gpu"
