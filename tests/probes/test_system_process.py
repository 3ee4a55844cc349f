"""The system probe as a process: on this machine, on a tree, watched, and stopped."""

from __future__ import annotations

import csv
import io
import json
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from infertune_probes.contract.load import parse_envelope
from infertune_probes.contract.system_result import SystemResult
from tests.probes.running import run_probe, until_it_handles
from tests.probes.trees import plant

if TYPE_CHECKING:
    from pathlib import Path

PROBE = (sys.executable, "-m", "infertune_probes.system")
# Ends the process at the first attempt to open a file for writing, or to change the file system.
GUARDED = """
import os, runpy, sys
def guard(event, arguments):
    writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (
        os.O_WRONLY | os.O_RDWR | os.O_CREAT
    )
    if writes or event in ("os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.chmod",
                           "os.truncate", "shutil.rmtree", "subprocess.Popen", "os.system"):
        os.write(2, f"changes something: {event} {arguments}".encode())
        os._exit(99)
sys.argv = ["probe", "--window", "0.2", "--output", "-"]
sys.dont_write_bytecode = True
sys.addaudithook(guard)
runpy.run_module("infertune_probes.system", run_name="__main__")
"""


def test_a_real_window_of_this_machine(tmp_path: Path) -> None:
    began = time.monotonic()
    ran = run_probe(tmp_path, "system", "--window", "1")
    assert time.monotonic() - began < 1 + 3
    result = ran.envelope.result
    assert isinstance(result, SystemResult)
    assert ran.exit_code in (0, 1)
    assert 1.0 <= result.window_seconds < 2.0
    assert result.ticks >= 2
    values = {m.name: m.value for m in ran.envelope.measurements}
    shares = [values[f"cpu_{name}"] or 0.0 for name in ("user", "system", "iowait", "irq", "idle")]
    assert sum(shares) + (values["cpu_steal"] or 0.0) == pytest.approx(100.0)
    assert values["memory_total"] == ran.envelope.host.memory_bytes
    assert result.facts.clock_source
    assert result.processes.by_cpu


def test_nothing_is_changed_by_the_probe() -> None:
    """Neither a file nor a process comes of it: it runs on a read-only file system."""
    done = subprocess.run(
        [sys.executable, "-c", GUARDED], capture_output=True, timeout=30, check=False
    )
    assert done.returncode in (0, 1), done.stderr.decode()
    assert parse_envelope(done.stdout).probe == "system"


def test_a_machine_without_any_of_the_files_gives_an_honest_envelope(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    ran = run_probe(tmp_path, "system", "--root", str(tmp_path / "empty"), "--window", "0.1")
    assert (ran.exit_code, ran.envelope.verdict) == (0, "unknown")
    assert "Traceback" not in ran.stderr


def test_the_section_of_a_tree_keeps_what_was_read(tmp_path: Path) -> None:
    root, _ = plant(tmp_path, "pod-cgroup-v2", "two-sockets")
    ran = run_probe(tmp_path, "system", "--root", str(root), "--window", "0.1")
    result = ran.envelope.result
    assert isinstance(result, SystemResult)
    assert result.group.model_dump() == {
        "version": 2,
        "path": "/",
        "cpu_limit": 2.0,
        "cpu_limited_by": "sys/fs/cgroup",
        "memory_limit_bytes": 4 << 30,
        "memory_used_bytes": 4187593113,
        "memory_reclaimable_bytes": 104857600,
        "oom_kills": 1,
        "pids": 30,
        "pids_limit": None,
        "cpuset": "0-7",
    }
    assert result.facts.container_runtime == "containerd"
    assert result.facts.shared_memory_bytes == 64 << 20
    assert [(gpu.pci_bus_id, gpu.node, gpu.cpus) for gpu in result.facts.gpus] == [
        ("0000:81:00.0", 1, "4-7")
    ]
    suggested = {suggestion.code for suggestion in result.suggestions}
    assert {"SHM_SMALL", "FILES_LIMIT_LOW", "NUMA_GPU_FAR"} <= suggested


def watched(*flags: str) -> list[str]:
    done = subprocess.run(
        [*PROBE, "--watch", "0.1", "--count", "3", *flags],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    return done.stdout.splitlines()


def test_watching_as_json_lines() -> None:
    rows = [json.loads(line) for line in watched("--format", "jsonl")]
    assert len(rows) == 3
    assert all(0.0 <= row["cpu_user_percent"] <= 100.0 for row in rows)
    assert len({row["time"] for row in rows}) == 3


def test_watching_as_csv_has_one_head() -> None:
    rows = list(csv.DictReader(io.StringIO("\n".join(watched("--format", "csv")))))
    assert len(rows) == 3
    assert all(float(row["memory_available_bytes"]) > 0 for row in rows)


def test_watching_as_a_table_shows_figures_and_processes() -> None:
    lines = watched()
    assert sum(line.startswith("cpu_user_percent") for line in lines) == 3
    assert sum(line.split()[:2] == ["pid", "name"] for line in lines) == 3
    assert not any("\033" in line for line in lines), "no control characters into a pipe"


def test_what_is_not_known_is_empty_and_not_zero(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    flags = ("--root", str(tmp_path / "empty"), "--format")
    (_, row, *_) = watched(*flags, "csv")
    assert set(row.split(",")[2:]) == {""}
    told = json.loads(watched(*flags, "jsonl")[0])
    assert {value for name, value in told.items() if name not in ("time", "node")} == {None}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_whoever_stops_watching_gets_a_clean_end(number: signal.Signals) -> None:
    command = [*PROBE, "--watch", "0.1", "--format", "jsonl"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(number)
        _, complaints = process.communicate(timeout=10)
    assert (process.returncode, complaints) == (0, b"")


def test_a_reader_that_goes_away_ends_the_watch() -> None:
    command = [*PROBE, "--watch", "0.1", "--format", "jsonl"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(timeout=10) == 0
        assert process.stderr.read() == b""


@pytest.mark.parametrize(
    "flags",
    [
        ("--window", "0"),
        ("--window", "nan"),
        ("--pid", "me"),
        ("--watch", "0.01"),
        ("--top", "0"),
        ("--watch", "1", "--count", "0"),
    ],
)
def test_a_bad_flag_is_refused_with_its_value(flags: tuple[str, ...]) -> None:
    done = subprocess.run([*PROBE, *flags], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2
    assert repr(flags[-1]) in done.stderr


def test_sigterm_within_the_window_gives_a_partial_envelope(tmp_path: Path) -> None:
    output = tmp_path / "envelope.json"
    command = [*PROBE, "--window", "60", "--output", str(output)]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        until_it_handles(signal.SIGTERM, process.pid)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=10)
    envelope = parse_envelope(output.read_bytes())
    assert (process.returncode, envelope.partial) == (2, True)
    assert [finding.code for finding in envelope.findings] == ["INTERRUPTED"]
