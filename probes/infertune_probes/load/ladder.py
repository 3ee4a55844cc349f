"""One run: gate, then one level after another, then the findings that follow from them.

It must not know sockets or percentile arithmetic. Trade-off: the ladder stops climbing after a
clear fail (over 30 % above the limit, or over 10 % errors), because the levels above could only
fail harder and each costs a trial's time; they are reported as skipped, not as failed.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from infertune_probes.contract.codes import INTERRUPTED
from infertune_probes.load.arrivals import offsets
from infertune_probes.load.gate import (
    check_quality,
    not_ready,
    quality_finding,
    read_golden,
    wait_ready,
)
from infertune_probes.load.generator import Brake, Generator
from infertune_probes.load.live import LiveWindow, as_line, narrate
from infertune_probes.load.private_headers import with_private
from infertune_probes.load.sender import Sender
from infertune_probes.load.tally import LevelRun, level_section, skipped_level
from infertune_probes.load.verdicts import findings_of, measurements_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from infertune_probes.contract.session import ProbeSession
    from infertune_probes.load.options import Options

STOP_EXCEED_SHARE = 0.30
STOP_ERROR_SHARE = 0.10


async def run(options: Options, session: ProbeSession, brake: Brake, loop_name: str) -> None:
    """Run the whole probe and leave findings, measurements and the result in the session.

    Raises:
        CouldNotRun: the golden file is unreadable, or a header has no usable value.
    """
    section = _header(options, loop_name)
    session.result = section
    request = with_private(options.request, options.header_variables, os.environ)
    golden = read_golden(options.gate, request)
    timeout_seconds = options.terms.timeout_ms / 1000.0
    async with Sender(request, timeout_seconds, options.requests_per_connection) as sender:
        if options.gate.ready_url is not None:
            gate = options.gate
            startup = await wait_ready(sender, gate.ready_url or "", gate.ready_seconds, brake)
            section["startup"] = startup
            if not startup["ready"]:
                _end_unready(session, startup, brake)
                return
        if golden:
            quality = await check_quality(sender, golden, options.gate.max_drop_percent)
            section["quality"] = quality
            session.findings.append(quality_finding(quality))
            if not quality["accepted"]:
                return
        if not options.gate.golden_only:
            await _climb(options, session, sender, brake)


def _end_unready(session: ProbeSession, startup: dict[str, object], brake: Brake) -> None:
    if brake.state == "interrupted":
        # We stopped looking; that is not the server's failure.
        why = "stopped while waiting for the server"
        session.findings.append(INTERRUPTED.unknown(why))
        session.partial = True
    else:
        session.findings.append(not_ready(startup))


async def _climb(options: Options, session: ProbeSession, sender: Sender, brake: Brake) -> None:
    window = LiveWindow(options.terms)
    generator = Generator(
        fire=sender.fire,
        brake=brake,
        watcher=window,
        max_requests=options.caps.requests,
        max_in_flight=options.caps.in_flight,
        drain_seconds=options.terms.timeout_ms / 1000.0 + 1.0,
    )
    levels: list[dict[str, object]] = []
    assert session.result is not None  # run() set it
    session.result["levels"] = levels
    async with _narrated(options, window), _capped(options, brake):
        stop: str | None = None
        for index, rate in enumerate(options.ladder.rates):
            stop = stop or brake.reason
            if stop is not None:
                levels.append(skipped_level(rate, stop))
                continue
            window.offered_rate = rate
            level = await _level(options, generator, index, rate)
            levels.append(level_section(level, options.terms))
            stop = why_stop(level, options.ladder.stop_above_ms)
    _conclude(options, session, brake, levels)


async def _level(options: Options, generator: Generator, index: int, rate: float) -> LevelRun:
    ladder = options.ladder
    # Each level has its own stream, so that a skipped level does not change the next one.
    schedule = offsets(options.arrivals, rate, options.seed + index)
    seconds = math.inf if ladder.endless else ladder.seconds
    return await generator.run_level(rate, schedule, ladder.warmup_seconds, seconds)


def why_stop(level: LevelRun, limit_ms: float) -> str | None:
    """Return why no higher rate is worth trying, or None to climb on."""
    window = level.window
    if not window:
        return None
    above = sum(1 for shot in window if shot.exceeds(limit_ms)) / len(window)
    failed = sum(1 for shot in window if shot.error is not None) / len(window)
    if failed > STOP_ERROR_SHARE:
        return f"{100 * failed:.1f} % of requests failed at {level.offered_rate:g}/s"
    if above > STOP_EXCEED_SHARE:
        return (
            f"{100 * above:.1f} % of requests took over {limit_ms:g} ms at {level.offered_rate:g}/s"
        )
    return None


def _conclude(
    options: Options, session: ProbeSession, brake: Brake, levels: list[dict[str, object]]
) -> None:
    # For steady traffic SIGTERM is the planned end, not an interruption.
    planned = options.ladder.endless and brake.state == "interrupted"
    if planned:
        levels[0].update(state="measured", reason=None)
    session.partial = brake.state == "interrupted" and not planned
    session.findings += findings_of(levels, options.terms.slo_ms)
    session.measurements += measurements_of(levels)


@contextlib.asynccontextmanager
async def _narrated(options: Options, window: LiveWindow) -> AsyncIterator[None]:
    """Write live lines while the block runs, when they were asked for."""
    if options.live is None:
        yield
        return
    with contextlib.ExitStack() as stack:
        if options.live == "-":
            stream = sys.stdout
        else:
            stream = stack.enter_context(_open_live(options.live))

        def write(line: str) -> None:
            stream.write(line)
            stream.flush()

        task = asyncio.create_task(narrate(window, options.live_seconds, write))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            # The last, shorter window: without it the lines would not add up to the total.
            write(as_line(window.roll(time.perf_counter())))


def _open_live(path: str) -> TextIO:
    return Path(path).open("a", encoding="utf-8")


@contextlib.asynccontextmanager
async def _capped(options: Options, brake: Brake) -> AsyncIterator[None]:
    """Pull the brake when the run's hard time limit passes."""
    if math.isinf(options.caps.seconds):
        yield
        return
    reason = f"the cap of {options.caps.seconds:g} s was reached"
    timer = asyncio.get_running_loop().call_later(
        options.caps.seconds, brake.pull, "capped", reason
    )
    try:
        yield
    finally:
        timer.cancel()


def _header(options: Options, loop_name: str) -> dict[str, object]:
    return {
        "kind": "load",
        "url": options.request.url,
        "method": options.request.method,
        "payloadBytes": len(options.request.body),
        "arrivals": options.arrivals,
        "seed": options.seed,
        "sloMs": options.terms.slo_ms,
        "timeoutMs": options.terms.timeout_ms,
        "blockRequests": options.terms.block_requests,
        "requestsPerConnection": options.requests_per_connection,
        "eventLoop": loop_name,
        "startup": None,
        "quality": None,
        "levels": [],
    }
