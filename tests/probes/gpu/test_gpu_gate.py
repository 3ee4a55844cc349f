"""The gate before a trial's server: the real probe against the scripted driver."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from infertune_probes.contract.load import parse_summary
from tests.probes.gpu.machine import Machine, evidence, gpu_result, verdicts
from tests.probes.gpu.scenarios import GIB, NO_PERMISSION, NOT_SUPPORTED, Value, h100, uuid_of
from tests.probes.running import Ran, run_probe

if TYPE_CHECKING:
    from pathlib import Path


def gate(machine: Machine, *flags: str) -> Ran:
    flags = ("--root", str(machine.root), "--devices", str(machine.folder / "devices"), *flags)
    patience = ("--patience", "0") if "--patience" not in flags else ()
    return run_probe(machine.folder, "gpu.gate", *flags, *patience, env=machine.environment())


def written(machine: Machine) -> object:
    return json.loads((machine.folder / "devices").read_text())


def test_a_healthy_device_of_ones_own_lets_the_server_start(machine: Machine) -> None:
    machine.driver(h100())
    ran = gate(machine, "--asked", "1")
    assert ran.exit_code == 0
    assert written(machine) == [uuid_of(0)]
    assert {code for code, verdict in verdicts(ran).items() if verdict == "fail"} == set()
    assert evidence(ran, "TRIAL_DEVICE") == uuid_of(0)
    assert [device.uuid for device in gpu_result(ran).devices] == [uuid_of(0)]
    summary = parse_summary((machine.folder / "termination").read_text())
    assert ("TRIAL_DEVICE", uuid_of(0)) in {(f.code, f.evidence) for f in summary.findings}


@pytest.mark.parametrize(
    ("sick", "code"),
    [
        pytest.param({"ecc_uncorrected": 3}, "ECC_UNCORRECTED", id="memory-errors"),
        pytest.param({"rows_failure": 1}, "ROW_REMAP_FAILED", id="a-failed-remap"),
        pytest.param({"compute_mode": 2}, "COMPUTE_PROHIBITED", id="no-program-may-run"),
        pytest.param({"compute": "4242:3000000000"}, "TRIAL_DEVICE_SHARED", id="somebody-is-there"),
        pytest.param({"memory_used": 30 * GIB}, "TRIAL_DEVICE_SHARED", id="memory-of-somebody"),
    ],
)
def test_a_sick_or_a_shared_device_keeps_the_server_from_starting_and_is_named(
    machine: Machine, sick: dict[str, Value], code: str
) -> None:
    machine.driver(h100(**sick))
    ran = gate(machine, "--asked", "1")
    assert ran.exit_code == 1
    assert verdicts(ran)[code] == "fail"
    assert uuid_of(0) in evidence(ran, code)


def test_the_neighbours_of_the_device_are_no_affair_of_this_trial(machine: Machine) -> None:
    machine.driver(h100(0, ecc_uncorrected=9), h100(1), h100(2, memory_used=70 * GIB))
    machine.env["NVIDIA_VISIBLE_DEVICES"] = uuid_of(1)
    other = "6,1,1,-;NVRM: Xid (PCI:0000:3b:00): 79, GPU has fallen off the bus.\n"
    (machine.root / "dev/kmsg").write_text(other)
    ran = gate(machine, "--asked", "1")
    assert ran.exit_code == 0
    assert written(machine) == [uuid_of(1)]
    assert verdicts(ran)["XID_NONE"] == "pass"


def test_an_xid_of_the_device_itself_counts(machine: Machine) -> None:
    machine.driver(h100())
    own = "6,1,1,-;NVRM: Xid (PCI:0000:3b:00): 79, GPU has fallen off the bus.\n"
    (machine.root / "dev/kmsg").write_text(own)
    ran = gate(machine, "--asked", "1")
    assert (ran.exit_code, verdicts(ran)["XID_HARDWARE"]) == (1, "fail")


def test_more_devices_than_asked_for_are_nobodys(machine: Machine) -> None:
    machine.driver(h100(0, ecc_uncorrected=9), h100(1))
    ran = gate(machine, "--asked", "1")
    assert (ran.exit_code, verdicts(ran)["TRIAL_DEVICES_UNKNOWN"]) == (0, "unknown")
    assert not (machine.folder / "devices").exists()


def test_without_a_driver_nothing_is_known_and_only_a_required_check_refuses(
    tmp_path: Path,
) -> None:
    machine = Machine(tmp_path, None)
    assert gate(machine, "--asked", "1").exit_code == 0
    assert set(verdicts(gate(machine, "--asked", "1")).values()) == {"unknown"}
    assert gate(machine, "--asked", "1", "--require").exit_code == 1


def test_what_may_not_be_read_is_unknown_and_refuses_nothing(machine: Machine) -> None:
    hidden = dict.fromkeys(("compute", "graphics", "ecc_uncorrected"), NO_PERMISSION)
    machine.driver(h100(**hidden))
    ran = gate(machine, "--asked", "1")
    assert ran.exit_code == 0
    assert verdicts(ran)["HEALTH_PARTLY_UNKNOWN"] == "unknown"


def test_memory_that_the_cpu_shares_says_nothing_about_strangers(machine: Machine) -> None:
    unread = {"compute": NOT_SUPPORTED, "graphics": NOT_SUPPORTED, "mps": NOT_SUPPORTED}
    machine.driver(h100(name="NVIDIA GH200 480GB", memory_used=30 * GIB, **unread))
    ran = gate(machine, "--asked", "1")
    assert (ran.exit_code, verdicts(ran).get("TRIAL_DEVICE_SHARED")) == (0, None)
