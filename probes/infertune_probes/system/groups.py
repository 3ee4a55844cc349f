"""Control groups: which one is ours, what it may use, and how often it was held back.

cgroup v1 and v2 behind one shape (Linux Documentation/admin-guide/cgroup-v1, cgroup-v2.rst,
scheduler/sched-bwc.rst). It must not judge. A limit counts wherever it stands on the way from
our group up to the root we can see. Trade-off: in a container's own cgroup namespace the way up
ends at the container, so a limit of the pod above it is not seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from infertune_probes.system.counters import pairs, pressure
from infertune_probes.system.files import listed, whole

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infertune_probes.system.files import Files

ROOT = "sys/fs/cgroup"
# cgroup v1 spells "no limit" as a number close to 2^63.
UNLIMITED_BYTES = 1 << 60
_MOST_GROUPS = 512
_MOST_DEPTH = 8
_MOST_MEMBERS = 256
_V2 = 2


@dataclass(frozen=True)
class Throttle:
    """The bandwidth counters of one group; `quota_cores` None: unlimited; some of its processes."""

    periods: int
    throttled: int
    throttled_us: int
    quota_cores: float | None
    members: tuple[int, ...] = ()


@dataclass(frozen=True)
class Group:
    """Our own group at one moment; None: not limited or not readable, as the field says."""

    version: int | None
    path: str
    cpu_limit: float | None
    cpu_limited_by: str | None
    memory_limit_bytes: int | None
    memory_used_bytes: int | None
    memory_reclaimable_bytes: int | None
    oom_kills: int | None
    pids: int | None
    pids_limit: int | None
    cpuset: frozenset[int] | None
    pressure: dict[str, int]


def version(files: Files) -> int | None:
    """Return 2 for the unified hierarchy, 1 for separate ones, None when neither is mounted."""
    if files.quietly(f"{ROOT}/cgroup.controllers") is not None:
        return _V2
    return 1 if _hierarchy(files, "cpu") or _hierarchy(files, "memory") else None


def own_group(files: Files, pid: str) -> Group:
    """Return the group of a process ("self" or a number)."""
    kind = version(files)
    if kind is None:
        files.unreadable[ROOT] = "neither cgroup v1 nor v2 is mounted"
        return Group(None, "", None, None, None, None, None, None, None, None, None, {})
    paths = _paths_of(files, pid)
    return _unified(files, paths) if kind == _V2 else _separate(files, paths)


def _paths_of(files: Files, pid: str) -> dict[str, str]:
    """Return controller -> path from /proc/PID/cgroup; "" is the unified hierarchy."""
    found = {}
    for line in (files.text(f"proc/{pid}/cgroup") or "").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        for controller in controllers.split(","):
            found[controller] = path
    return found


def _hierarchy(files: Files, controller: str) -> str | None:
    """Return the v1 folder that holds a controller ("cpu" may be mounted as "cpu,cpuacct")."""
    for name in files.names(ROOT):
        if controller in name.split(","):
            return f"{ROOT}/{name}"
    return None


def _way_up(files: Files, top: str, path: str, witness: str) -> list[str]:
    """Return the group's folder and its ancestors, nearest first, that exist below `top`.

    A container without its own cgroup namespace reads the host's path but sees only its own part
    of the tree, at the top; then the top is the group.
    """
    words = [word for word in path.split("/") if word and word != ".."]
    while words:
        folder = "/".join([top, *words])
        if files.quietly(f"{folder}/{witness}") is not None:
            return ["/".join([top, *words[:n]]) for n in range(len(words), -1, -1)]
        words.pop()
    return [top]


def _unified(files: Files, paths: dict[str, str]) -> Group:
    path = paths.get("", "/")
    way = _way_up(files, ROOT, path, "cgroup.controllers")
    limits = [(quota_v2(files, folder), folder) for folder in way]
    cores = [(quota, folder) for quota, folder in limits if quota is not None]
    tightest = min(cores, default=(None, None))
    own = way[0]
    stat = pairs(files.quietly(f"{own}/memory.stat") or "")
    events = pairs(files.quietly(f"{own}/memory.events") or "")
    return Group(
        version=_V2,
        path=path,
        cpu_limit=tightest[0],
        cpu_limited_by=tightest[1],
        memory_limit_bytes=_least(files.number(f"{folder}/memory.max") for folder in way),
        memory_used_bytes=files.number(f"{own}/memory.current"),
        memory_reclaimable_bytes=stat.get("inactive_file"),
        oom_kills=events.get("oom_kill"),
        pids=files.number(f"{own}/pids.current"),
        pids_limit=_least(files.number(f"{folder}/pids.max") for folder in way),
        cpuset=listed(files.quietly(f"{own}/cpuset.cpus.effective")) or None,
        pressure=_own_pressure(files, own),
    )


def _own_pressure(files: Files, own: str) -> dict[str, int]:
    paths = {kind: f"{own}/{kind}.pressure" for kind in ("cpu", "memory", "io")}
    return pressure(files, {k: p for k, p in paths.items() if files.quietly(p) is not None})


def _separate(files: Files, paths: dict[str, str]) -> Group:
    def way(controller: str, witness: str) -> list[str]:
        top = _hierarchy(files, controller)
        return _way_up(files, top, paths.get(controller, "/"), witness) if top else []

    cpu, memory = way("cpu", "cpu.cfs_quota_us"), way("memory", "memory.limit_in_bytes")
    pids, cpuset = way("pids", "pids.current"), way("cpuset", "cpuset.cpus")
    limits = [(quota_v1(files, folder), folder) for folder in cpu]
    cores = [(quota, folder) for quota, folder in limits if quota is not None]
    tightest = min(cores, default=(None, None))
    own = memory[0] if memory else None
    stat = pairs(files.quietly(f"{own}/memory.stat") or "")
    control = pairs(files.quietly(f"{own}/memory.oom_control") or "")
    return Group(
        version=1,
        path=paths.get("cpu", "/"),
        cpu_limit=tightest[0],
        cpu_limited_by=tightest[1],
        memory_limit_bytes=_least(files.number(f"{f}/memory.limit_in_bytes") for f in memory),
        memory_used_bytes=files.number(f"{own}/memory.usage_in_bytes"),
        memory_reclaimable_bytes=stat.get("total_inactive_file"),
        oom_kills=control.get("oom_kill"),
        pids=files.number(f"{pids[0]}/pids.current") if pids else None,
        pids_limit=_least(files.number(f"{folder}/pids.max") for folder in pids),
        cpuset=_cpuset_v1(files, cpuset),
        pressure={},
    )


def _cpuset_v1(files: Files, way: list[str]) -> frozenset[int] | None:
    for name in ("cpuset.effective_cpus", "cpuset.cpus"):
        found = listed(files.quietly(f"{way[0]}/{name}")) if way else None
        if found:
            return found
    return None


def quota_v2(files: Files, folder: str) -> float | None:
    """Return `cpu.max` in cores; None when unlimited or absent (the root group has none)."""
    words = (files.quietly(f"{folder}/cpu.max") or "").split()
    quota, period = (whole(words[0]), whole(words[1])) if len(words) > 1 else (None, None)
    return quota / period if quota and period else None


def quota_v1(files: Files, folder: str) -> float | None:
    """Return the CFS quota in cores; None when unlimited (-1) or absent."""
    quota = files.number(f"{folder}/cpu.cfs_quota_us")
    period = files.number(f"{folder}/cpu.cfs_period_us")
    return quota / period if quota and period and quota > 0 else None


def _least(limits: Iterator[int | None]) -> int | None:
    real = [limit for limit in limits if limit is not None and limit < UNLIMITED_BYTES]
    return min(real, default=None)


def throttles(files: Files) -> dict[str, Throttle]:
    """Return every group we can see that has had a CPU quota, by path below its hierarchy.

    At most 512 groups, 8 levels deep: a node has some hundred pods.
    """
    kind = version(files)
    top = ROOT if kind == _V2 else _hierarchy(files, "cpu") if kind else None
    if top is None:
        return {}
    found: dict[str, Throttle] = {}
    waiting, visited = [(top, 0)], 0
    while waiting and visited < _MOST_GROUPS:
        folder, depth = waiting.pop(0)
        visited += 1
        seen = _throttle(files, folder, unified=kind == _V2)
        if seen is not None:
            found[folder[len(top) :] or "/"] = seen
        if depth < _MOST_DEPTH:
            waiting += [(f"{folder}/{name}", depth + 1) for name in files.folders(folder)]
    return found


def _throttle(files: Files, folder: str, *, unified: bool) -> Throttle | None:
    text = files.quietly(f"{folder}/cpu.stat")
    stat = pairs(text or "")
    periods, throttled = stat.get("nr_periods"), stat.get("nr_throttled")
    quota = quota_v2(files, folder) if unified else quota_v1(files, folder)
    if periods is None or throttled is None or (quota is None and not periods):
        return None
    microseconds = stat.get("throttled_usec", stat.get("throttled_time", 0) // 1000)
    # 0 stands for a process of a PID namespace that we do not see.
    listed_there = map(whole, (files.quietly(f"{folder}/cgroup.procs") or "").split())
    members = tuple(pid for pid in listed_there if pid)[:_MOST_MEMBERS]
    return Throttle(periods, throttled, microseconds, quota, members)
