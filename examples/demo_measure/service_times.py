"""Service time s(b) of each variant, in the server's own code and through HTTP.

Role: prints the table of the README. It must not know quotas or replicas. Its trade-off: CPU time
and not wall clock in process (a neighbour on the machine does not disturb it much), closed loop
over HTTP (the server is never asked for more than one batch at a time).
"""

from __future__ import annotations

import json
import statistics
import time
from typing import TYPE_CHECKING

import aiohttp
import numpy as np

from demo_server.classifier import Classifier

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from demo_measure.replica import Replica

ROUNDS = 10
RUNS = 3


def rows_of(size: int, seed: int) -> list[list[int]]:
    """Return `size` rows of eight token ids drawn from `seed`."""
    drawn: list[list[int]] = np.random.default_rng(seed).integers(0, 4096, (size, 8)).tolist()
    return drawn


def measure_in_process(
    paths: Sequence[Path], sizes: Sequence[int]
) -> dict[str, dict[int, tuple[float, float]]]:
    """Return median (CPU ms, wall ms) of one model run per variant and batch size, interleaved."""
    models = [Classifier(path) for path in paths]
    seen: dict[str, dict[int, list[tuple[float, float]]]] = {
        model.variant: {size: [] for size in sizes} for model in models
    }
    for number in range(ROUNDS):
        for model in models:
            for size in sizes:
                seen[model.variant][size] += _runs(model, rows_of(size, number))
    return {
        variant: {size: _medians(pairs) for size, pairs in by_size.items()}
        for variant, by_size in seen.items()
    }


def _runs(model: Classifier, rows: list[list[int]]) -> list[tuple[float, float]]:
    model.classify(rows)  # the allocator's first run of a size is not the service time
    pairs = []
    for _ in range(RUNS):
        cpu, wall = time.process_time(), time.perf_counter()
        model.classify(rows)
        pairs.append((time.process_time() - cpu, time.perf_counter() - wall))
    return pairs


def _medians(pairs: list[tuple[float, float]]) -> tuple[float, float]:
    cpu = statistics.median(pair[0] for pair in pairs) * 1000
    wall = statistics.median(pair[1] for pair in pairs) * 1000
    return cpu, wall


async def measure_over_http(
    replica: Replica, sizes: Sequence[int]
) -> dict[int, tuple[float, float]]:
    """Return median wall ms of one request of b rows, and the server's CPU ms per such request."""
    result = {}
    async with aiohttp.ClientSession() as session:
        for size in sizes:
            body = json.dumps({"inputs": rows_of(size, 1)})
            times, before = [], replica.cpu_seconds()
            for _ in range(ROUNDS * RUNS):
                started = time.perf_counter()
                async with session.post(f"{replica.url}/predict", data=body) as response:
                    response.raise_for_status()
                    await response.read()
                times.append(time.perf_counter() - started)
            cpu = (replica.cpu_seconds() - before) / len(times)
            result[size] = (statistics.median(times) * 1000, cpu * 1000)
    return result
