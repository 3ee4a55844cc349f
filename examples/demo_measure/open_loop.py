"""Open-loop Poisson traffic to one or several replicas.

Role: a schedule drawn from a seed, sent on time, every answer timed from its intended send. It
must not know how servers are started. Its trade-off: one process and plain lists, enough for some
hundred requests a second; the operator's own load probe is the instrument for more.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass

import aiohttp
import numpy as np

from demo_measure.service_times import rows_of

WARM_UP_SHARE = 0.15
OK = 200


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one level of load showed, warm-up dropped; latencies in ms of answered requests."""

    offered: float
    answered: float
    refused_percent: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    lateness_p99_ms: float
    client_cpu_percent: float


@dataclass(frozen=True, slots=True)
class Plan:
    """One level of load."""

    urls: tuple[str, ...]
    rate: float
    seconds: float
    seed: int
    reconnect: bool


async def offer(plan: Plan) -> Outcome:
    """Send Poisson arrivals as planned, each to a replica drawn at random, and sum up."""
    random = np.random.default_rng(plan.seed)
    gaps = random.exponential(1 / plan.rate, round(plan.rate * plan.seconds))
    at = np.cumsum(gaps)
    targets = random.integers(0, len(plan.urls), len(at))
    bodies = [json.dumps({"inputs": [row]}) for row in rows_of(64, plan.seed)]
    connector = aiohttp.TCPConnector(limit=0, force_close=plan.reconnect)
    cpu = time.process_time()
    async with aiohttp.ClientSession(connector=connector) as session:
        start = time.perf_counter() + 0.1
        tasks = []
        for number, offset in enumerate(at):
            due = start + float(offset)
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            url = plan.urls[int(targets[number])] + "/predict"
            tasks.append(asyncio.create_task(_send(session, url, bodies[number % 64], due)))
        results = await asyncio.gather(*tasks)
    busy = (time.process_time() - cpu) / float(at[-1])
    kept = results[int(len(results) * WARM_UP_SHARE) :]
    return _sum_up(kept, float(at[-1] - at[len(results) - len(kept) - 1]), busy)


async def _send(
    session: aiohttp.ClientSession, url: str, body: str, due: float
) -> tuple[int, float, float]:
    late = time.perf_counter() - due
    # The server reads the intended send from a wall clock; our own timing stays monotonic.
    headers = {"X-Request-Start": f"t={time.time() - late:.6f}"}
    async with session.post(url, data=body, headers=headers) as response:
        await response.read()
        return response.status, time.perf_counter() - due, late


def _sum_up(results: list[tuple[int, float, float]], seconds: float, busy: float) -> Outcome:
    good = np.array([latency for status, latency, _ in results if status == OK]) * 1000
    p50, p95, p99 = np.percentile(good, [50, 95, 99]) if len(good) else [float("nan")] * 3
    return Outcome(
        offered=len(results) / seconds,
        answered=len(good) / seconds,
        refused_percent=100 * (1 - len(good) / len(results)),
        p50_ms=float(p50),
        p95_ms=float(p95),
        p99_ms=float(p99),
        lateness_p99_ms=float(np.percentile([late for _, _, late in results], 99)) * 1000,
        client_cpu_percent=100 * busy,
    )
