"""Are the processors overloaded, taken away, throttled, or unevenly used?

Pure. It must not know where the figures come from. Trade-off: the bounds are those of a server
that has to answer in time; a batch machine at 100 % is well and would be called saturated here.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from infertune_probes.system import codes, window
from infertune_probes.system.advised import Advice, Advised, View, advised, quiet

if TYPE_CHECKING:
    from infertune_probes.contract.envelope import Verdict
    from infertune_probes.system.window import CpuUse, Held

BUSY_PERCENT = 90.0
QUEUE_PER_CORE = 1.5
UNSEEN_PERCENT = 10.0
STEAL_WARN_PERCENT, STEAL_FAIL_PERCENT = 5.0, 20.0
IOWAIT_PERCENT = 20.0
FULL_CORE_PERCENT, IDLE_MEAN_PERCENT = 95.0, 50.0
IRQ_CORE_PERCENT, IRQ_MEAN_PERCENT = 40.0, 15.0
# A quota that bites in 1 of 100 periods touches P99; in 1 of 4, the median.
THROTTLED_WARN, THROTTLED_FAIL = 0.01, 0.25
# Below this many periods (100 ms each) a share says little.
LEAST_PERIODS = 10
PRESSURE_PERCENT = 20.0
_MOST_NAMED = 5


def judge(view: View) -> list[Advised]:
    """Return the findings of the area; one pass when there is nothing to say."""
    use = window.all_cpus(view.window)
    found = throttling(view)
    if use is None:
        return found  # /proc/stat is then named as unreadable
    cores = window.each_cpu(view.window)
    found += [*_taken(use), *_saturated(view, use, len(cores)), *_uneven(view, cores)]
    # A group that its quota stops is waiting by definition; once is enough.
    if all(one.finding.code != codes.CPU_THROTTLED.name for one in found):
        found += _pressure(view)
    if found:
        return found
    queue = _queue(view)
    told = "" if queue is None else f", {queue:.1f} tasks running or ready on average"
    return [quiet(codes.CPU_FINE, f"{use.busy:.0f} % of {len(cores)} processors busy{told}")]


def _queue(view: View) -> float | None:
    """Return the tasks that ran or were ready; the probe itself, which is reading, is left out."""
    running = window.mean([tick.running for tick in view.window.ticks])
    return None if running is None else max(0.0, running - 1)


def _taken(use: CpuUse) -> list[Advised]:
    found = []
    if use.steal >= STEAL_WARN_PERCENT:
        verdict: Verdict = "fail" if use.steal >= STEAL_FAIL_PERCENT else "warn"
        advice = Advice(
            "use an instance type with dedicated CPUs, or stop and start the machine to move it",
            "stolen time cannot be won back inside the machine",
            "a move means a drain and a cold start",
        )
        evidence = f"{use.steal:.1f} % of the time went to other guests of the hypervisor"
        found.append(advised(codes.CPU_STEAL, verdict, evidence, advice))
    if use.iowait >= IOWAIT_PERCENT:
        advice = Advice(
            "put weights and logs on a local NVMe volume, or warm the page cache before traffic",
            "these processors were idle only because storage had not answered",
            "local volumes are lost with the node",
        )
        evidence = f"{use.iowait:.1f} % of the processor time waited for storage"
        found.append(advised(codes.CPU_IOWAIT, "warn", evidence, advice))
    return found


def _saturated(view: View, use: CpuUse, cores: int) -> list[Advised]:
    queue = _queue(view)
    if use.busy < BUSY_PERCENT or queue is None or queue < QUEUE_PER_CORE * max(1, cores):
        return []
    top = sorted(window.processes(view.window), key=lambda p: -p.cpu_percent)[:3]
    named = ", ".join(f"{p.name} ({p.pid}) {p.cpu_percent:.0f} %" for p in top)
    unseen = window.unattributed_percent(view.window) or 0.0
    if unseen >= UNSEEN_PERCENT:
        named += f"; {unseen:.0f} % of all by processes that are hidden or ended meanwhile"
    evidence = (
        f"{use.busy:.0f} % of {cores} processors busy, {queue:.1f} tasks running or ready on "
        f"average; most: {named}"
    )
    advice = Advice(
        f'`resources.requests.cpu: "{math.ceil(cores / 2)}"` on the server, so that the others '
        "yield or go elsewhere",
        "shares follow the requests when processors are short",
        "the pod needs a node with that much free",
    )
    return [advised(codes.CPU_SATURATED, "warn", evidence, advice)]


def _uneven(view: View, cores: dict[int, CpuUse]) -> list[Advised]:
    if len(cores) < 2:  # noqa: PLR2004  # one processor cannot be uneven
        return []
    found = []
    mean_busy = sum(use.busy for use in cores.values()) / len(cores)
    core, use = max(cores.items(), key=lambda item: item[1].busy)
    if use.busy >= FULL_CORE_PERCENT and mean_busy < IDLE_MEAN_PERCENT:
        top = max(window.processes(view.window), key=lambda p: p.cpu_percent, default=None)
        who = f"; busiest process {top.name} ({top.pid}) {top.cpu_percent:.0f} %" if top else ""
        advice = Advice(
            "start more server processes (`--workers 2` or more replicas), or move "
            "pre-processing out of the serving thread",
            "one thread cannot use a second processor",
            "each process holds its own copy of the model",
        )
        evidence = f"processor {core} {use.busy:.0f} % busy, mean {mean_busy:.0f} %{who}"
        found.append(advised(codes.ONE_CORE_BUSY, "warn", evidence, advice))
    mean_irq = sum(use.irq for use in cores.values()) / len(cores)
    core, use = max(cores.items(), key=lambda item: item[1].irq)
    if use.irq >= IRQ_CORE_PERCENT and mean_irq < IRQ_MEAN_PERCENT:
        advice = Advice(
            "`systemctl enable --now irqbalance`, or more queues: `ethtool -L IFACE combined N`",
            "packets queue behind one processor while others idle",
            "interrupts may land on processors that are pinned to a server",
        )
        evidence = f"processor {core} spends {use.irq:.0f} % in interrupts, mean {mean_irq:.0f} %"
        found.append(advised(codes.IRQ_ON_ONE_CORE, "warn", evidence, advice))
    return found


def throttling(view: View) -> list[Advised]:
    """Return the findings about CPU quotas: our own group's, and those of others we can see."""
    held = [h for h in window.held_back(view.window) if h.periods >= LEAST_PERIODS]
    hurt = [h for h in held if h.share >= THROTTLED_WARN]
    own = view.window.last.group
    above = _and_above(own.path)
    ours = [h for h in hurt if h.path in above]
    others = [h for h in hurt if h.path not in above]
    found = [_own_throttled(view, ours[0])] if ours else []
    if others:
        named = ", ".join(_told(h) for h in others[:_MOST_NAMED])
        more = "" if len(others) <= _MOST_NAMED else f" and {len(others) - _MOST_NAMED} more"
        # A warning however bad: it is their promise that breaks, not this machine.
        advice = _raise_quota(others[0], f"of {others[0].member or others[0].path}")
        found.append(advised(codes.GROUPS_THROTTLED, "warn", named + more, advice))
    return found


