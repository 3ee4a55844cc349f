"""A made-up server with a known answer, to hold a search against.

Latencies follow the two-part service time tau0 + alpha * b of a server that takes all that waits:
P95 by the closed-form bound of the mean (Inoue, arXiv 1912.06322) times 1.6, cut at the cap. Crude,
but rising in the rate, and with a best batch inside the axis when large caps are made to pay.
"""

import math
from dataclasses import dataclass, field

from infertune.api.knobs import ReplicaLimits
from infertune.core.capacity import replicas_for
from infertune.core.outcomes import LevelPoint
from infertune.core.search import Exhausted, Proposal, SearchRules, TrialOutcome, propose
from infertune.core.space import Candidate, SearchSpace

WINDOW_MS = 30_000.0
FULL_BATCHES = 50


@dataclass(frozen=True)
class Case:
    """Service time of each image, a penalty that makes large batches costly, the demand."""

    tau0_ms: dict[str, float]
    alpha_ms: dict[str, float]
    penalty: float
    slo_ms: float
    peak: float
    limits: ReplicaLimits
    batches: tuple[int, ...] = (1, 2, 4, 8, 16, 32)
    out_of_memory_from: int = 1 << 30
    wrong_images: frozenset[str] = frozenset()
    incumbent: Candidate = field(default=Candidate("a", 1))

    @property
    def space(self) -> SearchSpace:
        return SearchSpace(self.incumbent, tuple(self.tau0_ms), self.batches)

    def rules(self, max_trials: int = 12, max_rates: int = 4) -> SearchRules:
        return SearchRules(self.peak, self.limits, max_rates, max_trials, None, self.slo_ms)


def p95_ms(case: Case, candidate: Candidate, rate: float) -> float:
    """Return the latency of one replica at a rate."""
    batch = candidate.batch_size or 1
    tau0 = case.tau0_ms[candidate.image]
    alpha = case.alpha_ms[candidate.image] * (1 + case.penalty * math.log2(batch))
    per_ms = rate / 1000
    service = tau0 + alpha * batch
    load = per_ms * service / batch
    if load >= 1:
        return 0.95 * WINDOW_MS * (1 - 1 / load) + FULL_BATCHES * service
    # Between a server of single requests and one of full batches: wait plus two services.
    waiting = load / (1 - load) * service / 2
    return min(waiting + service * (1 + load), FULL_BATCHES * service)


def capacity(case: Case, candidate: Candidate) -> float:
    """Return the rate that full batches get through."""
    batch = candidate.batch_size or 1
    alpha = case.alpha_ms[candidate.image] * (1 + case.penalty * math.log2(batch))
    return batch / (case.tau0_ms[candidate.image] + alpha * batch) * 1000


def true_knee(case: Case, candidate: Candidate) -> float:
    """Return the highest rate within the promise, by bisection."""
    low, high = 0.0, 1e6
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (
            (middle, high) if p95_ms(case, candidate, middle) <= case.slo_ms else (low, middle)
        )
    return low


def best_replicas(case: Case) -> int | None:
    """Return the fewest replicas that any working candidate needs: by trying all.

    Today's batch counts on every image: the search may look at another image with it.
    """
    batches = dict.fromkeys((case.incumbent.batch_size, *case.batches))
    counts = [
        max(replicas_for(case.peak, knee), case.limits.min)
        for candidate in (Candidate(image, batch) for image in case.tau0_ms for batch in batches)
        if works(case, candidate) and (knee := true_knee(case, candidate)) > 0
    ]
    feasible = [count for count in counts if count <= case.limits.max]
    return min(feasible, default=None)


def works(case: Case, candidate: Candidate) -> bool:
    return (
        candidate.image not in case.wrong_images
        and (candidate.batch_size or 0) < case.out_of_memory_from
    )


def run_trial(case: Case, proposal: Proposal) -> TrialOutcome:
    """Climb the ladder and stop at the first failed rate, as the load probe does."""
    candidate = proposal.candidate
    if candidate.image in case.wrong_images:
        return TrialOutcome(candidate, failure="QualityFailed")
    if not works(case, candidate):
        return TrialOutcome(candidate, failure="OutOfMemory")
    levels = []
    for rate in proposal.rates:
        latency = p95_ms(case, candidate, rate)
        kept = latency <= case.slo_ms
        achieved = min(rate, capacity(case, candidate))
        levels.append(LevelPoint(rate, "Pass" if kept else "Fail", latency, achieved))
        if not kept:
            break
    return TrialOutcome(candidate, tuple(levels), None, 5.0)


def search(
    case: Case, max_trials: int = 12, max_rates: int = 4
) -> tuple[list[TrialOutcome], Exhausted]:
    """Run the whole search; every trial and the reason it ended."""
    trials: list[TrialOutcome] = []
    while True:
        step = propose(case.space, tuple(trials), case.rules(max_trials, max_rates))
        if isinstance(step, Exhausted):
            return trials, step
        assert list(step.rates) == sorted(set(step.rates))
        assert 1 <= len(step.rates) <= max_rates
        trials.append(run_trial(case, step))


def found_replicas(case: Case, trials: list[TrialOutcome]) -> int | None:
    """Return the fewest replicas that the trials prove enough."""
    counts = [
        max(replicas_for(case.peak, trial.knee_rate), case.limits.min)
        for trial in trials
        if trial.knee_rate
    ]
    return min((count for count in counts if count <= case.limits.max), default=None)
