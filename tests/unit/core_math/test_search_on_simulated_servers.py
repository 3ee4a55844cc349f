"""The search on simulated servers: it comes close in few trials, ends, and never lies."""

import random
import sys
from collections import Counter

from hypothesis import example, given, settings
from hypothesis import strategies as st

from infertune.api.knobs import ReplicaLimits
from infertune.core.ladder import ladder
from infertune.core.outcomes import TrialOutcome
from infertune.core.search import Proposal
from infertune.core.space import Candidate
from tests.unit.core_math.model_server import (
    Case,
    best_replicas,
    found_replicas,
    run_trial,
    search,
    true_knee,
)


def cases(count: int, most: tuple[int, ...], seed: int) -> list[Case]:
    """Return servers of two images and six batches whose promise somebody can keep."""
    chance = random.Random(seed)
    made: list[Case] = []
    while len(made) < count:
        tau0, alpha = chance.uniform(2, 15), chance.uniform(0.5, 4)
        limit = chance.choice(most)
        draft = Case(
            {"a": tau0, "b": tau0 * chance.uniform(0.6, 1.5)},
            {"a": alpha, "b": alpha * chance.uniform(0.5, 1.3)},
            chance.choice([0, 0.1, 0.3]),
            chance.uniform(30, 200),
            1.0,
            ReplicaLimits(min=1, max=limit),
            incumbent=Candidate("a", chance.choice([1, 1, 4, 32])),
        )
        top = max(true_knee(draft, candidate) for candidate in draft.space.candidates())
        case = Case(
            draft.tau0_ms,
            draft.alpha_ms,
            draft.penalty,
            draft.slo_ms,
            round(top * chance.uniform(1.2, limit * 0.9), 1),
            draft.limits,
            incumbent=draft.incumbent,
        )
        if best_replicas(case) is not None:
            made.append(case)
    return made


def random_trials(case: Case, count: int, chance: random.Random) -> list[TrialOutcome]:
    """Spend trials on shuffled candidates, each with the ladder that the best so far suggests."""
    candidates = list(case.space.candidates())
    chance.shuffle(candidates)
    trials: list[TrialOutcome] = []
    for candidate in candidates[:count]:
        most = found_replicas(case, trials) or case.limits.max
        rates = ladder(case.peak, most, max(1, most // 2), 4)
        trials.append(run_trial(case, Proposal(candidate, rates, "chance")))
    return trials


def test_five_trials_come_close_and_beat_chance() -> None:
    """200 made-up servers, 12 candidates, 4 to 10 replicas. Measured: the optimum in 147 (chance
    with the same ladders: 126), within one replica in 183 (chance: 179, as 5 of 12 is much)."""
    chance = random.Random(1)
    ours, theirs = Counter[int](), Counter[int]()
    for case in cases(200, (4, 6, 10), seed=11):
        best = best_replicas(case)
        assert best is not None
        trials, _ = search(case, max_trials=5)
        missed = case.limits.max + 1
        ours[(found_replicas(case, trials) or missed) - best] += 1
        theirs[(found_replicas(case, random_trials(case, 5, chance)) or missed) - best] += 1
    for who, off in (("the search", ours), ("chance", theirs)):
        sys.stdout.write(f"{who}: {off[0]} the optimum, {off[1]} one replica more, of 200\n")
    assert ours[0] >= 140
    assert ours[0] + ours[1] >= 178
    assert ours[0] >= theirs[0] + 15
    assert ours[0] + ours[1] >= theirs[0] + theirs[1]


def test_twelve_trials_find_what_trying_everything_finds() -> None:
    """150 servers, up to 20 replicas. Measured: the optimum in 146, two off by one, two by more;
    74 searches ended by themselves within 7 trials."""
    off, used = Counter[int](), Counter[int]()
    for case in cases(150, (4, 10, 20), seed=12):
        trials, _ = search(case, max_trials=12)
        best = best_replicas(case)
        assert best is not None
        off[(found_replicas(case, trials) or 99) - best] += 1
        used[len(trials)] += 1
    assert off[0] >= 142
    assert sum(count for trials, count in used.items() if trials <= 7) >= 70
    assert sum(off.values()) - off[0] - off[1] <= 2


@example(
    tau0=8.0,
    alpha=8.0,
    slo=20.0,
    peak=10.0,
    most=1,
    memory=1,
    wrong=frozenset[str](),
    start=None,
)
@settings(max_examples=60, deadline=None)
@given(
    tau0=st.floats(1, 30),
    alpha=st.floats(0.2, 8),
    slo=st.floats(20, 400),
    peak=st.floats(1, 5000),
    most=st.integers(1, 12),
    memory=st.sampled_from([1, 2, 8, 64]),
    wrong=st.sampled_from([frozenset[str](), frozenset({"b"}), frozenset({"a", "b"})]),
    start=st.sampled_from([1, 4, 32, None]),
)
def test_every_search_ends_and_never_promises_what_was_not_measured(
    *,
    tau0: float,
    alpha: float,
    slo: float,
    peak: float,
    most: int,
    memory: int,
    wrong: frozenset[str],
    start: int | None,
) -> None:
    case = Case(
        {"a": tau0, "b": tau0 * 0.7},
        {"a": alpha, "b": alpha * 0.8},
        0.1,
        slo,
        peak,
        ReplicaLimits(min=1, max=most),
        out_of_memory_from=memory,
        wrong_images=wrong,
        incumbent=Candidate("a", start),
    )
    trials, end = search(case, max_trials=14)
    assert len(trials) <= 14
    found, best = found_replicas(case, trials), best_replicas(case)
    if found is None:
        assert end.unreachable is not None
    else:
        assert end.unreachable is None
        assert best is not None
        assert found >= best
    assert search(case, max_trials=14) == (trials, end)
