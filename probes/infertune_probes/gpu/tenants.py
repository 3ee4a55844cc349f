"""Who uses a device: which processes are ours, which are foreign, and which nobody can tell.

It reads /proc of this pid namespace; it must not touch a driver. NVML numbers processes as the node
does, while a container numbers its own anew, so a number proves nothing by itself: in a container
the process must have a GPU's device file open to be believed. Trade-off: what cannot be told stays
None; only a process whose cgroup is seen to be another pod's is called foreign.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from infertune_probes.gpu.codes import (
    FOREIGN_PROCESS,
    GRAPHICS_PROCESS,
    HIDDEN_USE,
    MPS_ACTIVE,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from infertune_probes.contract.envelope import Finding
    from infertune_probes.gpu.reading import Device

# The inode of the first pid namespace is a constant of the kernel (PROC_PID_INIT_INO).
_FIRST_NAMESPACE = "pid:[4026531836]"
_POD = re.compile(r"pod([0-9a-f]{8}[-_][0-9a-f-_]{27})")
_MPS_SERVER = "nvidia-cuda-mps"
# A driver without any program keeps less than this for itself.
_RESERVED_BYTES = 1_500_000_000
_MOST_PROCESSES = 100


@dataclass(frozen=True)
class Tenant:
    """One process on a device; `ours` None: it cannot be told.

    `use` is the mean of its samples in a window, by field of `nvidia-smi pmon`.
    """

    pid: int
    kind: str
    name: str | None
    ours: bool | None
    used_memory_bytes: int | None
    use: Mapping[str, float]

    def to_json(self) -> dict[str, object]:
        """Return the process as a JSON object."""
        return {
            "pid": self.pid,
            "kind": self.kind,
            "name": self.name,
            "ours": self.ours,
            "usedMemoryBytes": self.used_memory_bytes,
            "use": dict(self.use),
        }


def tenants(
    users: Iterable[Mapping[str, object]],
    use: Iterable[Mapping[str, object]],
    whose: Callable[[int], tuple[str | None, bool | None]],
) -> list[Tenant]:
    """Return the processes, largest memory first; `users` and `use` may hold many samples."""
    latest: dict[tuple[int, str], int | None] = {}
    for user in users:
        memory = user.get("usedMemoryBytes")
        key = (_whole(user.get("pid")), str(user.get("kind")))
        latest[key] = memory if isinstance(memory, int) else None
    means = _means(use)
    for pid in means:
        if not any(known == pid for known, _ in latest):
            latest[pid, "compute"] = None
    found = []
    for (pid, kind), memory in latest.items():
        name, ours = whose(pid)
        found.append(Tenant(pid, kind, name, ours, memory, means.get(pid, {})))
    found.sort(key=lambda tenant: (-(tenant.used_memory_bytes or 0), tenant.pid, tenant.kind))
    return found[:_MOST_PROCESSES]


def _means(use: Iterable[Mapping[str, object]]) -> dict[int, dict[str, float]]:
    sums: dict[int, dict[str, list[float]]] = {}
    for sample in use:
        fields = sums.setdefault(_whole(sample.get("pid")), {})
        for name, value in sample.items():
            if name != "pid" and isinstance(value, (int, float)):
                fields.setdefault(name, []).append(float(value))
    return {
        pid: {name: round(sum(values) / len(values), 2) for name, values in fields.items()}
        for pid, fields in sums.items()
    }


def proc_owner(proc: Path, own_pid: int) -> Callable[[int], tuple[str | None, bool | None]]:
    """Return the look-up of a process's name and whether it is of this pod, from /proc."""
    own_group = _group(proc / str(own_pid))
    contained = _link(proc / str(own_pid) / "ns" / "pid") != _FIRST_NAMESPACE

    def whose(pid: int) -> tuple[str | None, bool | None]:
        folder = proc / str(pid)
        name = _word(folder / "comm")
        if name is None or (contained and not _has_device_open(folder)):
            return None, None
        return name, _same_pod(own_group, _group(folder))

    return whose


def _same_pod(own: str | None, other: str | None) -> bool | None:
    """Return whether two cgroup paths are of one pod; None when it cannot be told."""
    if own is None or other is None:
        return None
    if own == other:
        return True
    ours, theirs = _POD.search(own), _POD.search(other)
    if ours and theirs:
        return ours.group(1) == theirs.group(1)
    # In a cgroup namespace a path is relative: one step up is a sister container of the same pod.
    if other.startswith("/../"):
        return not other.startswith("/../../")
    return False


def _group(folder: Path) -> str | None:
    lines = (_word(folder / "cgroup") or "").splitlines()
    unified = [line[3:] for line in lines if line.startswith("0::")]
    named = [line.split(":", 2)[2] for line in lines if ":memory:" in line]
    return next(iter(unified + named), None)


def _has_device_open(folder: Path) -> bool:
    try:
        descriptors = list((folder / "fd").iterdir())
    except OSError:
        return False
    return any((_link(each) or "").startswith("/dev/nvidia") for each in descriptors)


def judge_tenants(device: Device, found: list[Tenant]) -> list[Finding]:
    """Return what sharing means for figures that are measured on the device."""
    findings = []
    foreign = [tenant for tenant in found if tenant.ours is False]
    if foreign:
        told = ", ".join(_told(tenant) for tenant in foreign[:5])
        evidence = f"{device.who}: {len(foreign)} foreign: {told}"
        findings.append(FOREIGN_PROCESS.warned(evidence))
    unknown = [tenant for tenant in found if tenant.ours is None]
    used = device.whole("memoryUsedBytes")
    if unknown:
        told = ", ".join(_told(tenant) for tenant in unknown[:5])
        findings.append(HIDDEN_USE.unknown(f"{device.who}: not visible in this container: {told}"))
    elif not found and used is not None and used > _RESERVED_BYTES:
        evidence = f"{device.who}: {used / 1e9:.1f} GB in use and no process is listed"
        findings.append(HIDDEN_USE.unknown(evidence))
    if any(tenant.kind == "graphics" for tenant in found):
        told = ", ".join(_told(tenant) for tenant in found if tenant.kind == "graphics")
        findings.append(GRAPHICS_PROCESS.warned(f"{device.who}: {told}"))
    clients = [t for t in found if t.kind == "mps" or (t.name or "").startswith(_MPS_SERVER)]
    if clients:
        told = ", ".join(_told(tenant) for tenant in clients)
        findings.append(MPS_ACTIVE.passed(f"{device.who}: {told}"))
    return findings


def _told(tenant: Tenant) -> str:
    memory = tenant.used_memory_bytes
    size = "" if memory is None else f", {memory / 1e9:.1f} GB"
    return f"pid {tenant.pid} ({tenant.name or tenant.kind}{size})"


def _whole(value: object) -> int:
    return value if isinstance(value, int) else -1


def _link(path: Path) -> str | None:
    try:
        return os.readlink(str(path))  # noqa: PTH115  # Path.readlink is Python 3.9
    except OSError:
        return None


def _word(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None
