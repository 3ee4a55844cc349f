"""``infertune probe --watch``: many nodes in one stream, and none of them forgotten."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from infertune.cli.kubectl import KubectlError
from infertune.cli.probe_jobs import ProbeNode
from infertune.cli.probe_watch import Watch, check_watched, job_seconds, take_watch
from infertune.report.watch_rows import GPU_CSV_HEADS, as_csv, parse_row, screen
from infertune_probes.gpu.live import CsvLines

FAKE = Path(__file__).with_name("fake_kubectl.py")


def gpu_line(node: str, index: int, watts: float = 300.5) -> str:
    return json.dumps(
        {
            "time": "2026-03-01T12:00:00Z",
            "node": node,
            "index": index,
            "uuid": f"GPU-{index}",
            "name": "NVIDIA H100 80GB HBM3",
            "values": {
                "powerWatts": watts,
                "smPercent": 97.0,
                "framebufferUsedBytes": 42.0 * 2**30,
            },
            "counters": {"eccCorrected": 0},
            "eventReasons": ["software power cap"],
            "processes": [{"pid": 7}],
            "use": [],
            "error": None,
        }
    )


def system_line(node: str) -> str:
    return json.dumps({"time": "2026-03-01T12:00:00Z", "node": node, "cpu_user_percent": 12.5})


class Cluster:
    """Nodes by script, over the fake kubectl."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("nodes", "jobs"):
            (folder / name).mkdir()
        self.program = folder / "kubectl"
        self.program.write_text(f'#!/bin/sh\nexec {sys.executable} {FAKE} {folder} "$@"\n')
        self.program.chmod(0o755)

    def node(self, name: str, *lines: str, phase: str = "Running", **more: Any) -> None:
        script = {"phase": phase, "lines": lines, **more}
        (self.folder / "nodes" / f"{name}.json").write_text(json.dumps(script))

    def command(self, *words: str) -> list[str]:
        where = ["--kubectl", str(self.program), "--image", "probes:1", "--namespace", "ops"]
        return [sys.executable, "-m", "infertune.cli", "probe", *words, *where]

    def run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            self.command(*words), capture_output=True, text=True, timeout=60, check=False
        )

    @property
    def jobs_left(self) -> list[str]:
        return [path.name for path in (self.folder / "jobs").iterdir()]

    def made(self) -> list[dict[str, Any]]:
        return [json.loads(path.read_text()) for path in sorted(self.folder.glob("made-*.json"))]


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    return Cluster(tmp_path)


def test_rows_of_all_nodes_are_one_table_and_whoever_is_lost_is_named(cluster: Cluster) -> None:
    cluster.node("a", gpu_line("a", 0), gpu_line("a", 1), exit=0)
    cluster.node("b", "the watching ended: NVML Shared Library Not Found", exit=1, reason="Error")
    cluster.node("c", phase="Pending")
    done = cluster.run("gpu", "--all-nodes", "--watch", "1", "--count", "1", "--start-seconds", "1")
    assert done.returncode == 2, done.stderr
    last = done.stdout.rstrip().split("\n\n")[-1].splitlines()
    shown = [" ".join(line.split()) for line in last[2:]]
    assert shown[0].startswith("a 0 NVIDIA H100 80GB HBM3 ? 300.5 97 ? ? 42 ? ? software power cap")
    assert shown[1].startswith("a 1 NVIDIA H100 80GB HBM3")
    assert shown[2].startswith("b lost: the watching ended: NVML Shared Library Not Found; Error")
    assert shown[3] == "c lost: not started within 1 s: no image"
    assert cluster.jobs_left == []


def test_the_job_runs_the_probes_own_stream_and_ends_by_itself(cluster: Cluster) -> None:
    cluster.node("a", system_line("a"), exit=0)
    done = cluster.run("system", "--node", "a", "--watch", "1", "--count", "3", "--top", "5")
    assert done.returncode == 0, done.stderr
    (job,) = cluster.made()
    words = ["--watch", "1", "--count", "3", "--format", "jsonl", "--top", "5"]
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["args"] == ["infertune_probes.system", *words]
    assert job["spec"]["activeDeadlineSeconds"] == 120 + 6 + 60


def test_csv_has_one_head_and_the_node_where_it_was_read(cluster: Cluster) -> None:
    cluster.node("a", gpu_line("a", 0), exit=0)
    cluster.node("b", gpu_line("somebody-else", 3), "a warning of a library", exit=0)
    words = ("--watch", "1", "--count", "1", "--format", "csv")
    done = cluster.run("gpu", "--all-nodes", *words)
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert done.returncode == 0, done.stderr
    assert sorted((row["node"], row["index"], row["powerWatts"]) for row in rows) == [
        ("a", "0", "300.5"),
        ("b", "3", "300.5"),
    ]
    assert {row["pcieReplays"] for row in rows} == {""}