def _told(held: Held) -> str:
    quota = "" if held.quota_cores is None else f" at {held.quota_cores:g} CPU"
    who = f"{held.member} in " if held.member else ""
    return f"{who}{held.path} stopped in {100 * held.share:.0f} % of {held.periods} periods{quota}"


def _own_throttled(view: View, held: Held) -> Advised:
    verdict: Verdict = "fail" if held.share >= THROTTLED_FAIL else "warn"
    online = len(view.facts.online or ()) or None
    seen = f" ({online} processors are visible)" if online else ""
    quota = "" if held.quota_cores is None else f" at {held.quota_cores:g} CPU{seen}"
    evidence = (
        f"{held.path}: stopped in {held.throttled} of {held.periods} periods "
        f"({100 * held.share:.0f} %), {held.throttled_seconds:.2f} s in all{quota}"
    )
    return advised(codes.CPU_THROTTLED, verdict, evidence, _raise_quota(held, "of this container"))


def _raise_quota(held: Held, whose: str) -> Advice:
    """Return the advice with a start value.

    The quota times one plus the throttled share, rounded up to half a processor: a group that was
    stopped in every period gets twice as much, one that was stopped now and then a little more.
    """
    if held.quota_cores is None:
        command = f"raise `resources.limits.cpu` {whose}"
    else:
        more = math.ceil(2 * held.quota_cores * (1 + held.share)) / 2
        command = (
            f'`resources.limits.cpu: "{more:g}"` {whose} (now {held.quota_cores:g}), or no CPU '
            f"limit; or `OMP_NUM_THREADS={max(1, int(held.quota_cores))}` when threads outnumber it"
        )
    return Advice(
        command,
        "a stopped group does nothing until its next period (100 ms by default), which P95 pays",
        "without a limit a neighbour can be crowded out; requests still protect its share",
    )


def _and_above(path: str) -> set[str]:
    """Return a group's path and those above it: "/a/b" is itself, "/a" and "/"."""
    words = [word for word in path.split("/") if word]
    return {"/"} | {"/" + "/".join(words[:n]) for n in range(1, len(words) + 1)}


def _pressure(view: View) -> list[Advised]:
    machine = window.stalled_percent(view.window, "cpu.some")
    own = window.own_stalled_percent(view.window, "cpu.some")
    stalled, whose = (machine, "the machine") if own is None else (own, "this container")
    if stalled is None or stalled < PRESSURE_PERCENT:
        return []
    cores = math.ceil(view.window.last.group.cpu_limit or len(view.facts.allowed or ()) or 1)
    advice = Advice(
        f'`resources.requests.cpu: "{cores}"` on the server, or fewer threads '
        f"(`OMP_NUM_THREADS={cores}`)",
        "tasks were ready to run and had to wait",
        "the pod needs a node with that much free",
    )
    evidence = f"some task of {whose} waited for a processor {stalled:.0f} % of the window"
    if any(h.throttled for h in window.held_back(view.window)):
        evidence += " (a task that a quota stopped counts as waiting)"
    return [advised(codes.CPU_PRESSURE, "warn", evidence, advice)]
