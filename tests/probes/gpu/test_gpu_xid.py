"""XID errors of the kernel log, by who is to blame."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

from infertune_probes.gpu.xid import Xid, events_in, judge_xids, read_kernel_log
from tests.probes.gpu.machine import Machine, evidence, gpu_result, verdicts
from tests.probes.gpu.scenarios import h100, uuid_of

if TYPE_CHECKING:
    from pathlib import Path

FALLEN = "GPU has fallen off the bus."
LOG = """\
6,1,100,-;Linux version 6.1.0
4,2,200,-;NVRM: Xid (PCI:0000:3b:00): 79, pid=1, name=python, GPU has fallen off the bus.
4,3,300,-;NVRM: GPU at PCI:0000:3b:00: GPU-00000000-1111-4222-8333-444444444444
4,4,400,-;NVRM: Xid (PCI:0000:3C:00): 31, pid=77, name=python, Ch 00000010, MMU Fault
"""


def test_events_have_address_number_and_the_driver_s_words() -> None:
    first, second = events_in(LOG)
    assert (first.address, first.number) == ("0000:3b:00", 79)
    assert first.words.endswith(FALLEN)
    words = "pid=77, name=python, Ch 00000010, MMU Fault"
    assert second == Xid("0000:3c:00", 31, words)


@pytest.mark.parametrize(
    ("number", "code", "verdict"),
    [
        *((n, "XID_HARDWARE", "fail") for n in (48, 64, 74, 79, 92, 94, 95, 119, 120)),
        *((n, "XID_APPLICATION", "warn") for n in (13, 31, 43, 45)),
        # A row was put out of use, as it should be: no reason to take the node out.
        (63, "XID_HARDWARE", "warn"),
        (61, "XID_OTHER", "warn"),
    ],
)
def test_who_is_to_blame(tmp_path: Path, number: int, code: str, verdict: str) -> None:
    log = tmp_path / "kmsg"
    log.write_text(f"4,1,1,-;NVRM: Xid (PCI:0000:3b:00): {number}, words\n")
    (finding,) = judge_xids(read_kernel_log(log), {"0000:3b:00.0": "GPU-a"})
    assert (finding.code, finding.verdict) == (code, verdict)
    assert finding.evidence == f"XID {number} on GPU-a (1x); last: words"


def test_a_repair_beside_a_defect_is_the_defect_s(tmp_path: Path) -> None:
    log = tmp_path / "kmsg"
    log.write_text("NVRM: Xid (PCI:0000:3b:00): 63, a\nNVRM: Xid (PCI:0000:3b:00): 48, b\n")
    assert [finding.verdict for finding in judge_xids(read_kernel_log(log), {})] == ["fail"]


def test_the_probe_tells_hardware_and_program_apart(machine: Machine) -> None:
    machine.driver(h100())
    (machine.root / "dev/kmsg").write_text(LOG)
    ran = machine.run()
    assert ran.exit_code == 1
    assert evidence(ran, "XID_HARDWARE").startswith(f"XID 79 on {uuid_of(0)} (1x); last: pid=1")
    assert evidence(ran, "XID_APPLICATION").startswith("XID 31 on 0000:3c:00 (1x)")
    told = {code: verdict for code, verdict in verdicts(ran).items() if code.startswith("XID")}
    assert told == {"XID_HARDWARE": "fail", "XID_APPLICATION": "warn"}
    assert [(x.address, x.number) for x in gpu_result(ran).xids or ()] == [
        ("0000:3b:00", 79),
        ("0000:3c:00", 31),
    ]


def test_a_log_that_cannot_be_read_is_unknown_and_never_clean(machine: Machine) -> None:
    machine.driver(h100())
    (machine.root / "dev/kmsg").unlink()
    ran = machine.run()
    assert verdicts(ran)["XID_UNKNOWN"] == "unknown"
    assert gpu_result(ran).xids is None


def test_the_log_may_lie_elsewhere(machine: Machine) -> None:
    machine.driver(h100())
    elsewhere = machine.folder / "kern.log"
    elsewhere.write_text("Nov 22 10:00:00 node-a kernel: NVRM: Xid (PCI:0000:3b:00): 48, DBE\n")
    assert verdicts(machine.run("--kernel-log", str(elsewhere)))["XID_HARDWARE"] == "fail"


def test_a_record_that_is_overwritten_while_it_is_read_is_passed_over(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """/dev/kmsg gives a record per read, EPIPE for a lost one, and EAGAIN at its end."""
    answers: list[bytes | int] = [
        b"4,1,1,-;NVRM: Xid (PCI:0000:3b:00): 79, first\n",
        errno.EPIPE,
        b"4,9,9,-;NVRM: Xid (PCI:0000:3b:00): 79, second\n",
        errno.EAGAIN,
    ]

    def read(_descriptor: int, _size: int) -> bytes:
        answer = answers.pop(0)
        if isinstance(answer, int):
            raise OSError(answer, "as the kernel says")
        return answer

    log = tmp_path / "kmsg"
    log.write_text("")
    monkeypatch.setattr(os, "read", read)
    found = read_kernel_log(log)
    assert [event.words for event in found.events or ()] == ["first", "second"]


def test_a_flood_of_events_is_bounded(tmp_path: Path) -> None:
    log = tmp_path / "kmsg"
    log.write_text("4,1,1,-;NVRM: Xid (PCI:0000:3b:00): 13, again\n" * 1000)
    found = read_kernel_log(log)
    assert found.events is not None
    assert len(found.events) == 200
