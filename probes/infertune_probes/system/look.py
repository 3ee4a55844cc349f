"""Takes the two samples and the ticks between them.

It must not judge. The clock and the sleep come in, so that a test needs no time. Trade-off: the
facts are read once, at the start; a setting that changes within the window is seen next time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from infertune_probes.system import counters, facts, groups, processes
from infertune_probes.system.advised import View
from infertune_probes.system.window import Sample, Tick, Window

if TYPE_CHECKING:
    from collections.abc import Callable

    from infertune_probes.system.files import Files

TICK_SECONDS = 0.5


def sample(files: Files, pid: str, at: float) -> Sample:
    """Read everything that is counted, once."""
    return Sample(
        at=at,
        counters=counters.count(files),
        group=groups.own_group(files, pid),
        throttles=groups.throttles(files),
        census=processes.take_census(files),
    )


def tick(files: Files) -> Tick:
    """Read the gauges, once."""
    scheduler, memory = counters.scheduler(files), counters.memory(files)
    return Tick(
        running=None if scheduler is None else scheduler.running,
        blocked=None if scheduler is None else scheduler.blocked,
        available_bytes=(memory or {}).get("MemAvailable"),
    )


def look(
    files: Files,
    pid: str,
    window_seconds: float,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> View:
    """Return what a window of this length shows; at least one tick lies in it."""
    static = facts.gather(files, pid)
    first = sample(files, pid, clock())
    ticks: list[Tick] = []
    while True:
        left = first.at + window_seconds - clock()
        if left <= 0 and ticks:
            break
        sleep(max(0.0, min(TICK_SECONDS, left)))
        ticks.append(tick(files))
    last = sample(files, pid, clock())
    return view_of(files, static, Window(first, last, ticks, *units()))


def view_of(files: Files, static: facts.Facts, window: Window) -> View:
    """Return the view of a window that has been read."""
    return View(window, static, dict(files.unreadable), processes.sees_all_processes(files))


def units() -> tuple[int, int]:
    """Return the kernel's clock ticks a second and page size."""
    return processes.clock_ticks(), processes.page_bytes()
