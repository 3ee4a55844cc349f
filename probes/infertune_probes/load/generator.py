"""The open loop: requests leave when they are meant to, whatever the server is doing.

It must not know HTTP (a `fire` coroutine does) nor what the numbers will be used for. Trade-off:
sleeping is as fine as the event loop's timer (1 ms), so a request leaves up to a millisecond
late; that lateness is inside the latency and is reported next to it.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from infertune_probes.load.shots import Shot
from infertune_probes.load.tally import LevelRun

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

# Steady traffic may run for days: the envelope then speaks of the last so many requests.
ENDLESS_KEEP = 100_000
# Told to stop, we wait this long for answers; a pod has 30 s between SIGTERM and SIGKILL.
STOP_DRAIN_SECONDS = 5.0
_HEAD_START_SECONDS = 0.02
_LONGEST_NAP_SECONDS = 0.2
_TICK_SECONDS = 0.001
_BURST = 32


@dataclass(slots=True)
class Brake:
    """Stops the run: pulled by SIGTERM ("interrupted") or by a hard cap ("capped")."""

    state: str = "measured"
    reason: str | None = None

    def pull(self, state: str, reason: str) -> None:
        """Stop; the first reason stays, but an interruption outranks a cap."""
        if self.reason is None or (state == "interrupted" and not self.hurried):
            self.state, self.reason = state, reason

    @property
    def hurried(self) -> bool:
        """Whether someone outside waits for our end."""
        return self.state == "interrupted"

    @property
    def pulled(self) -> bool:
        """Whether the run is to end now."""
        return self.reason is not None


class Watcher(Protocol):
    """Something that follows the traffic live."""

    def sent(self) -> None:
        """A request just left."""

    def finished(self, shot: Shot) -> None:
        """A request just ended."""


@dataclass(slots=True)
class Generator:
    """Sends levels of traffic and records every request; nothing sent is ever left out."""

    fire: Callable[[float], Awaitable[str | None]]
    brake: Brake
    watcher: Watcher
    max_requests: int
    max_in_flight: int
    drain_seconds: float
    _dispatched: int = 0
    _under_way: set[asyncio.Task[None]] = field(default_factory=set)

    async def run_level(
        self, rate: float, schedule: Iterator[float], warmup_seconds: float, seconds: float
    ) -> LevelRun:
        """Send one level: warm-up, then a window of `seconds` (infinite: until the brake)."""
        epoch = time.perf_counter() + _HEAD_START_SECONDS
        start, end = epoch + warmup_seconds, epoch + warmup_seconds + seconds
        endless = math.isinf(seconds)
        shots: deque[Shot] = deque(maxlen=ENDLESS_KEEP if endless else None)
        cpu_at_start = time.process_time()
        for offset in schedule:
            intended = epoch + offset
            if intended >= end or not await self._wait_until(intended):
                break
            if intended < start:
                cpu_at_start = time.process_time()
            self._dispatch(intended, shots)
        if not endless:
            await self._wait_until(end)
        end = min(end, time.perf_counter())
        if endless and len(shots) == ENDLESS_KEEP:
            start = max(start, shots[0].intended)
        elapsed = end - start
        share = (time.process_time() - cpu_at_start) / elapsed if elapsed > 0 else None
        await self._drain()
        return LevelRun(
            offered_rate=rate,
            state=self.brake.state,
            reason=self.brake.reason,
            start=start,
            end=max(start, end),
            warmup_seconds=warmup_seconds,
            shots=list(shots),
            cpu_share=None if endless else share,
        )

    async def _wait_until(self, instant: float) -> bool:
        """Sleep until the instant; return False as soon as the brake is pulled."""
        while (rest := instant - time.perf_counter()) > 0 and not self.brake.pulled:  # noqa: ASYNC110  # instants, no event
            # Never shorter than the loop's tick: that would spin, and a spinning client looks busy.
            await asyncio.sleep(max(_TICK_SECONDS, min(rest, _LONGEST_NAP_SECONDS)))
        # A generator that runs late must still let answers in, or it would count its own
        # deafness as the server's latency.
        if self._dispatched % _BURST == 0:
            await asyncio.sleep(0)
        return not self.brake.pulled

    def _dispatch(self, intended: float, shots: deque[Shot]) -> None:
        shot = Shot(intended, time.perf_counter())
        shots.append(shot)
        self._dispatched += 1
        self.watcher.sent()
        if len(self._under_way) >= self.max_in_flight:
            shot.finished, shot.error = shot.sent, "not_sent"
            self.watcher.finished(shot)
        else:
            task = asyncio.get_running_loop().create_task(self._fly(shot))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
        if self._dispatched >= self.max_requests:
            self.brake.pull("capped", f"the cap of {self.max_requests} requests was reached")

    async def _fly(self, shot: Shot) -> None:
        shot.error = "unfinished"
        try:
            shot.error = await self.fire(time.perf_counter() - shot.intended)
        finally:
            shot.finished = time.perf_counter()
            self.watcher.finished(shot)

    async def _drain(self) -> None:
        """Wait for what is under way; what does not end in time is cut off and counted failed."""
        began = time.perf_counter()
        while self._under_way:
            limit = STOP_DRAIN_SECONDS if self.brake.hurried else self.drain_seconds
            rest = began + limit - time.perf_counter()
            if rest <= 0:
                break
            await asyncio.wait(self._under_way, timeout=min(rest, _LONGEST_NAP_SECONDS))
        leftovers = list(self._under_way)
        for task in leftovers:
            task.cancel()
        await asyncio.gather(*leftovers, return_exceptions=True)
