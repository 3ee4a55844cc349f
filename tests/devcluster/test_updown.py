"""After `down` the machine is as it was before `up`: tier full, needs root and a free machine."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import subprocess
import time
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest

from devcluster import (
    addons,
    api,
    cli,
    components,
    config,
    iptables,
    lifecycle,
    network,
    outage,
    processes,
)
from devcluster.binaries import ensure_binaries
from devcluster.node import Node, node, nodes
from devcluster.settings import Settings, current, saved

SYSCTL_ROOTS = ("net/ipv4", "net/bridge", "net/netfilter", "vm", "kernel/keys")
SYSCTL_FILES = ("kernel/panic", "kernel/panic_on_oops", "kernel/pid_max")
VOLATILE = re.compile(r"conntrack_count|tcp_mem|udp_mem|stat_refresh|compact_memory|drop_caches")
HOME = tuple(str(Path.home() / name) for name in (".kube", ".local"))
WATCHED = ("/etc", "/opt", "/run", "/usr/libexec", "/var", *HOME)
# Where package managers and logs of the machine write at any time, and we never do.
FOREIGN = ("/var/tmp", "/var/cache", "/var/lib/apt", "/var/lib/dpkg", "/var/log/journal")
# What other processes begin and end meanwhile is gone at one of the looks; what we left stays.
SETTLE_SECONDS = 30.0
UP_SECONDS = 15.0


def said(*words: str) -> set[str]:
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines())


def kernel_settings() -> dict[str, str]:
    files = [Path("/proc/sys") / name for name in SYSCTL_FILES]
    for root in SYSCTL_ROOTS:
        files += [path for path in Path("/proc/sys", root).rglob("*") if path.is_file()]
    found = {}
    for path in files:
        if not VOLATILE.search(path.name) and path.stat().st_mode & 0o400:
            try:
                found[str(path)] = path.read_text()
            except OSError:
                continue
    return found


def files() -> set[str]:
    found: set[str] = set()
    for root in WATCHED:
        for folder, folders, names in os.walk(root):
            depth = folder.count("/")
            if depth > 5 or folder.startswith(FOREIGN):
                folders.clear()
            found |= {f"{folder}/{name}" for name in (*folders, *names)}
    return found


def network_namespaces(settings: Settings) -> set[str]:
    """Those of the cluster's processes; one that nobody is in lives by a mount, or not at all."""
    found: set[str] = set()
    for pid in filter(lambda pid: belongs_to(settings, pid), processes.all_pids()):
        try:
            found.add(str(Path(f"/proc/{pid}/ns/net").readlink()))
        except OSError:
            continue
    return found


def rules(settings: Settings) -> list[str]:
    saved_text = "".join(iptables.saved_rules(settings, one) for one in iptables.FAMILIES)
    return [re.sub(r"\[\d+:\d+\]", "", li) for li in saved_text.splitlines() if li[:1] != "#"]


def belongs_to(settings: Settings, pid: int) -> bool:
    """Whether a process that lives names the cluster's folders, or is a container's."""
    identity = processes.identify(pid)
    if identity is None or not identity.alive():
        return False
    words = " ".join(processes.command_line(pid))
    try:
        groups = Path(f"/proc/{pid}/cgroup").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return str(settings.state) in words or str(settings.run_dir) in words or "k8s.io" in groups


def machine(settings: Settings) -> dict[str, object]:
    return {
        "mounts": sorted(
            line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()
        ),
        "interfaces": sorted(path.name for path in Path("/sys/class/net").iterdir()),
        "routes": said("ip", "route", "show", "table", "all"),
        "policy": said("ip", "rule", "show"),
        "iptables": rules(settings),
        "cgroups": {
            folder
            for folder, _, _ in os.walk("/sys/fs/cgroup")
            if re.search(r"k8s|kube|containerd", folder)
        },
        "namespaces": network_namespaces(settings),
        "processes": {pid for pid in processes.all_pids() if belongs_to(settings, pid)},
    }


@pytest.fixture
def fresh(tmp_path: Path) -> Settings:
    if os.geteuid() != 0:
        pytest.fail("up and down need root: run this tier with sudo")
    running = saved(current().state)
    if running is not None:
        pytest.fail(f"a node runs in {running.state}: end it first by python -m devcluster down")
    return dataclasses.replace(current(), state=tmp_path / "s")


