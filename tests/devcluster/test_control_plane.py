"""A control plane without a node: on loopback, on free ports, and gone with its starter."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import time
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from devcluster import api, cli, components, control_plane, processes
from devcluster.settings import Listen, current

if TYPE_CHECKING:
    from devcluster.settings import Settings

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "devcluster", "control-plane"]
PROGRAMS = {name: Path("/bin", name) for name in control_plane.PROGRAMS}


def flags(settings: Settings, name: str) -> dict[str, str]:
    table = components.control_plane(settings, PROGRAMS)
    (argv,) = [one.argv for one in table if one.name == name]
    return dict(word.split("=", 1) for word in argv[1:] if "=" in word)


def test_a_port_that_somebody_listens_on_is_passed_over() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        found = control_plane.free_ports(port, 2)
    assert port not in found
    assert len(set(found)) == 2


def test_everything_listens_on_loopback_and_knows_the_others_ports(settings: Settings) -> None:
    listen = Listen(IPv4Address("127.0.0.1"), api=1, etcd=2, etcd_peer=3, controllers=4)
    made = dataclasses.replace(settings, listen=listen)
    store = flags(made, "etcd")
    assert store["--listen-client-urls"] == "http://127.0.0.1:2"
    assert store["--listen-peer-urls"] == "http://127.0.0.1:3"
    server = flags(made, "kube-apiserver")
    assert server["--etcd-servers"] == "http://127.0.0.1:2"
    assert (server["--bind-address"], server["--secure-port"]) == ("127.0.0.1", "1")
    assert server["--endpoint-reconciler-type"] == "none"
    controllers = flags(made, "kube-controller-manager")
    assert (controllers["--bind-address"], controllers["--secure-port"]) == ("127.0.0.1", "4")
    assert made.api_url == "https://127.0.0.1:1"


def test_a_nodes_own_control_plane_stays_on_its_bridge(settings: Settings) -> None:
    server = flags(settings, "kube-apiserver")
    assert (server["--bind-address"], server["--secure-port"]) == ("10.244.0.1", "6443")
    assert "--endpoint-reconciler-type" not in server
    assert settings.api_url == "https://10.244.0.1:6443"


def test_the_folder_of_a_node_is_refused(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.save()
    assert cli.main(["control-plane", f"--state-dir={settings.state}"]) == 2
    assert "belongs to a node; name another folder" in capsys.readouterr().err


def left(folder: Path) -> set[str]:
    """Return the components that still run."""
    return {name for name in control_plane.NAMES if processes.find(folder / "pids", name)}


@pytest.mark.real_api
def test_a_command_runs_with_it_its_status_is_passed_on_and_nothing_stays(tmp_path: Path) -> None:
    ask = "import os, sys; sys.exit(7 if os.path.exists(os.environ['KUBECONFIG']) else 1)"
    words = [*COMMAND, f"--state-dir={tmp_path}", "--", sys.executable, "-c", ask]
    assert subprocess.run(words, cwd=ROOT, check=False).returncode == 7
    assert (tmp_path / "logs" / "kube-apiserver.log").exists()
    assert left(tmp_path) == set()


@pytest.mark.real_api
def test_it_dies_with_the_process_that_started_it(tmp_path: Path) -> None:
    words = [*COMMAND, f"--state-dir={tmp_path}"]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        assert starter.stdout.readline() == f"{tmp_path / 'kubeconfig'}\n"
        assert left(tmp_path) == set(control_plane.NAMES)
        starter.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 10.0
    while left(tmp_path):
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.real_api
def test_each_run_of_the_tests_has_one_of_its_own_without_a_node(kubeconfig: Path) -> None:
    named = os.environ.get("INFERTUNE_TEST_KUBECONFIG")
    if named:
        assert kubeconfig == Path(named)
        return
    server = json.loads(kubeconfig.read_text())["clusters"][0]["cluster"]["server"]
    assert server.startswith("https://127.0.0.1:")
    assert server != current().api_url
    listen = Listen(IPv4Address("127.0.0.1"), api=int(server.rpartition(":")[2]))
    own = dataclasses.replace(current(), state=kubeconfig.parent, listen=listen)
    nodes = api.get(own, "/api/v1/nodes")
    assert nodes is not None
    assert nodes["items"] == []
