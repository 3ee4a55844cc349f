"""Puts the areas together, and says what could not be seen.

Pure. It must not hold a bound of its own. Trade-off: a missing file is a finding of its own even
when its area has others, so that nobody takes silence about pressure for the absence of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from infertune_probes.system import (
    codes,
    judge_cpu,
    judge_memory,
    judge_setup,
    judge_traffic,
)
from infertune_probes.system.advised import Advised

if TYPE_CHECKING:
    from infertune_probes.system.advised import View

_AREAS = (
    judge_cpu.judge,
    judge_memory.judge,
    judge_traffic.judge_disk,
    judge_traffic.judge_network,
    judge_setup.judge,
)
_PRESSURE_FIX = (
    "a kernel with CONFIG_PSI, booted with `psi=1` where it is off by default (RHEL, older images)"
)
# What a file tells, by the beginning of its path: the words and the fix.
_TELLS = (
    ("proc/pressure/", "pressure (PSI)", _PRESSURE_FIX),
    ("proc/stat", "processor use", codes.SOURCE_UNREADABLE.fix),
    ("proc/meminfo", "memory", codes.SOURCE_UNREADABLE.fix),
    ("proc/diskstats", "disks", codes.SOURCE_UNREADABLE.fix),
    ("proc/net/", "network", codes.SOURCE_UNREADABLE.fix),
    ("sys/fs/cgroup", "limits and throttling", "mount /sys/fs/cgroup (read-only is enough)"),
    ("sys/devices/system/node", "NUMA", "mount /sys (read-only is enough)"),
)


def judge(view: View) -> list[Advised]:
    """Return all findings, area by area, then what could not be seen."""
    found = [one for area in _AREAS for one in area(view)]
    return found + _unreadable(view) + _hidden(view)


def _unreadable(view: View) -> list[Advised]:
    """Return one finding for each group of files with the same meaning and reason."""
    grouped: dict[tuple[str, str, str], list[str]] = {}
    for path, reason in sorted(view.unreadable.items()):
        tells, fix = next(
            ((words, fix) for start, words, fix in _TELLS if path.startswith(start)),
            ("settings", codes.SOURCE_UNREADABLE.fix),
        )
        grouped.setdefault((tells, reason, fix), []).append(path)
    return [
        Advised(codes.SOURCE_UNREADABLE.unknown(f"{tells}: {', '.join(paths)}: {reason}", fix))
        for (tells, reason, fix), paths in grouped.items()
    ]


def _hidden(view: View) -> list[Advised]:
    census = view.window.last.census
    seen, mute = len(census.processes), census.io_hidden
    if not seen:
        return [Advised(codes.PROCESSES_HIDDEN.unknown("no process can be seen in /proc"))]
    parts = []
    if view.sees_all is False:
        parts.append(f"only the {seen} processes of this PID namespace can be seen")
    if view.sees_all is None:
        parts.append("it cannot be told whether all processes of the machine are seen")
    if mute:
        parts.append(f"the storage traffic of {mute} of {seen} processes is hidden")
    return [Advised(codes.PROCESSES_HIDDEN.unknown("; ".join(parts)))] if parts else []