def test_json_lines_lose_nothing_and_trouble_is_on_standard_error(cluster: Cluster) -> None:
    cluster.node("a", gpu_line("a", 0), exit=0)
    cluster.node("b", phase="Pending")
    words = ("--watch", "1", "--count", "1", "--format", "jsonl", "--start-seconds", "1")
    done = cluster.run("gpu", "--all-nodes", *words)
    assert [json.loads(line) for line in done.stdout.splitlines()] == [json.loads(gpu_line("a", 0))]
    assert "b: lost: not started within 1 s: no image" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_whoever_stops_the_watch_leaves_no_job_and_no_kubectl(
    cluster: Cluster, number: int
) -> None:
    cluster.node("a", system_line("a"))
    words = cluster.command("system", "--all-nodes", "--watch", "1", "--format", "jsonl")
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        assert json.loads(running.stdout.readline())["node"] == "a"
        followers = followers_of(running.pid)
        running.send_signal(number)
        _, errors = running.communicate(timeout=30)
    assert (running.returncode, "Traceback" in errors) == (0, False), errors
    assert "its Jobs are deleted" in errors
    assert cluster.jobs_left == []
    assert followers
    assert not any(is_alive(pid) for pid in followers)


def test_a_reader_that_has_seen_enough_ends_it_quietly(cluster: Cluster) -> None:
    many = [gpu_line("a", at % 8) for at in range(3000)]
    cluster.node("a", *many)
    words = cluster.command("gpu", "--all-nodes", "--watch", "1", "--format", "jsonl")
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout is not None
        running.stdout.readline()
        running.stdout.close()
        running.wait(timeout=30)
        assert running.stderr is not None
        assert b"Traceback" not in running.stderr.read()
    assert running.returncode == 0
    assert cluster.jobs_left == []


def followers_of(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_alive(pid: int) -> bool:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        time.sleep(0.05)
    return True


def test_interval_sets_the_pace_and_what_is_not_ours_is_the_probes() -> None:
    words = ["--watch", "--interval", "2.5", "--count", "4", "--format", "csv", "--top", "5"]
    assert take_watch(["system"], words) == (Watch(2.5, 4, "csv"), ["--top", "5"])
    assert take_watch(["system"], ["--window", "3"]) == (None, ["--window", "3"])
    # Without --watch these are the probe's own.
    assert take_watch(["gpu"], ["--interval", "2"]) == (None, ["--interval", "2"])


@pytest.mark.parametrize(
    ("probes", "words", "problem"),
    [
        (["versions"], ["--watch"], "--watch: one of gpu or system at a time"),
        (["gpu", "system"], ["--watch"], "--watch: one of gpu or system at a time"),
        (["gpu"], ["--watch", "0.01"], "--watch: 0.01 is not between 0.1 and 3600 s"),
        (["gpu"], ["--watch", "nan"], "--watch: nan is not between 0.1 and 3600 s"),
        (["gpu"], ["--watch", "--count", "-1"], "--count: -1 must be 0 (no end) or more"),
    ],
)
def test_a_watch_that_cannot_be_says_why(probes: list[str], words: list[str], problem: str) -> None:
    with pytest.raises(KubectlError) as caught:
        take_watch(probes, words)
    assert (str(caught.value), caught.value.status) == (problem, 2)


def test_too_many_nodes_are_refused_with_the_bound() -> None:
    check_watched([ProbeNode(f"n{at}", 0) for at in range(20)])
    with pytest.raises(KubectlError, match="at most 20 nodes at once, not 21"):
        check_watched([ProbeNode(f"n{at}", 0) for at in range(21)])


def test_a_watch_without_end_still_ends_when_its_shell_was_killed() -> None:
    assert job_seconds(Watch(1.0, 0, "table"), 120.0) == 120 + 3600 + 60


@pytest.mark.parametrize(
    "line",
    [
        "",
        "Traceback (most recent call last):",
        "[]",
        '{"node": "a"}',
        '{"time": "t", "index": true}',
        '{"time": "t", "index": "0"}',
        '{"time": "t", "index": 0, "values": {"powerWatts": NaN}}',
        "[" * 100_000,
        gpu_line("a", 0)[:-3],
    ],
)
def test_a_line_that_is_no_row_is_nobodys_row(line: str) -> None:
    assert parse_row("gpu", "a", line) is None


def test_a_foreign_word_cannot_steer_the_terminal() -> None:
    said = json.loads(gpu_line("a", 0)) | {"name": "\033[2Jevil\n", "eventReasons": ["\x07"]}
    row = parse_row("gpu", "a", json.dumps(said | {"values": {"powerWatts": "\033[31m"}}))
    assert row is not None
    text = screen("gpu", "title", [row], {"b": "\033]0;x"}, wide=500)
    assert "\033" not in text
    assert "\x07" not in text
    assert len(text.splitlines()) == 4
    assert "\033" not in as_csv("gpu", row, first=True)


def test_the_merged_csv_has_the_columns_of_the_probes_own() -> None:
    out = io.StringIO()
    CsvLines(out, {})
    assert out.getvalue().strip().split(",") == list(GPU_CSV_HEADS)
