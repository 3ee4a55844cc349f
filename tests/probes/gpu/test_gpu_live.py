"""`--watch`: a table, CSV and JSON lines that end cleanly."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import signal
from typing import TYPE_CHECKING

import pytest

from tests.probes.gpu.machine import child_of, ended, interrupt, wait_for_samples
from tests.probes.gpu.scenarios import GIB, h100, t4, uuid_of

if TYPE_CHECKING:
    from tests.probes.gpu.machine import Machine

TWICE = ("--watch", "0.1", "--count", "2")


def test_csv_has_a_row_per_device_and_tick(machine: Machine) -> None:
    machine.driver(h100(reasons=0x24), t4(1, temperature="44,!15"))
    stdout, stderr = machine.start(*TWICE, "--format", "csv").communicate(timeout=60)
    rows = list(csv.DictReader(io.StringIO(stdout)))
    assert [(row["index"], row["error"]) for row in rows] == [
        ("0", ""),
        ("1", ""),
        ("0", ""),
        ("1", "GPU is lost"),
    ], stderr
    first = rows[0]
    assert (first["uuid"], first["name"]) == (uuid_of(0), "NVIDIA H100 80GB HBM3")
    assert (first["powerWatts"], first["framebufferUsedBytes"]) == ("70.5", str(GIB // 2))
    assert first["eventReasons"] == "software power cap|software thermal slowdown"
    told = (rows[1]["temperatureCelsius"], rows[3]["temperatureCelsius"])
    assert told == ("44", "")


def test_json_lines_hold_every_process(machine: Machine) -> None:
    machine.driver(h100(compute="4242:1024", process_use="4242:50:5:0:0"))
    stdout, _ = machine.start(*TWICE, "--format", "jsonl").communicate(timeout=60)
    lines = [json.loads(line) for line in stdout.splitlines()]
    assert [line["values"]["smPercent"] for line in lines] == [0.0, 0.0]
    user = {"pid": 4242, "kind": "compute", "usedMemoryBytes": 1024}
    assert lines[0]["processes"] == [user]
    assert [use["smPercent"] for use in lines[0]["use"]] == [50]


def test_the_table_says_what_is_not_known_with_a_question_mark(machine: Machine) -> None:
    machine.driver(h100(encoder=None, compute=f"4242:{4 * GIB}"))
    stdout, _ = machine.start("--watch", "0.1", "--count", "1").communicate(timeout=60)
    title, heads, row = stdout.splitlines()
    assert "(Ctrl-C ends)" in title
    assert heads.split()[:4] == ["gpu", "name", "C", "W"]
    words = "0 NVIDIA H100 80GB HBM3 31 70.5 0 0 ? 0 345 0.5 80.0 0.0 0.0 idle 4242(4.0)"
    assert row.split() == words.split()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "kill"])
def test_whoever_ends_it_ends_it_cleanly_and_leaves_no_child(machine: Machine, number: int) -> None:
    machine.driver(h100())
    # As a shell starts what runs in its background.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process = machine.start("--watch", "0.1", "--format", "jsonl")
    finally:
        signal.signal(signal.SIGINT, before)
    wait_for_samples(process)
    child = child_of(process)
    stdout, stderr = interrupt(process, number)
    assert (process.returncode, stderr) == (0, "")
    assert len(stdout.splitlines()) >= 1
    assert ended(child, within_seconds=20.0)


def test_a_reader_that_has_seen_enough_is_no_error(machine: Machine) -> None:
    machine.driver(h100())
    process = machine.start("--watch", "0.05", "--format", "jsonl")
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    process.stdout = None
    _, stderr = process.communicate(timeout=60)
    assert (process.returncode, stderr) == (0, "")


def test_a_terminal_is_redrawn_from_its_top(machine: Machine) -> None:
    machine.driver(h100())
    leader, follower = pty.openpty()
    process = machine.start_on(follower, *TWICE)
    os.close(follower)
    assert process.wait(60) == 0
    assert os.read(leader, 65536).decode().count("\033[H\033[2J") == 2
    os.close(leader)


def test_a_driver_that_hangs_ends_the_watching_and_names_the_call(machine: Machine) -> None:
    machine.driver(h100(memory_clock="2619,hang"))
    process = machine.start("--watch", "0.1", "--format", "csv", "--deadline-seconds", "8")
    stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, len(stdout.splitlines())) == (1, 2)
    assert stderr == (
        "the watching ended after 1 samples in nvmlDeviceGetClockInfo of device 0: "
        "no answer within 8.1 s\n"
    )


def test_no_driver_is_said_and_is_no_table(machine: Machine) -> None:
    machine.driver(init="!9")
    process = machine.start(*TWICE)
    stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stdout) == (1, "")
    assert "Driver Not Loaded" in stderr
