"""What does not change within a window: topology, clock, limits, mounts, kernel settings.

It must not judge. Each fact that cannot be read is None; `absent` says where that is normal (a
virtual machine has no frequency governor). Trade-off: limits and processor sets are those of one
process (`--pid`, ours by default), because a container's are not the node's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from infertune_probes.system.files import listed, whole

if TYPE_CHECKING:
    from infertune_probes.system.files import Files

NVIDIA = "0x10de"
DISPLAY_CLASS = "0x03"
_CPU = "sys/devices/system/cpu"
_NODE = "sys/devices/system/node"
_CLOCK = "sys/devices/system/clocksource/clocksource0"
_CHOSEN = re.compile(r"\[(\w+)\]")
_MOUNTINFO_FIELDS = 6
_RUNTIMES = (
    ("cri-containerd", "containerd"),
    ("containerd", "containerd"),
    ("crio", "cri-o"),
    ("libpod", "podman"),
    ("docker", "docker"),
)
_REAL_FILESYSTEMS = {"ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs"}


@dataclass(frozen=True)
class NumaNode:
    """One memory node and its processors."""

    node: int
    cpus: frozenset[int]
    memory_bytes: int | None
    free_bytes: int | None


@dataclass(frozen=True)
class GpuPlace:
    """One NVIDIA display device on the PCI bus; `node` None: the firmware does not say."""

    address: str
    node: int | None
    cpus: frozenset[int] | None


@dataclass(frozen=True)
class Frequency:
    """Frequency scaling; all None in a virtual machine."""

    governor: str | None
    driver: str | None
    current_khz: int | None
    highest_khz: int | None


@dataclass(frozen=True)
class Limits:
    """Soft and hard limits of the process; None: unlimited; absent: could not be read."""

    soft: dict[str, int | None]
    hard: dict[str, int | None]


@dataclass(frozen=True)
class Mounts:
    """What the mount table says of shared memory, damage and the container runtime."""

    shm_bytes: int | None
    broken: tuple[str, ...]
    runtime: str | None
    readable: bool


@dataclass(frozen=True)
class Facts:
    """All static facts."""

    kernel: str | None
    virtual: bool | None
    numa: tuple[NumaNode, ...]
    gpus: tuple[GpuPlace, ...]
    allowed: frozenset[int] | None
    online: frozenset[int] | None
    frequency: Frequency
    clock: str | None
    clocks: tuple[str, ...]
    thp: str | None
    thp_defrag: str | None
    swappiness: int | None
    numa_balancing: int | None
    limits: Limits
    mounts: Mounts
    somaxconn: int | None
    ports: tuple[int, int] | None
    conntrack: tuple[int, int] | None
    rdma: tuple[str, ...] = field(default=())


def gather(files: Files, pid: str) -> Facts:
    """Read every fact once; `pid` is "self" or the number of the process that matters."""
    return Facts(
        kernel=files.quietly("proc/sys/kernel/osrelease"),
        virtual=_virtual(files),
        numa=_numa(files),
        gpus=_gpus(files),
        allowed=_allowed(files, pid),
        online=listed(files.quietly(f"{_CPU}/online")),
        frequency=_frequency(files),
        clock=_settled(files.text(f"{_CLOCK}/current_clocksource")),
        clocks=tuple((files.quietly(f"{_CLOCK}/available_clocksource") or "").split()),
        thp=_chosen(files, "sys/kernel/mm/transparent_hugepage/enabled"),
        thp_defrag=_chosen(files, "sys/kernel/mm/transparent_hugepage/defrag"),
        swappiness=whole(_settled(files.text("proc/sys/vm/swappiness"))),
        numa_balancing=files.number("proc/sys/kernel/numa_balancing"),
        limits=_limits(files, pid),
        mounts=_mounts(files, pid),
        somaxconn=files.number("proc/sys/net/core/somaxconn"),
        ports=_ports(files),
        conntrack=_conntrack(files),
        rdma=tuple(files.names("sys/class/infiniband")),
    )


def _settled(text: str | None) -> str | None:
    return None if text is None else text.strip()


def _chosen(files: Files, path: str) -> str | None:
    """Return the word in brackets of "always [madvise] never"."""
    found = _CHOSEN.search(files.text(path) or "")
    return found.group(1) if found else None


def _virtual(files: Files) -> bool | None:
    """Return whether a hypervisor shows itself: the CPU flag on x86, the firmware's name else."""
    text = files.text("proc/cpuinfo")
    if text is None:
        return None
    for line in text.splitlines():
        if line.startswith("flags"):
            return "hypervisor" in line.split()
    vendor = (files.quietly("sys/class/dmi/id/sys_vendor") or "").lower()
    known = ("qemu", "amazon ec2", "google", "microsoft", "vmware", "xen")
    return any(name in vendor for name in known) if vendor else None


