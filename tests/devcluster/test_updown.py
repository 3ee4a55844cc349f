"""After `down` the machine is as it was before `up`: tier full, needs root and a free machine."""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
import time
from pathlib import Path

import pytest

from devcluster import components, iptables, lifecycle, processes
from devcluster.settings import Settings, current, saved

SYSCTL_ROOTS = ("net/ipv4", "net/bridge", "net/netfilter", "vm", "kernel/keys")
SYSCTL_FILES = ("kernel/panic", "kernel/panic_on_oops", "kernel/pid_max")
VOLATILE = re.compile(r"conntrack_count|tcp_mem|udp_mem|stat_refresh|compact_memory|drop_caches")
HOME = tuple(str(Path.home() / name) for name in (".kube", ".local"))
WATCHED = ("/etc", "/opt", "/run", "/usr/libexec", "/var", *HOME)
OURS = re.compile(r"kube|containerd|etcd|coredns|metrics-server|runc|/pause")


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
            if depth > 5 or folder.startswith(("/var/tmp", "/var/log/journal")):
                folders.clear()
            found |= {f"{folder}/{name}" for name in (*folders, *names)}
    return found


def network_namespaces() -> set[str]:
    found: set[str] = set()
    for pid in processes.all_pids():
        try:
            found.add(str(Path(f"/proc/{pid}/ns/net").readlink()))
        except OSError:
            continue
    return found


def rules(settings: Settings) -> list[str]:
    saved_text = "".join(iptables.saved_rules(settings, one) for one in iptables.FAMILIES)
    return [re.sub(r"\[\d+:\d+\]", "", li) for li in saved_text.splitlines() if li[:1] != "#"]


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
        "namespaces": network_namespaces(),
        "processes": {
            pid
            for pid in processes.all_pids()
            if OURS.search(" ".join(processes.command_line(pid)))
        },
    }


@pytest.fixture
def fresh(tmp_path: Path) -> Settings:
    if os.geteuid() != 0:
        pytest.fail("up and down need root: run this tier with sudo")
    running = saved(current().state)
    if running is not None:
        pytest.fail(f"a node runs in {running.state}: end it first by python -m devcluster down")
    return dataclasses.replace(current(), state=tmp_path / "state")


@pytest.mark.e2e
def test_down_undoes_up_and_a_half_dead_node_is_repaired(fresh: Settings) -> None:
    lifecycle.prepare(fresh)
    before, kernel, listed = machine(fresh), kernel_settings(), files()
    try:
        started = time.monotonic()
        settings = lifecycle.up(fresh)
        assert time.monotonic() - started < 15.0
        alive = components.running(settings)
        assert set(alive) == set(components.NAMES)

        lifecycle.up(settings)
        assert components.running(settings) == alive

        processes.end([alive["kubelet"], alive["coredns"]], 5.0)
        lifecycle.up(settings)
        repaired = components.running(settings)
        assert {name for name in alive if repaired[name] != alive[name]} == {"kubelet", "coredns"}
    finally:
        lifecycle.down(fresh)
    after, kernel_after = machine(fresh), kernel_settings()
    assert after == before
    common = kernel.keys() & kernel_after.keys()
    assert {n: kernel_after[n] for n in common} == {n: kernel[n] for n in common}
    assert files() - listed == set()
    assert not fresh.state.exists()
    lifecycle.down(fresh)
