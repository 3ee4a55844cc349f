"""The window as measurements: a number with unit and count, or the reason for its absence.

Pure. It must not judge. Trade-off: one name per figure, the same on every machine, so that
windows of many nodes can be laid side by side; what a machine does not have is there with its
reason.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from infertune_probes.contract.envelope import Measurement, measured, unmeasured
from infertune_probes.system import window as windows

if TYPE_CHECKING:
    from infertune_probes.system.advised import View
    from infertune_probes.system.window import Window

_SHARES = ("user", "system", "iowait", "irq", "steal", "idle")
_PRESSURES = ("cpu.some", "memory.some", "memory.full", "io.some", "io.full")
_SOURCES = {
    "cpu": "proc/stat",
    "load": "proc/loadavg",
    "vm": "proc/vmstat",
    "memory": "proc/meminfo",
    "disks": "proc/diskstats",
    "nics": "proc/net/dev",
    "tcp": "proc/net/snmp",
    "sockets": "proc/net/sockstat",
}


def measure(view: View) -> list[Measurement]:
    """Return every figure of the window."""
    return [
        *_processors(view),
        *_queue(view),
        *_memory(view),
        *_stalls(view),
        *_group(view),
        *_disks(view),
        *_network(view),
    ]


def _one(
    view: View, name: str, unit: str, value: float | None, source: str, n: int = 1
) -> Measurement:
    if value is not None:
        return measured(name, unit, float(value), n)
    path = _SOURCES.get(source, source)
    why = view.unreadable.get(path)
    return unmeasured(name, unit, f"{path}: {why}" if why else f"{path} does not tell")


def _processors(view: View) -> list[Measurement]:
    use, cores = windows.all_cpus(view.window), windows.each_cpu(view.window)
    found = [
        _one(view, f"cpu_{name}", "%", None if use is None else getattr(use, name), "cpu")
        for name in _SHARES
    ]
    busy = [each.busy for each in cores.values()]
    highest = max(busy, default=None)
    skew = None if highest is None else highest - sum(busy) / len(busy)
    return [
        *found,
        _one(view, "cpu_cores", "1", len(cores) or None, "cpu"),
        _one(view, "cpu_busiest_core", "%", highest, "cpu"),
        _one(view, "cpu_core_skew", "%", skew, "cpu"),
        _one(view, "cpu_unattributed", "%", windows.unattributed_percent(view.window), "cpu"),
    ]


def _queue(view: View) -> list[Measurement]:
    window = view.window
    running = [tick.running for tick in window.ticks]
    blocked = [tick.blocked for tick in window.ticks]
    first, last = window.first.counters.scheduler, window.last.counters.scheduler
    load = window.last.counters.load
    found = [
        _one(view, "run_queue_mean", "1", windows.mean(running), "cpu", len(running)),
        _one(view, "run_queue_max", "1", _highest(running), "cpu", len(running)),
        _one(view, "blocked_mean", "1", windows.mean(blocked), "cpu", len(blocked)),
    ]
    for at, minutes in enumerate((1, 5, 15)):
        value = None if load is None else load[at]
        found.append(_one(view, f"load_{minutes}m", "1", value, "load"))
    for name, field in (("context_switches", "context_switches"), ("forks", "forks")):
        before, after = getattr(first, field, None), getattr(last, field, None)
        step = None if before is None or after is None else after - before
        found.append(_rate(view, name, "1/s", step, "cpu"))
    return found


def _highest(values: list[int | None]) -> int | None:
    return max((value for value in values if value is not None), default=None)


def _rate(view: View, name: str, unit: str, step: float | None, source: str) -> Measurement:
    per_second = None if step is None or step < 0 else step / view.window.seconds
    return _one(view, name, unit, per_second, source)


def _memory(view: View) -> list[Measurement]:
    window, memory = view.window, view.window.last.counters.memory or {}
    available = [t.available_bytes for t in window.ticks if t.available_bytes is not None]
    swap = None
    if "SwapTotal" in memory and "SwapFree" in memory:
        swap = memory["SwapTotal"] - memory["SwapFree"]
    least = min(available, default=None)
    found = [
        _one(view, "memory_total", "By", memory.get("MemTotal"), "memory"),
        _one(view, "memory_available_least", "By", least, "memory", len(available)),
        _one(view, "memory_cached", "By", memory.get("Cached"), "memory"),
        _one(view, "memory_dirty", "By", memory.get("Dirty"), "memory"),
        _one(view, "swap_used", "By", swap, "memory"),
    ]
    for name, counter in (("swap_in", "pswpin"), ("swap_out", "pswpout")):
        pages = windows.vm_growth(window, counter)
        step = None if pages is None else pages * window.page_bytes
        found.append(_rate(view, name, "By/s", step, "vm"))
    for name, counter in (("page_faults", "pgfault"), ("major_faults", "pgmajfault")):
        found.append(_rate(view, name, "1/s", windows.vm_growth(window, counter), "vm"))
    return found


def _stalls(view: View) -> list[Measurement]:
    found = []
    for name in _PRESSURES:
        kind = name.partition(".")[0]
        label, path = f"pressure_{name.replace('.', '_')}", f"proc/pressure/{kind}"
        stalled = windows.stalled_percent(view.window, name)
        found.append(_one(view, label, "%", stalled, path))
        own = windows.own_stalled_percent(view.window, name)
        if own is not None:
            found.append(_one(view, f"own_{label}", "%", own, path))
    return found


def _group(view: View) -> list[Measurement]:
    group, source = view.window.last.group, "sys/fs/cgroup"
    held = {h.path: h for h in windows.held_back(view.window)}.get(group.path)
    found = [_one(view, "group_memory_used", "By", group.memory_used_bytes, source)]
    if group.cpu_limit is None:
        why = "no CPU limit" if group.version else "cgroups cannot be read"
        return [*found, unmeasured("group_throttled", "%", why)]
    if held is None:
        why = "the group with the limit did not run, or stands above what is visible"
        return [*found, unmeasured("group_throttled", "%", why)]
    return [*found, measured("group_throttled", "%", 100 * held.share, held.periods)]


def _disks(view: View) -> list[Measurement]:
    known = view.window.last.counters.disks is not None
    disks = windows.disks(view.window)
    operations = sum(disk.operations for disk in disks)
    waits = [disk.await_ms * disk.operations for disk in disks if disk.await_ms is not None]
    await_ms = sum(waits) / operations if operations else None

    def total(field: str) -> float | None:
        return sum(getattr(disk, field) for disk in disks) if known else None

    busiest = max((disk.busy_percent for disk in disks), default=0.0) if known else None
    idle = known and not operations
    return [
        _one(view, "disk_reads", "1/s", total("reads_per_second"), "disks"),
        _one(view, "disk_writes", "1/s", total("writes_per_second"), "disks"),
        _one(view, "disk_read", "By/s", total("read_bytes_per_second"), "disks"),
        _one(view, "disk_written", "By/s", total("written_bytes_per_second"), "disks"),
        _one(view, "disk_busiest", "%", busiest, "disks"),
        unmeasured("disk_await", "ms", "no request ended in the window")
        if idle
        else _one(view, "disk_await", "ms", await_ms, "disks", max(1, operations)),
    ]


def _network(view: View) -> list[Measurement]:
    window = view.window
    known = window.last.counters.nics is not None
    outside = [use for use in windows.interfaces(window) if use.name != "lo"]

    def total(field: str) -> float | None:
        return float(sum(getattr(use, field) for use in outside)) if known else None

    sockets = window.last.counters.sockets or {}
    return [
        _one(view, "network_received", "By/s", total("rx_bytes_per_second"), "nics"),
        _one(view, "network_sent", "By/s", total("tx_bytes_per_second"), "nics"),
        _rate(view, "network_packets_received", "1/s", total("rx_packets"), "nics"),
        _rate(view, "network_packets_sent", "1/s", total("tx_packets"), "nics"),
        _rate(view, "network_dropped", "1/s", total("dropped"), "nics"),
        _rate(view, "network_errors", "1/s", total("errors"), "nics"),
        _retransmitted(view, window),
        _one(view, "sockets_tcp_in_use", "1", sockets.get("TCP.inuse"), "sockets"),
        _one(view, "sockets_tcp_time_wait", "1", sockets.get("TCP.tw"), "sockets"),
        _one(view, "sockets_udp_in_use", "1", sockets.get("UDP.inuse"), "sockets"),
    ]


def _retransmitted(view: View, window: Window) -> Measurement:
    again = windows.tcp_growth(window, "Tcp.RetransSegs")
    sent = windows.tcp_growth(window, "Tcp.OutSegs")
    if sent == 0:
        return unmeasured("tcp_retransmitted", "%", "no segment was sent in the window")
    share = None if again is None or sent is None else 100.0 * again / sent
    return _one(view, "tcp_retransmitted", "%", share, "tcp", sent or 0)
