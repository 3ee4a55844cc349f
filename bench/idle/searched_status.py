"""The status of a tuning whose search is over, as the operator would have written it.

Role: the models of the API in, a status in the state Deciding out; from there the operator itself
decides, publishes and rests. It must not know the cluster. Its trade-off: the figures are invented
(a hundred real searches would take days), their number and form are those of a real search.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from bench.idle.objects import BATCHES, CONTAINER
from infertune.api.conditions import Observation, first_conditions, set_condition
from infertune.api.node_status import ProbeSummary
from infertune.api.status import (
    Condition,
    Configuration,
    LiveFigures,
    RateLevel,
    Reading,
    Spent,
    TargetFacts,
    TrialRecord,
    TuningStatus,
)

WINDOW_SECONDS = 30.0
RATES = (10.0, 20.0, 30.0, 60.0)
# The highest rate that one replica carries, by batch cap: invented, rising with the batch.
KNEES = dict(zip(BATCHES, (10.0, 20.0, 30.0, 30.0), strict=True))


@dataclass(frozen=True, slots=True)
class Target:
    """What the operator would have resolved of one target."""

    name: str
    uid: str
    node: str
    image: str


def searched_status(target: Target, now: datetime) -> TuningStatus:
    """Return the status after the last trial, before the decision; generation 1."""
    trials = tuple(trial(target, batch, now) for batch in BATCHES)
    return TuningStatus(
        observed_generation=1,
        state="Deciding",
        state_since=now,
        conditions=conditions(now),
        target=TargetFacts(
            uid=target.uid, container=CONTAINER, autoscaler=target.name, nodes=(target.node,)
        ),
        baseline_configuration=Configuration(
            batch_size=BATCHES[0], image=target.image, min_replicas=1, max_replicas=3
        ),
        baseline=baseline(now),
        probes=probes(target.node),
        trials=trials,
        spent=Spent(
            trials=len(trials),
            replica_hours=round(sum(one.load_seconds for one in trials) / 3600, 4),
            wall_clock_seconds=600.0,
        ),
    )


def conditions(now: datetime) -> tuple[Condition, ...]:
    """Return every condition, as it stands between search and decision."""
    told = (
        Observation("Ready", "True", "Watched", "the spec is accepted and watched"),
        Observation("Reconciling", "True", "Deciding", "the search is over"),
        Observation("Stalled", "False", "Progressing", "nothing stops the tuning"),
        Observation("TargetAvailable", "True", "Found", "batch 1, demo, 1-3 replicas"),
        Observation("MetricsAvailable", "True", "Measured", "P95 172 [150, 250] ms, from 1 pod"),
        Observation("ProbesHealthy", "True", "Passed", "benchmark passed"),
    )
    found = first_conditions(now, 1)
    for one in told:
        found = set_condition(found, one, now, 1)
    return found


def baseline(now: datetime) -> LiveFigures:
    """Return live traffic before the search."""

    def figure(value: float, unit: str, spread: float = 0.0) -> Reading:
        return _reading(value, unit, spread, 9000, 450.0)

    return LiveFigures(
        p50=figure(90.1, "ms", 10.0),
        p95=figure(172.4, "ms", 50.0),
        p99=figure(231.8, "ms", 50.0),
        over_slo_percent=figure(0.7, "percent", 0.1),
        request_rate=figure(20.0, "requests/s"),
        error_percent=figure(0.1, "percent"),
        cpu_cores=figure(0.003, "cores"),
        memory_bytes=figure(9_000_000.0, "bytes"),
        pods=1,
        observed_at=now,
    )


def probes(node: str) -> tuple[ProbeSummary, ...]:
    """Return what the probes said of the node."""
    return (
        ProbeSummary(
            probe="gpu",
            node=node,
            verdict="unknown",
            summary="NO_DEVICE: pci: 0; nvml: NVML Shared Library Not Found",
        ),
        ProbeSummary(
            probe="benchmark",
            node=node,
            verdict="pass",
            summary="BENCHMARK_MEASURED: matmul_best 233 GFLOP/s",
        ),
    )


def trial(target: Target, batch: int, now: datetime) -> TrialRecord:
    """Return one trial: every rate up to the knee passed, the next one failed."""
    knee = KNEES[batch]
    tried = RATES[: RATES.index(knee) + 2]
    started = now - timedelta(seconds=600)
    return TrialRecord(
        name=f"{target.name}-{batch:010d}",
        candidate=Configuration(batch_size=batch, image=target.image),
        phase="Completed",
        rates=tried,
        startup_seconds=2.5,
        quality_drop_percent=0.0,
        levels=tuple(level(rate, passed=rate <= knee) for rate in tried),
        knee_rate=knee,
        load_seconds=len(tried) * WINDOW_SECONDS,
        started_at=started,
        finished_at=started + timedelta(seconds=35 * len(tried)),
    )


def level(rate: float, *, passed: bool) -> RateLevel:
    """Return one rate of a ladder."""
    requests = round(rate * WINDOW_SECONDS)
    return RateLevel(
        offered_rate=rate,
        achieved_rate=rate if passed else 0.8 * rate,
        p95=_reading(100.0 + rate if passed else 700.0, "ms", 20.0, requests, WINDOW_SECONDS),
        over_slo_percent=_reading(
            0.5 if passed else 60.0, "percent", 0.4, requests, WINDOW_SECONDS
        ),
        error_percent=0.0 if passed else 20.0,
        verdict="Pass" if passed else "Fail",
        reason=None if passed else f"Errors: {requests // 5} of {requests} requests failed",
    )


def _reading(value: float, unit: str, spread: float, samples: int, seconds: float) -> Reading:
    exact = spread == 0
    return Reading(
        value=value,
        unit=unit,
        low=None if exact else value - spread,
        high=None if exact else value + spread,
        level_percent=None if exact else 95.0,
        samples=samples,
        window_seconds=seconds,
        reason="one mean over the window" if exact else None,
    )
