"""What each visible process and network namespace has used so far.

It must not read a command line or an environment: both hold secrets; the kernel's short name is
enough. Trade-off: a process that starts and ends inside the window is not seen (the number of
forks tells how many there were), and the network is known by namespace (in a cluster: by pod),
since the kernel keeps no count by process.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from infertune_probes.system.counters import nics, pairs
from infertune_probes.system.files import whole

if TYPE_CHECKING:
    from infertune_probes.system.counters import Nic
    from infertune_probes.system.files import Files

_MOST_NAMESPACES = 128
# Positions in /proc/PID/stat after the name, which may hold blanks and brackets (proc(5)).
_STATE, _MAJOR_FAULTS, _USER, _SYSTEM, _THREADS, _START, _RSS = 0, 9, 11, 12, 17, 19, 21
_INITIAL_PID_NAMESPACE = "pid:[4026531836]"  # PROC_PID_INIT_INO of the kernel, the same everywhere


@dataclass(frozen=True)
class Process:
    """One process at one moment; `io_bytes` None: not ours to read."""

    pid: int
    name: str
    cpu_ticks: int
    resident_pages: int
    major_faults: int
    threads: int
    started: int
    io_bytes: int | None
    io_denied: bool


@dataclass(frozen=True)
class Namespace:
    """One network namespace, spoken for by one process in it."""

    inode: str
    pid: int
    name: str
    nics: dict[str, Nic]


@dataclass(frozen=True)
class Census:
    """All visible processes and network namespaces at one moment."""

    processes: dict[int, Process]
    namespaces: dict[str, Namespace]
    io_hidden: int


def take_census(files: Files) -> Census:
    """Read every process once; one that ends meanwhile is left out."""
    found: dict[int, Process] = {}
    namespaces: dict[str, Namespace] = {}
    for entry in files.names("proc"):
        pid = whole(entry)
        process = None if pid is None else _process(files, pid)
        if process is None:
            continue
        found[process.pid] = process
        inode = files.link(f"proc/{process.pid}/ns/net")
        if inode and inode not in namespaces and len(namespaces) < _MOST_NAMESPACES:
            seen = _namespace(files, inode, process)
            if seen is not None:
                namespaces[inode] = seen
    hidden = sum(process.io_denied for process in found.values())
    return Census(found, namespaces, hidden)


def sees_all_processes(files: Files) -> bool | None:
    """Return whether we are in the node's own PID namespace; None when it cannot be told."""
    link = files.link("proc/self/ns/pid")
    return None if link is None else link == _INITIAL_PID_NAMESPACE


def _process(files: Files, pid: int) -> Process | None:
    text = files.quietly(f"proc/{pid}/stat") or ""
    before, bracket, after = text.rpartition(")")
    words = after.split()
    if not bracket or len(words) <= _RSS:
        return None
    numbers = [whole(word) or 0 for word in words]
    io = pairs(files.quietly(f"proc/{pid}/io") or "", ":")
    return Process(
        pid=pid,
        name=before.partition("(")[2],
        cpu_ticks=numbers[_USER] + numbers[_SYSTEM],
        resident_pages=numbers[_RSS],
        major_faults=numbers[_MAJOR_FAULTS],
        threads=numbers[_THREADS],
        started=numbers[_START],
        io_bytes=io["read_bytes"] + io["write_bytes"]
        if "read_bytes" in io and "write_bytes" in io
        else None,
        io_denied=not io and files.denied(f"proc/{pid}/io"),
    )


def _namespace(files: Files, inode: str, process: Process) -> Namespace | None:
    seen = nics(files, f"proc/{process.pid}/net/dev", quiet=True)
    if seen is None:
        return None
    outside = {name: nic for name, nic in seen.items() if name != "lo"}
    return Namespace(inode, process.pid, process.name, outside)


def clock_ticks() -> int:
    """Return how many clock ticks make a second."""
    return os.sysconf("SC_CLK_TCK")


def page_bytes() -> int:
    """Return the size of a memory page."""
    return os.sysconf("SC_PAGE_SIZE")