def _numa(files: Files) -> tuple[NumaNode, ...]:
    nodes = []
    for name in files.names(_NODE):
        number = whole(name[4:]) if name.startswith("node") else None
        cpus = listed(files.quietly(f"{_NODE}/{name}/cpulist"))
        if number is None or cpus is None:
            continue
        text = files.quietly(f"{_NODE}/{name}/meminfo") or ""
        total, free = (_node_kibibytes(text, word) for word in ("MemTotal", "MemFree"))
        nodes.append(NumaNode(number, cpus, total, free))
    if not nodes:
        files.misread(_NODE, "names no NUMA node")
    return tuple(sorted(nodes, key=lambda node: node.node))


def _node_kibibytes(text: str, word: str) -> int | None:
    found = re.search(rf"{word}:\s+(\d+) kB", text)
    return int(found.group(1)) * 1024 if found else None


def _gpus(files: Files) -> tuple[GpuPlace, ...]:
    bus, found = "sys/bus/pci/devices", []
    for address in files.names(bus):
        device = f"{bus}/{address}"
        if (files.quietly(f"{device}/vendor") or "").lower() != NVIDIA:
            continue
        if not (files.quietly(f"{device}/class") or "").startswith(DISPLAY_CLASS):
            continue
        node = files.number(f"{device}/numa_node")
        cpus = listed(files.quietly(f"{device}/local_cpulist"))
        # -1 is the kernel's way to say that the firmware does not tell.
        known = node if node is not None and node >= 0 else None
        found.append(GpuPlace(address.lower(), known, cpus or None))
    return tuple(found)


def _allowed(files: Files, pid: str) -> frozenset[int] | None:
    for line in (files.text(f"proc/{pid}/status") or "").splitlines():
        name, _, value = line.partition(":")
        if name == "Cpus_allowed_list":
            return listed(value.strip())
    return None


def _frequency(files: Files) -> Frequency:
    base = f"{_CPU}/cpu0/cpufreq"
    current = [
        files.number(f"{_CPU}/{name}/cpufreq/scaling_cur_freq")
        for name in files.names(_CPU)
        if re.fullmatch(r"cpu\d+", name)
    ]
    known = [khz for khz in current if khz is not None]
    return Frequency(
        governor=files.quietly(f"{base}/scaling_governor"),
        driver=files.quietly(f"{base}/scaling_driver"),
        current_khz=sum(known) // len(known) if known else None,
        highest_khz=files.number(f"{base}/cpuinfo_max_freq"),
    )


def _limits(files: Files, pid: str) -> Limits:
    """Return /proc/PID/limits; the names stand in the first 26 columns (proc(5))."""
    soft: dict[str, int | None] = {}
    hard: dict[str, int | None] = {}
    for line in (files.text(f"proc/{pid}/limits") or "").splitlines()[1:]:
        words = line[26:].split()
        if len(words) > 1:
            name = line[:26].strip()
            soft[name], hard[name] = whole(words[0]), whole(words[1])
    return Limits(soft, hard)


def _mounts(files: Files, pid: str) -> Mounts:
    text = files.text(f"proc/{pid}/mountinfo") or ""
    shm, broken, root = None, [], ""
    for line in text.splitlines():
        left, _, right = line.partition(" - ")
        where, kind = left.split(), right.split()
        if len(where) < _MOUNTINFO_FIELDS or len(kind) < 3:  # noqa: PLR2004  # type, source, options
            continue
        point, options = where[4], kind[2].split(",")
        if point == "/dev/shm":  # noqa: S108  # it is read about, not written to
            shm = _tmpfs_bytes(options)
        if point == "/":
            root = right
        # The file system itself, not this mount of it, went read-only: what the kernel does on
        # an error of the device.
        if kind[0] in _REAL_FILESYSTEMS and options[0] == "ro" and "rw" in where[5].split(","):
            broken.append(f"{kind[1]} ({kind[0]}) at {point}")
    return Mounts(shm, tuple(broken), _runtime(files, root, pid), bool(text))


def _tmpfs_bytes(options: list[str]) -> int | None:
    units = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
    for option in options:
        name, _, value = option.partition("=")
        if name == "size" and value:
            unit = units.get(value[-1].lower())
            number = whole(value[:-1] if unit else value)
            return None if number is None else number * (unit or 1)
    return None


def _runtime(files: Files, root_mount: str, pid: str) -> str | None:
    """Return who made the container, from the paths of its group and of its root file system."""
    witness = root_mount + (files.quietly(f"proc/{pid}/cgroup") or "")
    for word, name in _RUNTIMES:
        if word in witness:
            return name
    return None


def _ports(files: Files) -> tuple[int, int] | None:
    words = (files.quietly("proc/sys/net/ipv4/ip_local_port_range") or "").split()
    low, high = (whole(words[0]), whole(words[1])) if len(words) > 1 else (None, None)
    return None if low is None or high is None else (low, high)


def _conntrack(files: Files) -> tuple[int, int] | None:
    base = "proc/sys/net/netfilter/nf_conntrack"
    used, most = files.number(f"{base}_count"), files.number(f"{base}_max")
    return None if used is None or not most else (used, most)
