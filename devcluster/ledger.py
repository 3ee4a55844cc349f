"""What `up` changes outside its folders, written down first and undone by `down`.

Kernel settings are recorded with their values, folders that programs insist on
making are recorded when they were absent. Without a ledger there is nothing to
undo. Trade-off: a fixed list instead of a watch on everything; the test of up and
down compares the whole machine and shows when the list is too short.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from devcluster.console import run, say
from devcluster.errors import CommandError, DevclusterError

if TYPE_CHECKING:
    from devcluster.settings import Settings

SYSCTLS = (
    "net.ipv4.ip_forward",
    "net.ipv4.conf.all.forwarding",
    "net.ipv4.conf.default.forwarding",
    "net.ipv4.conf.all.route_localnet",
    "net.ipv4.conf.all.arp_notify",
    "net.bridge.bridge-nf-call-iptables",
    "net.netfilter.nf_conntrack_max",
    "net.netfilter.nf_conntrack_tcp_be_liberal",
    "net.netfilter.nf_conntrack_tcp_timeout_established",
    "net.netfilter.nf_conntrack_tcp_timeout_close_wait",
    "vm.overcommit_memory",
    "vm.panic_on_oom",
    "kernel.panic",
    "kernel.panic_on_oops",
    "kernel.keys.root_maxkeys",
    "kernel.keys.root_maxbytes",
)
PATHS = (
    "/etc/cni",
    "/opt/cni",
    "/opt/containerd",
    "/run/containerd",
    "/run/containers",
    "/run/libpod",
    "/run/crio",
    "/run/lock/netavark.lock",
    "/run/mount",
    "/run/netns",
    "/run/runc",
    "/run/xtables.lock",
    "/usr/libexec/kubernetes",
    "/var/cache/containers",
    "/var/lib/cni",
    "/var/lib/containers",
    "/var/lib/kubelet",
    "/var/log/containers",
    "/var/log/pods",
    "/var/lib/cache/containers",
)
# `ip netns` mounts this folder over itself and leaves it so.
MOUNT_POINTS = ("/run/netns",)
# A kubelet links every container's log here; links of containers that it did not end stay.
LOG_LINKS = Path("/var/log/containers")
CGROUP_ROOT = Path("/sys/fs/cgroup")


def _sysctl_path(name: str) -> Path:
    return Path("/proc/sys") / name.replace(".", "/")


def read_sysctl(name: str) -> str | None:
    """Return a kernel setting; None where this kernel has none of that name."""
    with contextlib.suppress(OSError):
        return _sysctl_path(name).read_text().strip()
    return None


def write_sysctl(name: str, value: str) -> None:
    """Change a kernel setting; nothing happens when it has the value.

    Raises:
        DevclusterError: The kernel does not let us.
    """
    if read_sysctl(name) == value:
        return
    try:
        _sysctl_path(name).write_text(value)
    except OSError as error:
        msg = f"cannot set {name}={value}: {error}"
        raise DevclusterError(msg) from error


def open_ledger(settings: Settings, rules: dict[str, str]) -> None:
    """Write down the present state once; a second call keeps the first record.

    Args:
        settings: Names the state folder.
        rules: The packet-filter rules as saved per family.
    """
    path = settings.state / "ledger.json"
    if path.exists():
        return
    found = {name: read_sysctl(name) for name in SYSCTLS}
    record = {
        "sysctls": {name: value for name, value in found.items() if value is not None},
        "absent": [name for name in PATHS if not Path(name).exists()],
        "mounted": [name for name in MOUNT_POINTS if name in _mounted()],
        "rules": rules,
        "cgroups": sorted(_container_cgroups()),
    }
    settings.state.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=2) + "\n")


def _container_cgroups() -> set[str]:
    return {str(path) for name in ("k8s.io", "*/k8s.io") for path in CGROUP_ROOT.glob(name)}


def print_changes(settings: Settings) -> None:
    """Say which kernel settings differ now from what the ledger holds."""
    record = json.loads((settings.state / "ledger.json").read_text())
    for name, before in record["sysctls"].items():
        now = read_sysctl(name)
        if now != before:
            say(f"changed {name}: {before} -> {now} (undone by down)")


def rules_before(settings: Settings) -> dict[str, str]:
    """Return the packet-filter rules per family as they were before `up`."""
    path = settings.state / "ledger.json"
    if not path.exists():
        return {}
    rules: dict[str, str] = json.loads(path.read_text())["rules"]
    return rules


def close_ledger(settings: Settings) -> list[str]:
    """Undo what the ledger knows; return what could not be undone, in words."""
    path = settings.state / "ledger.json"
    if not path.exists():
        return []
    record = json.loads(path.read_text())
    problems: list[str] = []
    for name, value in record["sysctls"].items():
        try:
            write_sysctl(name, value)
        except DevclusterError as error:
            problems.append(str(error))
    for name in set(MOUNT_POINTS) & set(_mounted()) - set(record.get("mounted", MOUNT_POINTS)):
        run(["umount", name])
    unlink_logs_below(settings.state)
    for name in record["absent"]:
        _remove(Path(name), problems)
    for name in _container_cgroups() - set(record["cgroups"]):
        _remove_cgroup(Path(name), problems)
    return problems


def unlink_logs_below(folder: Path) -> None:
    """Remove the links to logs of containers whose kubelet kept them below a folder."""
    for link in LOG_LINKS.glob("*.log"):
        if link.is_symlink() and link.readlink().is_relative_to(folder):
            link.unlink()


def _remove(path: Path, problems: list[str]) -> None:
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    except OSError as error:
        problems.append(f"cannot remove {path}: {error}")


def _remove_cgroup(path: Path, problems: list[str]) -> None:
    folders = sorted((p for p in path.rglob("*") if p.is_dir()), reverse=True)
    for folder in (*folders, path):
        try:
            folder.rmdir()
        except OSError as error:
            problems.append(f"cannot remove the cgroup {folder}: {error}")


def _mounted() -> list[str]:
    """Return every mount point, in the order of mounting; a folder over itself is one as well."""
    return [
        line.split()[4].encode().decode("unicode_escape")
        for line in Path("/proc/self/mountinfo").read_text().splitlines()
    ]


def unmount_below(folders: list[Path]) -> None:
    """Unmount everything below the given folders, the innermost first."""
    for point in reversed(_mounted()):
        if any(Path(point).is_relative_to(folder) for folder in folders):
            with contextlib.suppress(CommandError):
                run(["umount", "--lazy", point])
