"""Is memory short, swapped, stalled, or about to kill somebody?

Pure. It must not know where the figures come from. Trade-off: page cache that can be dropped
counts as free (MemAvailable; working set without inactive files), which is what the kubelet
evicts by, but a server that maps its weights from files may want exactly that cache.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from infertune_probes.system import codes, window
from infertune_probes.system.advised import Advice, Advised, View, advised, mebibytes, quiet

if TYPE_CHECKING:
    from infertune_probes.contract.envelope import Verdict

LOW_WARN, LOW_FAIL = 0.10, 0.03
NEAR_LIMIT = 0.90
SWAP_PAGES_PER_SECOND = 10.0
MAJOR_FAULTS_PER_SECOND = 100.0
STALL_WARN_PERCENT, FULL_STALL_FAIL_PERCENT = 5.0, 5.0
COMPACTIONS_PER_SECOND = 1.0
LOW_SWAPPINESS = 10
_GIBI = 1 << 30


def judge(view: View) -> list[Advised]:
    """Return the findings of the area; one pass when there is nothing to say."""
    memory = view.window.last.counters.memory
    found = [*_group(view), *_kills(view), *_swap(view), *_faults(view), *_stalls(view)]
    if memory is None or "MemTotal" not in memory:
        return found  # /proc/meminfo is then named as unreadable
    found += _machine(view, memory["MemTotal"])
    if found:
        return found
    available = _least_available(view)
    told = "" if available is None else f"{mebibytes(available)} of "
    return [
        quiet(codes.MEMORY_FINE, f"{told}{mebibytes(memory['MemTotal'])} available, no swapping")
    ]


def _least_available(view: View) -> int | None:
    known = [t.available_bytes for t in view.window.ticks if t.available_bytes is not None]
    return min(known, default=None)


def _machine(view: View, total: int) -> list[Advised]:
    available = _least_available(view)
    if available is None or available >= LOW_WARN * total:
        return []
    top = sorted(window.processes(view.window), key=lambda p: -p.resident_bytes)[:3]
    named = ", ".join(f"{p.name} ({p.pid}) {mebibytes(p.resident_bytes)}" for p in top)
    evidence = f"{mebibytes(available)} of {mebibytes(total)} available at the least; most: {named}"
    advice = Advice(
        "move a pod off the node (`kubectl drain` or a memory request on each pod), or "
        "`evictionHard.memory.available: 5%` in the kubelet",
        "below this the kernel reclaims the page cache that file-backed weights live in",
        "an eviction ends a pod",
    )
    verdict: Verdict = "fail" if available < LOW_FAIL * total else "warn"
    return [advised(codes.MEMORY_LOW, verdict, evidence, advice)]


def _group(view: View) -> list[Advised]:
    group = view.window.last.group
    limit, used = group.memory_limit_bytes, group.memory_used_bytes
    if limit is None or used is None:
        return []
    working = max(0, used - (group.memory_reclaimable_bytes or 0))
    if working < NEAR_LIMIT * limit:
        return []
    more = math.ceil(1.25 * working / _GIBI)
    advice = Advice(
        f"`resources.limits.memory: {more}Gi` (and the request with it)",
        "a quarter above what is used now; at the limit the kernel kills the server",
        "fewer pods fit on the node",
    )
    evidence = f"working set {mebibytes(working)} of a limit of {mebibytes(limit)}"
    return [advised(codes.GROUP_MEMORY_NEAR_LIMIT, "warn", evidence, advice)]


def _kills(view: View) -> list[Advised]:
    advice = Advice(
        "`resources.limits.memory` higher for what was killed (`kubectl describe pod`: OOMKilled)",
        "a killed server loses every request it held",
        "fewer pods fit on the node",
    )
    first, last = view.window.first.group.oom_kills, view.window.last.group.oom_kills
    now = window.vm_growth(view.window, "oom_kill")
    if now:
        evidence = f"killed within the window on this machine: {now}"
        return [advised(codes.OOM_KILLED, "fail", evidence, advice)]
    if first is not None and last is not None and last > first:
        evidence = f"killed within the window in this container: {last - first}"
        return [advised(codes.OOM_KILLED, "fail", evidence, advice)]
    if last:
        evidence = f"killed in this container since it began: {last}"
        return [advised(codes.OOM_KILLED, "warn", evidence, advice)]
    return []


def _swap(view: View) -> list[Advised]:
    memory = view.window.last.counters.memory or {}
    moved = [window.vm_growth(view.window, name) for name in ("pswpin", "pswpout")]
    pages = sum(pages for pages in moved if pages is not None)
    rate = pages / view.window.seconds
    found = []
    if rate >= SWAP_PAGES_PER_SECOND:
        advice = Advice(
            "`swapoff -a`, or kubelet `memorySwap.swapBehavior: NoSwap`",
            "a page from swap costs milliseconds in the middle of a request",
            "without swap a shortage kills instead of slowing down",
        )
        evidence = f"{rate:.0f} pages a second went to or came from swap"
        found.append(advised(codes.SWAPPING, "warn", evidence, advice))
    swappiness, total = view.facts.swappiness, memory.get("SwapTotal", 0)
    if total and swappiness is not None and swappiness > LOW_SWAPPINESS:
        advice = Advice(
            "`sysctl -w vm.swappiness=10` (a file in /etc/sysctl.d keeps it)",
            "idle parts of a model are swapped out while there is page cache to drop instead",
            "less page cache for file readers under pressure",
        )
        evidence = f"vm.swappiness={swappiness} with {mebibytes(total)} of swap"
        found.append(advised(codes.SWAPPINESS_HIGH, "warn", evidence, advice))
    return found


def _faults(view: View) -> list[Advised]:
    faults = window.vm_growth(view.window, "pgmajfault")
    rate = None if faults is None else faults / view.window.seconds
    if rate is None or rate < MAJOR_FAULTS_PER_SECOND:
        return []
    top = max(window.processes(view.window), key=lambda p: p.major_faults, default=None)
    who = f"; most: {top.name} ({top.pid}) {top.major_faults}" if top and top.major_faults else ""
    advice = Advice(
        "`resources.limits.memory` by the size of the weights higher, or load without mapping "
        "(safetensors into pinned memory)",
        "pages of files in use were dropped and read again",
        "memory that is held is not there for others",
    )
    evidence = f"{rate:.0f} major page faults a second{who}"
    return [advised(codes.MAJOR_FAULTS, "warn", evidence, advice)]


def _stalls(view: View) -> list[Advised]:
    found = []
    some = window.own_stalled_percent(view.window, "memory.some")
    full = window.own_stalled_percent(view.window, "memory.full")
    whose = "this container"
    if some is None:
        some = window.stalled_percent(view.window, "memory.some")
        full = window.stalled_percent(view.window, "memory.full")
        whose = "the machine"
    if some is not None and some >= STALL_WARN_PERCENT:
        advice = Advice(
            "`resources.limits.memory` higher, or fewer pods on the node",
            "tasks wait while the kernel frees pages",
            "fewer pods fit on the node",
        )
        verdict: Verdict = "fail" if (full or 0.0) >= FULL_STALL_FAIL_PERCENT else "warn"
        told = "" if full is None else f", all tasks at once {full:.1f} %"
        evidence = f"some task of {whose} stalled on memory {some:.1f} % of the window{told}"
        found.append(advised(codes.MEMORY_PRESSURE, verdict, evidence, advice))
    stalls = window.vm_growth(view.window, "compact_stall")
    if stalls is not None and stalls / view.window.seconds >= COMPACTIONS_PER_SECOND:
        advice = Advice(
            "`echo madvise > /sys/kernel/mm/transparent_hugepage/enabled` and "
            "`echo defer+madvise > /sys/kernel/mm/transparent_hugepage/defrag`",
            "an allocation then no longer waits for the kernel to move pages together",
            "programs that do not ask for huge pages lose them",
        )
        evidence = (
            f"{stalls} allocations waited for compaction; transparent huge pages "
            f"{view.facts.thp or 'unknown'}, defrag {view.facts.thp_defrag or 'unknown'}"
        )
        found.append(advised(codes.COMPACTION_STALLS, "warn", evidence, advice))
    return found
