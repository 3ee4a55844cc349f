"""``infertune probe`` from a shell, on a real node."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from infertune.core.manifests.shell_probe import LABEL_RUN
from infertune_probes.contract.load import parse_envelope
from tests.e2e.node import Node

pytestmark = [pytest.mark.e2e, pytest.mark.ci, pytest.mark.timeout(300, func_only=True)]
INFERTUNE = [sys.executable, "-m", "infertune.cli"]


@pytest.fixture
def shell(node: Node) -> tuple[list[str], dict[str, str]]:
    kubectl, *options = node.place.cluster.kubectl
    assert all("kubeconfig" in option for option in options), options
    kubeconfig = str(node.place.settings.kubeconfig)
    return ["--kubectl", str(kubectl)], {**os.environ, "KUBECONFIG": kubeconfig}


def probe(shell: tuple[list[str], dict[str, str]], *words: str) -> subprocess.CompletedProcess[str]:
    where, environment = shell
    command = [*INFERTUNE, "probe", *words, *where]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


def jobs_left(node: Node) -> list[dict[str, Any]]:
    words = ("get", "jobs", "--all-namespaces", f"--selector={LABEL_RUN}", "--output=json")
    items: list[dict[str, Any]] = json.loads(node.place.cluster.run(*words))["items"]
    return [job for job in items if "deletionTimestamp" not in job["metadata"]]


@pytest.mark.parametrize(
    ("name", "codes"),
    [("gpu", ["NO_DEVICE"]), ("versions", ["DRIVER_UNKNOWN", "STACK_UNKNOWN", "KERNEL_NOT_TRIED"])],
)
def test_every_node_answers_and_no_job_stays(
    node: Node,
    shell: tuple[list[str], dict[str, str]],
    tmp_path: Path,
    name: str,
    codes: list[str],
) -> None:
    output = tmp_path / "report.json"
    done = probe(shell, name, "--all-nodes", "--output", str(output))
    assert done.returncode == 0, done.stdout + done.stderr
    document = json.loads(output.read_text())
    assert [one["problem"] for one in document["nodes"]] == [None] * len(document["nodes"])
    found = parse_envelope(json.dumps(document["nodes"][0]["envelope"]).encode())
    assert found.node == document["nodes"][0]["node"]
    assert [finding.code for finding in found.findings] == codes
    assert "1 of 1 nodes answered" in done.stderr
    assert jobs_left(node) == []


def test_flags_of_the_probe_reach_the_node_and_its_failure_is_the_exit_status(
    shell: tuple[list[str], dict[str, str]],
) -> None:
    done = probe(shell, "gpu", "--all-nodes", "--require")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "fail    NO_DEVICE on " in done.stdout


def test_an_image_that_is_not_there_is_named(
    node: Node, shell: tuple[list[str], dict[str, str]]
) -> None:
    image = "registry.invalid/none:1"
    done = probe(shell, "gpu", "--all-nodes", "--image", image, "--start-seconds", "8")
    assert done.returncode == 2, done.stdout + done.stderr
    assert "not started within 8 s" in done.stdout
    assert "ImagePull" in done.stdout
    assert jobs_left(node) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_whoever_stops_it_its_jobs_go_away(
    node: Node, shell: tuple[list[str], dict[str, str]], number: int
) -> None:
    where, environment = shell
    words = ["gpu", "--all-nodes", "--image", "registry.invalid/none:1", *where]
    running = subprocess.Popen(
        [*INFERTUNE, "probe", *words],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not jobs_left(node) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert jobs_left(node)
    running.send_signal(number)
    _, errors = running.communicate(timeout=60)
    assert running.returncode == 130, errors
    assert "Traceback" not in errors
    assert jobs_left(node) == []


def test_several_probes_on_every_node_are_one_report(
    node: Node, shell: tuple[list[str], dict[str, str]], tmp_path: Path
) -> None:
    output = tmp_path / "report.json"
    done = probe(shell, "gpu", "versions", "--all-nodes", "--output", str(output))
    assert done.returncode == 0, done.stdout + done.stderr
    document = json.loads(output.read_text())
    told = [(one["probe"], one["problem"], one["verdict"]) for one in document["nodes"]]
    assert told == [("gpu", None, "unknown"), ("versions", None, "unknown")]
    assert jobs_left(node) == []


def test_a_node_is_watched_as_its_own_probe_sees_it(
    node: Node, shell: tuple[list[str], dict[str, str]]
) -> None:
    words = ("--watch", "1", "--count", "3", "--format", "jsonl")
    done = probe(shell, "system", "--all-nodes", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    (name,) = {row["node"] for row in rows}
    assert (
        name
        == json.loads(node.place.cluster.run("get", "nodes", "--output=json"))["items"][0][
            "metadata"
        ]["name"]
    )
    assert len(rows) == 3
    assert all(row["memory_available_bytes"] > 0 for row in rows)
    assert jobs_left(node) == []


def test_a_node_without_a_gpu_says_in_the_table_why_nothing_is_shown(
    node: Node, shell: tuple[list[str], dict[str, str]]
) -> None:
    done = probe(shell, "gpu", "--all-nodes", "--watch", "1", "--count", "2")
    assert done.returncode == 2, done.stdout + done.stderr
    assert "lost: the watching ended after 0 samples in nvmlInit: " in done.stdout
    assert jobs_left(node) == []


def test_an_endless_watch_that_is_stopped_leaves_no_job(
    node: Node, shell: tuple[list[str], dict[str, str]]
) -> None:
    where, environment = shell
    words = ["system", "--all-nodes", "--watch", "1", "--format", "csv", *where]
    with subprocess.Popen(
        [*INFERTUNE, "probe", *words],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stdout is not None
        head, row = running.stdout.readline(), running.stdout.readline()
        assert head.startswith("time,node,cpu_user_percent,")
        assert row.count(",") == head.count(",")
        running.send_signal(signal.SIGTERM)
        _, errors = running.communicate(timeout=60)
    assert (running.returncode, "Traceback" in errors) == (0, False), errors
    assert jobs_left(node) == []