@dataclasses.dataclass(frozen=True)
class Machine:
    """What `down` must bring back."""

    parts: dict[str, object]
    kernel: dict[str, str]
    files: set[str]

    def assert_restored(self, settings: Settings) -> None:
        ends = time.monotonic() + SETTLE_SECONDS
        while machine(settings) != self.parts and time.monotonic() < ends:
            time.sleep(1.0)
        kernel = kernel_settings()
        assert machine(settings) == self.parts
        common = self.kernel.keys() & kernel.keys()
        assert {n: kernel[n] for n in common} == {n: self.kernel[n] for n in common}
        assert files() - self.files == set()
        assert not settings.state.exists()


@pytest.fixture
def before(fresh: Settings) -> Machine:
    lifecycle.prepare(fresh)
    return Machine(machine(fresh), kernel_settings(), files())


def crowded() -> float:
    """Return how many want each processor, 1 at least: a busy machine is no slow node."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


@pytest.mark.e2e
def test_down_undoes_up_and_a_half_dead_node_is_repaired(fresh: Settings, before: Machine) -> None:
    try:
        started = time.monotonic()
        settings = lifecycle.up(fresh)
        assert time.monotonic() - started < UP_SECONDS * crowded()
        alive = components.running(settings)
        assert set(alive) == set(components.names(settings))

        lifecycle.up(settings)
        assert components.running(settings) == alive

        processes.end([alive["kubelet"], alive["coredns"]], 5.0)
        lifecycle.up(settings)
        repaired = components.running(settings)
        assert {name for name in alive if repaired[name] != alive[name]} == {"kubelet", "coredns"}
    finally:
        lifecycle.down(fresh)
    before.assert_restored(fresh)
    lifecycle.down(fresh)


def pod_on(name: str) -> dict[str, Any]:
    """A pod that does nothing on a node, from the one image that every node has."""
    container = {"name": "idle", "image": config.PAUSE_IMAGE, "imagePullPolicy": "Never"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"on-{name}", "namespace": "default"},
        "spec": {
            "nodeSelector": {"kubernetes.io/hostname": name},
            "containers": [container],
            "terminationGracePeriodSeconds": 0,
        },
    }


def run_a_pod_on(settings: Settings, one: Node) -> None:
    kubectl = ensure_binaries(settings)["kubectl"]
    addons.apply(settings, kubectl, json.dumps(pod_on(one.name)))
    words = ("wait", "pod", f"on-{one.name}", "--for=condition=Ready", "--timeout=60s")
    addons.kubectl(settings, kubectl, *words)
    found = api.get(settings, f"/api/v1/namespaces/default/pods/on-{one.name}")
    assert found is not None
    assert found["spec"]["nodeName"] == one.name
    assert IPv4Address(found["status"]["podIP"]) in one.pod_range


@pytest.mark.e2e
def test_a_second_node_comes_is_lost_comes_back_and_leaves_nothing(
    fresh: Settings, before: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        alone = lifecycle.up(fresh)
        alive = components.running(alone)
        settings = lifecycle.up(fresh, nodes=2)
        assert saved(fresh.state) == settings == dataclasses.replace(fresh, nodes=2)
        both = components.running(settings)
        assert set(both) == set(components.names(settings))
        # The first node went on meanwhile.
        assert {name: both[name] for name in alive} == alive
        for one in nodes(settings):
            run_a_pod_on(settings, one)

        capsys.readouterr()
        assert cli.main(["status", f"--state-dir={fresh.state}"]) == 0
        said = capsys.readouterr().out
        assert "node infertune-node (10.244.0.1) is Ready\n" in said
        assert "node infertune-node-2 (10.244.0.2) is Ready\n" in said

        outage.kill_kubelet(settings, 2)
        outage.kill_kubelet(settings, 2)
        assert set(both) - set(components.running(settings)) == {"kubelet-2"}
        assert cli.main(["status", f"--state-dir={fresh.state}"]) == 1
        outage.revive_kubelet(settings, 2)
        assert lifecycle.is_up(settings)

        lifecycle.up(fresh, nodes=1)
        assert components.running(alone) == alive
        listed = api.get(alone, "/api/v1/nodes")
        assert listed is not None
        assert [item["metadata"]["name"] for item in listed["items"]] == ["infertune-node"]
        second = node(settings, 2)
        assert not network.namespace_exists(second)
        assert not Path("/sys/class/net", second.plug).exists()
        assert not second.state.exists()

        lifecycle.up(fresh, nodes=2)
    finally:
        lifecycle.down(fresh)
    before.assert_restored(fresh)
