"""Two samples and the ticks between them, and the rates that follow.

Pure. It must not read files or judge. A rate is None when either end is missing or the counter
went backwards (a device that was replaced), never zero. Trade-off: gauges (run queue, free
memory) are averaged over the ticks, so a spike shorter than a tick may be missed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from infertune_probes.system.counters import Counters, CpuTimes, Disk, Nic
    from infertune_probes.system.groups import Group, Throttle
    from infertune_probes.system.processes import Census


@dataclass(frozen=True)
class Sample:
    """Everything that was read at one moment."""

    at: float
    counters: Counters
    group: Group
    throttles: Mapping[str, Throttle]
    census: Census


@dataclass(frozen=True)
class Tick:
    """The gauges of one moment; None: not readable."""

    running: int | None
    blocked: int | None
    available_bytes: int | None


@dataclass(frozen=True)
class Window:
    """The window under judgement; `ticks_per_second` and `page_bytes` are the kernel's units."""

    first: Sample
    last: Sample
    ticks: Sequence[Tick]
    ticks_per_second: int = 100
    page_bytes: int = 4096

    @property
    def seconds(self) -> float:
        """The length of the window."""
        return self.last.at - self.first.at


@dataclass(frozen=True)
class CpuUse:
    """Shares of the time in percent; they add up to 100."""

    user: float
    system: float
    iowait: float
    irq: float
    steal: float
    idle: float

    @property
    def busy(self) -> float:
        """What somebody here worked: neither idle, nor waiting, nor taken by the hypervisor."""
        return self.user + self.system + self.irq


@dataclass(frozen=True)
class DiskUse:
    """One device over the window; `await_ms` None: no operation ended in it."""

    name: str
    reads_per_second: float
    writes_per_second: float
    read_bytes_per_second: float
    written_bytes_per_second: float
    await_ms: float | None
    busy_percent: float
    operations: int


@dataclass(frozen=True)
class NicUse:
    """One interface over the window."""

    name: str
    rx_bytes_per_second: float
    tx_bytes_per_second: float
    rx_packets: int
    tx_packets: int
    dropped: int
    errors: int


@dataclass(frozen=True)
class Held:
    """How one group was throttled in the window."""

    path: str
    periods: int
    throttled: int
    throttled_seconds: float
    quota_cores: float | None
    member: str | None

    @property
    def share(self) -> float:
        """The share of its periods in which the group was stopped, 0 to 1."""
        return self.throttled / self.periods


@dataclass(frozen=True)
class ProcessUse:
    """One process over the window; `io_bytes_per_second` None: not ours to read."""

    pid: int
    name: str
    cpu_percent: float
    resident_bytes: int
    major_faults: int
    io_bytes_per_second: float | None
    threads: int


@dataclass(frozen=True)
class NamespaceUse:
    """One network namespace over the window, spoken for by one process in it."""

    pid: int
    name: str
    rx_bytes_per_second: float
    tx_bytes_per_second: float


def cpu_use(before: CpuTimes, after: CpuTimes) -> CpuUse | None:
    """Return the shares between two readings; None when the clock did not move.

    `iowait` may run backwards by a tick (proc(5)); such a step counts as none.
    """
    steps = {
        name: max(0, getattr(after, name) - getattr(before, name))
        for name in ("user", "system", "idle", "iowait", "irq", "softirq", "steal")
    }
    whole = sum(steps.values())
    if not whole:
        return None
    share = {name: 100.0 * step / whole for name, step in steps.items()}
    return CpuUse(
        user=share["user"],
        system=share["system"],
        iowait=share["iowait"],
        irq=share["irq"] + share["softirq"],
        steal=share["steal"],
        idle=share["idle"],
    )


def all_cpus(window: Window) -> CpuUse | None:
    """Return the shares over all processors."""
    first, last = window.first.counters.scheduler, window.last.counters.scheduler
    return None if first is None or last is None else cpu_use(first.total, last.total)


def each_cpu(window: Window) -> dict[int, CpuUse]:
    """Return the shares of every processor that was there all the time."""
    first, last = window.first.counters.scheduler, window.last.counters.scheduler
    if first is None or last is None:
        return {}
    found = {}
    for core, before in first.cores.items():
        use = cpu_use(before, last.cores[core]) if core in last.cores else None
        if use is not None:
            found[core] = use
    return found


def grown(
    before: Mapping[str, int] | None, after: Mapping[str, int] | None, name: str
) -> int | None:
    """Return how much a named counter grew; None when missing or run backwards."""
    if before is None or after is None or name not in before or name not in after:
        return None
    step = after[name] - before[name]
    return step if step >= 0 else None


def vm_growth(window: Window, name: str) -> int | None:
    """Return the growth of a /proc/vmstat counter."""
    return grown(window.first.counters.vm, window.last.counters.vm, name)


def tcp_growth(window: Window, name: str) -> int | None:
    """Return the growth of a /proc/net/snmp or netstat counter, as "Tcp.OutSegs"."""
    return grown(window.first.counters.tcp, window.last.counters.tcp, name)


def stalled_percent(window: Window, name: str) -> float | None:
    """Return the share of the window in which tasks stalled, as "cpu.some" of the machine."""
    before, after = window.first.counters.pressure, window.last.counters.pressure
    return _stalled(window, before, after, name)


def own_stalled_percent(window: Window, name: str) -> float | None:
    """Return the same for our own group (cgroup v2 only)."""
    return _stalled(window, window.first.group.pressure, window.last.group.pressure, name)


def _stalled(
    window: Window, before: Mapping[str, int], after: Mapping[str, int], name: str
) -> float | None:
    step = grown(before, after, name)
    return None if step is None else min(100.0, step / window.seconds / 1e4)


