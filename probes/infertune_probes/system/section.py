"""The system section of the envelope, and its tables for a terminal.

Pure. It must not judge. Trade-off: lists are cut to the busiest entries, so that a node with a
thousand pods still fits the payload; the figures in the measurements are over all of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from infertune_probes.contract.terminal import Table, number
from infertune_probes.system import window as windows
from infertune_probes.system.advised import mebibytes
from infertune_probes.system.files import ranges

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infertune_probes.system.advised import Advised, View
    from infertune_probes.system.window import ProcessUse

MOST_DEVICES = 32
MOST_GROUPS = 16
MOST_CORES = 1024
MOST_GPUS = 64


def section(view: View, judged: Sequence[Advised], top: int, pid: str) -> dict[str, object]:
    """Return the result section; `top` processes by each measure."""
    window, group = view.window, view.window.last.group
    cores = windows.each_cpu(window)
    return {
        "kind": "system",
        "windowSeconds": window.seconds,
        "ticks": len(window.ticks),
        "process": pid,
        "seesAllProcesses": view.sees_all,
        "coresBusyPercent": {str(core): cores[core].busy for core in sorted(cores)[:MOST_CORES]},
        "disks": [_plain(disk) for disk in windows.disks(window)[:MOST_DEVICES]],
        "interfaces": [_plain(use) for use in windows.interfaces(window)[:MOST_DEVICES]],
        "group": {
            "version": group.version,
            "path": group.path,
            "cpuLimit": group.cpu_limit,
            "cpuLimitedBy": group.cpu_limited_by,
            "memoryLimitBytes": group.memory_limit_bytes,
            "memoryUsedBytes": group.memory_used_bytes,
            "memoryReclaimableBytes": group.memory_reclaimable_bytes,
            "oomKills": group.oom_kills,
            "pids": group.pids,
            "pidsLimit": group.pids_limit,
            "cpuset": None if group.cpuset is None else ranges(group.cpuset),
        },
        "throttled": [_plain(h) for h in windows.held_back(window)[:MOST_GROUPS]],
        "processes": {name: [_plain(p) for p in ps] for name, ps in _tops(view, top).items()},
        "namespaces": [_plain(use) for use in windows.namespaces(window)[:top]],
        "facts": _facts(view),
        "suggestions": [
            {
                "code": one.finding.code,
                "command": one.advice.command,
                "reason": one.advice.reason,
                "risk": one.advice.risk,
            }
            for one in judged
            if one.advice is not None
        ],
    }


def _tops(view: View, top: int) -> dict[str, list[ProcessUse]]:
    every = windows.processes(view.window)
    moving = [p for p in every if p.io_bytes_per_second]
    return {
        "byCpu": sorted(every, key=lambda p: (-p.cpu_percent, p.pid))[:top],
        "byMemory": sorted(every, key=lambda p: (-p.resident_bytes, p.pid))[:top],
        "byIo": sorted(moving, key=lambda p: (-(p.io_bytes_per_second or 0.0), p.pid))[:top],
    }


def _facts(view: View) -> dict[str, object]:
    facts = view.facts
    return {
        "kernel": facts.kernel,
        "virtual": facts.virtual,
        "containerRuntime": facts.mounts.runtime,
        "numaNodes": [
            {
                "node": node.node,
                "cpus": ranges(node.cpus),
                "memoryBytes": node.memory_bytes,
                "freeBytes": node.free_bytes,
            }
            for node in facts.numa
        ],
        "gpus": [
            {
                "pciBusId": gpu.address,
                "node": gpu.node,
                "cpus": None if gpu.cpus is None else ranges(gpu.cpus),
            }
            for gpu in facts.gpus[:MOST_GPUS]
        ],
        "cpusAllowed": None if facts.allowed is None else ranges(facts.allowed),
        "governor": facts.frequency.governor,
        "frequencyDriver": facts.frequency.driver,
        "frequencyKhz": facts.frequency.current_khz,
        "highestFrequencyKhz": facts.frequency.highest_khz,
        "clockSource": facts.clock,
        "transparentHugePages": facts.thp,
        "swappiness": facts.swappiness,
        "numaBalancing": facts.numa_balancing,
        "sharedMemoryBytes": facts.mounts.shm_bytes,
        "softLimits": facts.limits.soft,
        "hardLimits": facts.limits.hard,
    }


def _plain(value: object) -> dict[str, object]:
    """Return a frozen dataclass of plain fields as camelCase JSON."""
    return {_camel(name): field for name, field in vars(value).items()}


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def tables(view: View, top: int) -> list[Table]:
    """Return the tables for a terminal."""
    window, tops = view.window, _tops(view, top)
    every = {p.pid: p for ps in tops.values() for p in ps}
    busiest = sorted(every.values(), key=lambda p: (-p.cpu_percent, -p.resident_bytes))
    return [
        Table(
            "processes: the most by processor, memory and storage",
            ("pid", "name", "cpu %", "memory", "storage/s", "threads"),
            [_process_row(p) for p in busiest],
        ),
        Table(
            "disks",
            ("disk", "busy %", "reads/s", "writes/s", "read/s", "written/s", "await ms"),
            [
                (
                    disk.name,
                    number(round(disk.busy_percent, 1)),
                    number(round(disk.reads_per_second, 1)),
                    number(round(disk.writes_per_second, 1)),
                    mebibytes(disk.read_bytes_per_second),
                    mebibytes(disk.written_bytes_per_second),
                    "-" if disk.await_ms is None else number(round(disk.await_ms, 2)),
                )
                for disk in windows.disks(window)[:MOST_DEVICES]
            ],
        ),
        Table(
            "network interfaces",
            ("interface", "received/s", "sent/s", "dropped", "errors"),
            [
                (
                    use.name,
                    mebibytes(use.rx_bytes_per_second),
                    mebibytes(use.tx_bytes_per_second),
                    str(use.dropped),
                    str(use.errors),
                )
                for use in windows.interfaces(window)[:MOST_DEVICES]
            ],
        ),
    ]


def _process_row(process: ProcessUse) -> tuple[str, ...]:
    moved = process.io_bytes_per_second
    return (
        str(process.pid),
        process.name,
        number(round(process.cpu_percent, 1)),
        mebibytes(process.resident_bytes),
        "-" if moved is None else mebibytes(moved),
        str(process.threads),
    )
