"""The kernel's counters at one moment, parsed and not yet judged.

It must not know of time passing: the difference of two samples is `window`'s work. A source that
is missing or not understood is None and named by `Files`, never zero. Trade-off: only the fields
that a finding or a table uses are kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from infertune_probes.system.files import whole

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infertune_probes.system.files import Files

SECTOR_BYTES = 512  # /proc/diskstats counts in these whatever the device's own sectors are
PRESSURES = ("cpu", "memory", "io")
_CPU_FIELDS = 8
_DISK_FIELDS = 14
_NIC_FIELDS = 16
_LOAD_FIELDS = 5
_NOT_DISKS = ("loop", "ram", "fd", "sr")


@dataclass(frozen=True)
class CpuTimes:
    """Clock ticks of one core or of all; guest time is part of `user`."""

    user: int
    system: int
    idle: int
    iowait: int
    irq: int
    softirq: int
    steal: int


@dataclass(frozen=True)
class Disk:
    """Totals of one block device since boot."""

    reads: int
    read_bytes: int
    writes: int
    written_bytes: int
    waited_ms: int
    busy_ms: int


@dataclass(frozen=True)
class Nic:
    """Totals of one network interface since it was made."""

    rx_bytes: int
    rx_packets: int
    rx_errors: int
    rx_dropped: int
    tx_bytes: int
    tx_packets: int
    tx_errors: int
    tx_dropped: int


@dataclass(frozen=True)
class Scheduler:
    """/proc/stat without the times, and /proc/loadavg."""

    cores: Mapping[int, CpuTimes]
    total: CpuTimes
    context_switches: int | None
    forks: int | None
    running: int | None
    blocked: int | None


@dataclass(frozen=True)
class Counters:
    """All counters of one moment; None: the source could not be read."""

    scheduler: Scheduler | None
    load: tuple[float, float, float] | None
    vm: Mapping[str, int] | None
    memory: Mapping[str, int] | None
    pressure: Mapping[str, int]
    disks: Mapping[str, Disk] | None
    nics: Mapping[str, Nic] | None
    tcp: Mapping[str, int] | None
    sockets: Mapping[str, int] | None


def count(files: Files) -> Counters:
    """Read every source once."""
    return Counters(
        scheduler=scheduler(files),
        load=load(files),
        vm=_pairs(files, "proc/vmstat", " "),
        memory=memory(files),
        pressure=pressure(files, {kind: f"proc/pressure/{kind}" for kind in PRESSURES}),
        disks=_disks(files),
        nics=nics(files, "proc/net/dev"),
        tcp=_tcp(files),
        sockets=_sockets(files),
    )


def scheduler(files: Files) -> Scheduler | None:
    """Return /proc/stat."""
    text = files.text("proc/stat")
    if text is None:
        return None
    rows = {words[0]: words[1:] for words in map(str.split, text.splitlines()) if words}
    total = _cpu_times(rows.get("cpu"))
    if total is None:
        files.misread("proc/stat", "holds no line of all processors")
        return None
    cores = {}
    for name, words in rows.items():
        core, times = whole(name[3:]), _cpu_times(words)
        if name.startswith("cpu") and core is not None and times is not None:
            cores[core] = times

    def first(name: str) -> int | None:
        words = rows.get(name)
        return whole(words[0]) if words else None

    return Scheduler(
        cores=cores,
        total=total,
        context_switches=first("ctxt"),
        forks=first("processes"),
        running=first("procs_running"),
        blocked=first("procs_blocked"),
    )


def _cpu_times(words: list[str] | None) -> CpuTimes | None:
    ticks = [whole(word) for word in (words or [])[:_CPU_FIELDS]]
    if len(ticks) < _CPU_FIELDS or None in ticks:
        return None
    user, nice, system, idle, iowait, irq, softirq, steal = (tick or 0 for tick in ticks)
    return CpuTimes(user + nice, system, idle, iowait, irq, softirq, steal)


def load(files: Files) -> tuple[float, float, float] | None:
    """Return the load averages of 1, 5 and 15 minutes."""
    words = (files.text("proc/loadavg") or "").split()
    try:
        if len(words) >= _LOAD_FIELDS:
            return float(words[0]), float(words[1]), float(words[2])
    except ValueError:
        pass
    files.unreadable.setdefault("proc/loadavg", "not understood")
    return None


def memory(files: Files) -> Mapping[str, int] | None:
    """Return /proc/meminfo in bytes (page counts as they are)."""
    text = files.text("proc/meminfo")
    if text is None:
        return None
    found = {}
    for line in text.splitlines():
        name, _, rest = line.partition(":")
        words = rest.split()
        value = whole(words[0]) if words else None
        if value is not None:
            found[name] = value * (1024 if words[-1] == "kB" else 1)
    return found


def pressure(files: Files, paths: Mapping[str, str]) -> dict[str, int]:
    """Return the stall totals in microseconds, as "cpu.some", "memory.full" and so on.

    Linux Documentation/accounting/psi.rst. A kernel without PSI has no such file; one that was
    booted with psi=0 has it and refuses the read with "Operation not supported".
    """
    found = {}
    for kind, path in paths.items():
        for line in (files.text(path) or "").splitlines():
            words = line.split()
            total = whole(words[-1].partition("=")[2]) if words else None
            if total is not None:
                found[f"{kind}.{words[0]}"] = total
    return found


def _disks(files: Files) -> dict[str, Disk] | None:
    text = files.text("proc/diskstats")
    if text is None:
        return None
    whole_devices = set(files.names("sys/block"))
    found = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) < _DISK_FIELDS or words[2].startswith(_NOT_DISKS):
            continue
        # Without /sys/block a partition cannot be told from a disk; then both are shown.
        if whole_devices and words[2] not in whole_devices:
            continue
        numbers = [whole(word) for word in words[3:_DISK_FIELDS]]
        if None not in numbers:
            found[words[2]] = _disk([number or 0 for number in numbers])
    return found


def _disk(numbers: list[int]) -> Disk:
    reads, _, read_sectors, read_ms, writes, _, write_sectors, write_ms, _, busy_ms, _ = numbers
    return Disk(
        reads=reads,
        read_bytes=read_sectors * SECTOR_BYTES,
        writes=writes,
        written_bytes=write_sectors * SECTOR_BYTES,
        waited_ms=read_ms + write_ms,
        busy_ms=busy_ms,
    )


def nics(files: Files, path: str, *, quiet: bool = False) -> dict[str, Nic] | None:
    """Return the interfaces of the network namespace that the file belongs to."""
    text = files.quietly(path) if quiet else files.text(path)
    if text is None:
        return None
    found = {}
    for line in text.splitlines():
        name, colon, rest = line.partition(":")
        numbers = [whole(word) for word in rest.split()]
        if colon and len(numbers) >= _NIC_FIELDS and None not in numbers:
            n = [number or 0 for number in numbers]
            found[name.strip()] = Nic(n[0], n[1], n[2], n[3], n[8], n[9], n[10], n[11])
    return found


def _tcp(files: Files) -> dict[str, int] | None:
    """Return /proc/net/snmp and /proc/net/netstat as "Tcp.RetransSegs", "TcpExt.ListenDrops"."""
    found = {}
    for path in ("proc/net/snmp", "proc/net/netstat"):
        names: list[str] = []
        for line in (files.text(path) or "").splitlines():
            group, _, rest = line.partition(":")
            words = rest.split()
            # Lines come in pairs: the names, then the numbers.
            if words and whole(words[0]) is None:
                names = words
                continue
            for name, word in zip(names, words):  # noqa: B905  # strict is Python 3.10
                value = whole(word)
                if value is not None:
                    found[f"{group}.{name}"] = value
    return found or None


def _sockets(files: Files) -> dict[str, int] | None:
    """Return /proc/net/sockstat as "TCP.inuse", "TCP.tw" and so on."""
    text = files.text("proc/net/sockstat")
    if text is None:
        return None
    found = {}
    for line in text.splitlines():
        group, _, rest = line.partition(":")
        words = rest.split()
        for name, word in zip(words[::2], words[1::2]):  # noqa: B905  # strict is Python 3.10
            value = whole(word)
            if value is not None:
                found[f"{group}.{name}"] = value
    return found


def _pairs(files: Files, path: str, separator: str) -> dict[str, int] | None:
    text = files.text(path)
    return None if text is None else pairs(text, separator)


def pairs(text: str, separator: str = " ") -> dict[str, int]:
    """Return the lines "name value" whose value is a whole number."""
    found = {}
    for line in text.splitlines():
        name, _, rest = line.partition(separator)
        value = whole(rest.strip())
        if value is not None:
            found[name] = value
    return found
