"""How much memory was held over the window, as few points as show its shape.

Pure. It must not know who allocated. Trade-off: the largest value of each of 200 equal slices
is kept, so a short peak is never lost, and a short valley may be.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from infertune_probes.profiler.chrome_trace import Trace

POINTS = 200


def timeline(trace: Trace, points: int = POINTS) -> list[tuple[float, int, int]]:
    """Return (ms since the first event, allocated bytes, reserved bytes), oldest first.

    The device's memory where there is any, else the process's. Totals of the CPU allocator are
    None in some versions; then the sum of sizes since the start of the trace stands for them.
    """
    on_device = any(event.on_device for event in trace.memory)
    events = sorted(
        (event for event in trace.memory if event.on_device == on_device), key=lambda one: one.at
    )
    if not events:
        return []
    start, end = events[0].at, events[-1].at
    width = (end - start) / points or 1.0
    kept: dict[int, tuple[float, int, int]] = {}
    since_start = 0
    for event in events:
        since_start += event.size
        held = event.allocated or max(0, since_start)
        place = min(points - 1, int((event.at - start) / width))
        if place not in kept or held > kept[place][1]:
            kept[place] = ((event.at - start) / 1000.0, held, event.reserved)
    return [kept[place] for place in sorted(kept)]
