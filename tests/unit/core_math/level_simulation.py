"""How often a screening verdict on one rate is right, on a simulated batching server.

Run it to get the table that ``judge_level`` and ``judge`` quote:

    python -m tests.unit.core_math.level_simulation
"""

from collections.abc import Sequence
from functools import cache

from infertune.api.spec import Slo
from infertune.core.level_verdict import LEVEL_BLOCK_REQUESTS, judge_level
from infertune.core.queueing import ServiceTime, latencies_in_order
from infertune.core.slo import judge
from infertune.core.snapshot import BlockSample
from infertune_probes.contract.load_result import Level
from tests.unit.core_math.levels import level_of

SERVICE = ServiceTime(8, 2)
CAP = 16
LONG_RUN = 400_000


@cache
def slo_for(load: float, true_over: float) -> float:
    """Return the SLO that exactly this fraction of a long run exceeds."""
    rate = load * SERVICE.capacity(CAP)
    latencies = sorted(latencies_in_order(SERVICE, CAP, rate, LONG_RUN, seed=99)[1000:])
    return latencies[int(len(latencies) * (1 - true_over))]


def simulated_level(load: float, slo_ms: float, requests: int, seed: int) -> Level:
    rate = load * SERVICE.capacity(CAP)
    warm = int(rate * 1.5)
    latencies = latencies_in_order(SERVICE, CAP, rate, requests + warm, seed)[warm:]
    return level_of([latency > slo_ms for latency in latencies], rate, LEVEL_BLOCK_REQUESTS)


def level_rates(load: float, true_over: float, requests: int, runs: int) -> tuple[float, float]:
    """Return the share of runs that pass and the share that fail."""
    slo_ms = slo_for(load, true_over)
    slo = Slo.model_validate({"latencyMilliseconds": 1000, "percentile": 95})
    verdicts = [
        judge_level(simulated_level(load, slo_ms, requests, seed), slo).verdict
        for seed in range(1, runs + 1)
    ]
    return verdicts.count("Pass") / runs, verdicts.count("Fail") / runs


def live_verdict(over: Sequence[bool], block: int, most: int = 100) -> tuple[str, int]:
    """Return the first verdict when every block is looked at, and after how many requests."""
    blocks: list[BlockSample] = []
    for start in range(0, min(len(over), most * block) - block + 1, block):
        part = over[start : start + block]
        blocks.append(BlockSample(block, sum(part), 1.0))
        verdict = judge(blocks, 95).verdict
        if verdict != "Inconclusive":
            return verdict, start + block
    return "Inconclusive", len(over)


def live_rates(load: float, true_over: float, block: int, runs: int) -> tuple[float, float, float]:
    """Return the shares of Pass and Fail and the mean requests to a verdict, within 40 blocks."""
    slo_ms = slo_for(load, true_over)
    rate = load * SERVICE.capacity(CAP)
    seen = []
    for seed in range(1, runs + 1):
        latencies = latencies_in_order(SERVICE, CAP, rate, 40 * block + 500, seed)[500:]
        seen.append(live_verdict([latency > slo_ms for latency in latencies], block))
    verdicts = [verdict for verdict, _ in seen]
    mean = sum(requests for _, requests in seen) / runs
    return verdicts.count("Pass") / runs, verdicts.count("Fail") / runs, mean


def main() -> None:
    runs = 100
    for load in (0.7, 0.9):
        for true_over in (0.01, 0.03, 0.05, 0.07, 0.10, 0.20):
            cells = [
                "{:.0%}/{:.0%}".format(*level_rates(load, true_over, requests, runs))
                for requests in (300, 900, 2000)
            ]
            print("level", load, f"{true_over:.0%}", *cells, flush=True)  # noqa: T201  # a table
    for load, block in ((0.5, 200), (0.8, 200), (0.8, 1000)):
        for true_over in (0.0, 0.01, 0.05, 0.10):
            over = max(true_over, 1e-5)
            passed, failed, mean = live_rates(load, over, block, 60)
            print("live", load, block, f"{true_over:.0%}", passed, failed, round(mean), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