def disks(window: Window) -> list[DiskUse]:
    """Return the devices that have ever worked, the busiest first."""
    before, after = window.first.counters.disks or {}, window.last.counters.disks or {}
    both = [(name, before[name], disk) for name, disk in after.items() if name in before]
    used = [_disk_use(window, name, a, b) for name, a, b in both if b.reads + b.writes]
    kept = [use for use in used if use is not None]
    return sorted(kept, key=lambda use: (-use.busy_percent, use.name))


def _disk_use(window: Window, name: str, before: Disk, after: Disk) -> DiskUse | None:
    reads, writes = after.reads - before.reads, after.writes - before.writes
    if reads < 0 or writes < 0:
        return None
    operations, seconds = reads + writes, window.seconds
    waited = after.waited_ms - before.waited_ms
    return DiskUse(
        name=name,
        reads_per_second=reads / seconds,
        writes_per_second=writes / seconds,
        read_bytes_per_second=(after.read_bytes - before.read_bytes) / seconds,
        written_bytes_per_second=(after.written_bytes - before.written_bytes) / seconds,
        await_ms=waited / operations if operations else None,
        busy_percent=min(100.0, (after.busy_ms - before.busy_ms) / seconds / 10.0),
        operations=operations,
    )


def interfaces(window: Window) -> list[NicUse]:
    """Return the interfaces, the busiest first."""
    before, after = window.first.counters.nics or {}, window.last.counters.nics or {}
    both = [(name, before[name], nic) for name, nic in after.items() if name in before]
    kept = [use for use in (_nic_use(window, n, a, b) for n, a, b in both) if use is not None]
    return sorted(kept, key=lambda u: (-(u.rx_bytes_per_second + u.tx_bytes_per_second), u.name))


def _nic_use(window: Window, name: str, before: Nic, after: Nic) -> NicUse | None:
    rx, tx = after.rx_bytes - before.rx_bytes, after.tx_bytes - before.tx_bytes
    if rx < 0 or tx < 0:
        return None
    seconds = window.seconds
    return NicUse(
        name=name,
        rx_bytes_per_second=rx / seconds,
        tx_bytes_per_second=tx / seconds,
        rx_packets=after.rx_packets - before.rx_packets,
        tx_packets=after.tx_packets - before.tx_packets,
        dropped=after.rx_dropped + after.tx_dropped - before.rx_dropped - before.tx_dropped,
        errors=after.rx_errors + after.tx_errors - before.rx_errors - before.tx_errors,
    )


def held_back(window: Window) -> list[Held]:
    """Return the groups with a quota that ran in the window, the most throttled first."""
    found = []
    for path, after in window.last.throttles.items():
        before = window.first.throttles.get(path)
        if before is None or after.periods <= before.periods:
            continue
        found.append(
            Held(
                path=path,
                periods=after.periods - before.periods,
                throttled=after.throttled - before.throttled,
                throttled_seconds=(after.throttled_us - before.throttled_us) / 1e6,
                quota_cores=after.quota_cores,
                member=_busiest_of(window, after.members),
            )
        )
    return sorted(found, key=lambda held: (-held.share, held.path))


def _busiest_of(window: Window, members: Sequence[int]) -> str | None:
    census = window.last.census.processes
    known = [census[pid] for pid in members if pid in census]
    top = max(known, key=lambda process: process.cpu_ticks, default=None)
    return None if top is None else f"{top.name} ({top.pid})"


def unattributed_percent(window: Window) -> float | None:
    """Return the processor time that no visible process accounts for, in percent of all.

    Hidden processes, and those that ended within the window.
    """
    use = all_cpus(window)
    cores = len(each_cpu(window))
    if use is None or not cores:
        return None
    seen = sum(process.cpu_percent for process in processes(window)) / cores
    return max(0.0, use.user + use.system - seen)


def processes(window: Window) -> list[ProcessUse]:
    """Return every process that was there at the end, in no order.

    One that started inside the window has its whole use counted; a number that was used again by
    another process is told by the start time.
    """
    found = []
    for pid, after in window.last.census.processes.items():
        before = window.first.census.processes.get(pid)
        if before is not None and before.started != after.started:
            before = None
        ticks = after.cpu_ticks - (before.cpu_ticks if before else 0)
        earlier = before.io_bytes if before else 0
        moved = None
        if after.io_bytes is not None and earlier is not None:
            moved = (after.io_bytes - earlier) / window.seconds
        found.append(
            ProcessUse(
                pid=pid,
                name=after.name,
                cpu_percent=100.0 * ticks / window.ticks_per_second / window.seconds,
                resident_bytes=after.resident_pages * window.page_bytes,
                major_faults=after.major_faults - (before.major_faults if before else 0),
                io_bytes_per_second=moved,
                threads=after.threads,
            )
        )
    return found


def namespaces(window: Window) -> list[NamespaceUse]:
    """Return the network namespaces that were there all the time, the busiest first."""
    found = []
    for inode, after in window.last.census.namespaces.items():
        before = window.first.census.namespaces.get(inode)
        if before is None:
            continue
        # By interface: a pod's that is removed meanwhile takes its totals with it.
        both = [(before.nics[name], nic) for name, nic in after.nics.items() if name in before.nics]
        rx = sum(max(0, b.rx_bytes - a.rx_bytes) for a, b in both)
        tx = sum(max(0, b.tx_bytes - a.tx_bytes) for a, b in both)
        per = window.seconds
        found.append(NamespaceUse(after.pid, after.name, rx / per, tx / per))
    return sorted(found, key=lambda u: -(u.rx_bytes_per_second + u.tx_bytes_per_second))


def mean(values: Sequence[int | None]) -> float | None:
    """Return the mean of what was read; None when nothing was."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
