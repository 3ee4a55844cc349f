"""The search: few trials, no measured lie, and an end."""

import pytest

from infertune.api.knobs import ReplicaLimits
from infertune.api.status import Configuration, RateLevel, Reading, TrialRecord
from infertune.core.outcomes import (
    FailureName,
    LevelPoint,
    TrialOutcome,
    estimated_knee,
    lowest_unproven,
)
from infertune.core.search import (
    Certificate,
    Exhausted,
    Proposal,
    SearchRules,
    outcome_of,
    propose,
)
from infertune.core.space import Candidate, SearchSpace

LIMITS = ReplicaLimits(min=1, max=4)
BATCHES = (1, 2, 4, 8, 16, 32)
A1 = Candidate("a", 1)
SPACE = SearchSpace(A1, ("a", "b"), BATCHES)
RULES = SearchRules(60, LIMITS, max_rates=4, max_trials=12, slo_ms=200)


def passed(candidate: Candidate, *rates: float, failed: float | None = None) -> TrialOutcome:
    levels = [LevelPoint(rate, "Pass", 100.0, rate) for rate in rates]
    if failed is not None:
        levels.append(LevelPoint(failed, "Fail", 900.0, failed))
    return TrialOutcome(candidate, tuple(levels), None, 3.0)


def broken(candidate: Candidate, failure: FailureName) -> TrialOutcome:
    return TrialOutcome(candidate, failure=failure)


def test_today_comes_first_at_all_shares_of_the_peak() -> None:
    assert propose(SPACE, (), RULES) == Proposal(
        A1, (15.0, 20.0, 30.0, 60.0), "today's configuration"
    )


def test_today_is_short_when_live_traffic_already_fails() -> None:
    rules = SearchRules(60, LIMITS, 4, 12, baseline_fails=True, slo_ms=200)
    assert propose(SPACE, (), rules) == Proposal(A1, (15.0, 20.0), "today's configuration")


def test_then_a_middle_batch_on_each_image() -> None:
    """Today's batch 1 stands at the edge and says little about its image."""
    first = propose(SPACE, (passed(A1, failed=15.0),), RULES)
    a8 = Candidate("a", 8)
    assert first == Proposal(a8, (15.0, 20.0, 30.0, 60.0), "a middle batch on this image")
    second = propose(SPACE, (passed(A1, failed=15.0), passed(a8, 15.0, failed=20.0)), RULES)
    assert second == Proposal(Candidate("b", 8), (15.0, 20.0, 30.0), "a middle batch on this image")


def test_a_ladder_starts_at_the_best_known_and_leaves_out_what_cannot_win() -> None:
    """Best so far 2 replicas: only 30 (its own) and 60 (one replica) can matter."""
    trials = (passed(A1, 15.0, 20.0, 30.0, failed=60.0),)
    proposal = propose(SPACE, trials, RULES)
    assert isinstance(proposal, Proposal)
    assert proposal.rates == (30.0, 60.0)


def test_wrong_answers_end_an_image() -> None:
    trials = (passed(A1, failed=15.0), broken(Candidate("a", 8), "QualityFailed"))
    proposal = propose(SPACE, trials, RULES)
    assert isinstance(proposal, Proposal)
    assert proposal.candidate.image == "b"


@pytest.mark.parametrize("failure", ["OutOfMemory", "Crashed", "NotReady"])
def test_a_crash_ends_larger_batches_of_its_image_only(failure: FailureName) -> None:
    trials = [passed(A1, 15.0, failed=20.0), broken(Candidate("a", 8), failure)]
    seen = set()
    while isinstance(step := propose(SPACE, tuple(trials), RULES), Proposal):
        seen.add(step.candidate)
        trials.append(passed(step.candidate, 15.0, failed=20.0))
        assert len(trials) <= RULES.max_trials
    assert all((c.batch_size or 0) < 8 for c in seen if c.image == "a")
    assert Candidate("b", 8) in seen


def test_a_void_measurement_is_repeated_once() -> None:
    once = (broken(A1, "Invalid"),)
    first = propose(SPACE, once, RULES)
    assert isinstance(first, Proposal)
    assert (first.candidate, first.why) == (A1, "its measurement was void; repeated once")
    second = propose(SPACE, once * 2, RULES)
    assert isinstance(second, Proposal)
    assert second.candidate == Candidate("a", 8)


def test_two_trials_without_room_end_the_search() -> None:
    one = (passed(A1, 15.0, failed=20.0), broken(Candidate("a", 8), "NoCapacity"))
    again = propose(SPACE, one, RULES)
    assert isinstance(again, Proposal)
    assert again.candidate == Candidate("a", 8)
    both = (*one, broken(Candidate("a", 8), "NoCapacity"))
    assert propose(SPACE, both, RULES) == Exhausted("two trials in a row found no room to run")


def test_the_fewest_allowed_replicas_end_the_search() -> None:
    trials = (passed(A1, 15.0, 20.0, 30.0, 60.0),)
    assert propose(SPACE, trials, RULES) == Exhausted(
        "the best needs 1 replica, the fewest allowed"
    )


def test_the_number_of_trials_ends_the_search() -> None:
    rules = SearchRules(60, LIMITS, 4, max_trials=1)
    assert propose(SPACE, (passed(A1, 15.0, failed=20.0),), rules) == Exhausted(
        "all 1 trials are used"
    )


def test_an_unreachable_promise_has_a_certificate() -> None:
    """One image, batches 1 and 2, both too slow at 60 / 4 = 15 requests/s: 260 and 231 ms."""
    space = SearchSpace(A1, ("a",), (1, 2))
    slow = [
        TrialOutcome(Candidate("a", batch), (LevelPoint(15.0, "Fail", p95, 15.0),))
        for batch, p95 in ((1, 260.0), (2, 231.0))
    ]
    assert propose(space, tuple(slow), RULES) == Exhausted(
        "no open bracket is left; nothing carries the peak within the replica limits",
        Certificate(Candidate("a", 2), 15.0, 231.0, (A1, Candidate("a", 2)), complete=True),
    )


def test_a_certificate_of_a_spent_budget_is_not_complete() -> None:
    rules = SearchRules(60, LIMITS, 4, max_trials=1)
    found = propose(SPACE, (broken(A1, "Crashed"),), rules)
    assert isinstance(found, Exhausted)
    assert found.unreachable == Certificate(None, 15.0, None, (A1,), complete=False)


def test_everything_wrong_ends_at_once() -> None:
    space = SearchSpace(A1, ("a", "b"), (1, 2))
    trials = (broken(A1, "QualityFailed"), broken(Candidate("b", 2), "ImageUnavailable"))
    found = propose(space, trials, RULES)
    assert isinstance(found, Exhausted)
    assert found.unreachable is not None
    assert found.unreachable.complete


def test_a_space_of_images_alone() -> None:
    """No batch knob: today's image first, then the other, then nothing is left."""
    space = SearchSpace(Candidate("a", None), ("a", "b"), (None,))
    trials: list[TrialOutcome] = []
    while isinstance(step := propose(space, tuple(trials), RULES), Proposal):
        trials.append(passed(step.candidate, 15.0, failed=20.0))
    assert [t.candidate for t in trials] == [Candidate("a", None), Candidate("b", None)]


def test_one_batch_size_is_tried_once() -> None:
    space = SearchSpace(Candidate("a", None), ("a",), (None, 4))
    trials: list[TrialOutcome] = []
    while isinstance(step := propose(space, tuple(trials), RULES), Proposal):
        trials.append(passed(step.candidate, 15.0, failed=20.0))
    assert [t.candidate for t in trials] == [Candidate("a", None), Candidate("a", 4)]


def test_rates_between_pass_and_failure_are_tried_last() -> None:
    """Peak 100, up to 10 replicas: passes 10 and 20 (5 replicas), fails 50. 25 and 33.34 (4 and 3
    replicas) lie between, and its latency says it may carry them."""
    space = SearchSpace(A1, ("a",), (1,))
    rules = SearchRules(100, ReplicaLimits(min=1, max=10), 4, 12, slo_ms=200)
    trial = passed(A1, 10.0, 20.0, failed=50.0)
    assert propose(space, (trial,), rules) == Proposal(
        A1, (25.0, 33.34), "rates between its highest pass and lowest failure"
    )
    after = (trial, passed(A1, 25.0, failed=33.34))
    assert isinstance(propose(space, after, rules), Exhausted)


@pytest.mark.parametrize("failure", ["Invalid", "Crashed"])
def test_a_candidate_that_breaks_later_gets_no_finer_rates(failure: FailureName) -> None:
    space = SearchSpace(A1, ("a",), (1,))
    rules = SearchRules(100, ReplicaLimits(min=1, max=10), 4, 12, slo_ms=200)
    twice = (broken(A1, failure), broken(A1, failure))
    found = propose(space, (passed(A1, 10.0, 20.0, failed=50.0), *twice), rules)
    assert isinstance(found, Exhausted)


def test_a_pass_of_the_whole_ladder_is_followed_upwards() -> None:
    """The ladder ended at twice the hope; what passes all of it may carry more."""
    space = SearchSpace(A1, ("a",), (1,))
    rules = SearchRules(100, ReplicaLimits(min=1, max=10), 4, 12, slo_ms=200)
    proposal = propose(space, (passed(A1, 10.0, 20.0, 25.0),), rules)
    assert isinstance(proposal, Proposal)
    assert proposal.rates == (33.34, 50.0, 100.0)


def test_a_running_trial_counts_for_the_budget_only() -> None:
    running = broken(A1, "Running")
    assert isinstance(propose(SPACE, (running,), RULES), Proposal)
    rules = SearchRules(60, LIMITS, 4, max_trials=1)
    assert isinstance(propose(SPACE, (running,), rules), Exhausted)


def test_a_plateau_is_left_alone() -> None:
    """Batches 2, 8 and 32 carry the same; a replica less would need far more: 4 and 16 are not
    tried."""
    space = SearchSpace(Candidate("a", 8), ("a",), BATCHES)
    flat = tuple(
        TrialOutcome(
            Candidate("a", batch),
            (LevelPoint(15.0, "Pass", p95, 15.0), LevelPoint(20.0, "Fail", 800.0, 20.0)),
        )
        for batch, p95 in ((8, 110.0), (2, 120.0), (32, 120.0))
    )
    assert propose(space, flat, RULES) == Exhausted(
        "no open bracket is left; the best needs 4 replicas"
    )


@pytest.mark.parametrize(
    ("levels", "slo", "estimate"),
    [
        pytest.param((), 200, 0.0, id="nothing"),
        pytest.param((LevelPoint(20, "Pass", 90, 20),), 200, 20.0, id="all-passed"),
        pytest.param(
            (LevelPoint(10, "Pass", 100, 10), LevelPoint(20, "Fail", 400, 20)),
            200,
            15.0,
            id="halfway-in-logarithms",
        ),
        pytest.param(
            (LevelPoint(10, "Pass", 100), LevelPoint(40, "Fail", None)), 200, 20.0, id="no-latency"
        ),
        pytest.param(
            (LevelPoint(10, "Pass", 100), LevelPoint(40, "Fail", 400)), None, 20.0, id="no-promise"
        ),
        pytest.param(
            (LevelPoint(10, "Pass", 100, 10), LevelPoint(40, "Fail", 9000, 20)),
            200,
            15.0,
            id="overloaded-at-twenty",
        ),
        pytest.param((LevelPoint(10, "Fail", 400, 10),), 200, 5.0, id="twice-too-slow"),
        pytest.param((LevelPoint(10, "Fail", 150, 10),), 200, 10.0, id="failed-by-errors"),
        pytest.param((LevelPoint(10, "Fail"),), 200, 5.0, id="slow-and-nothing-else"),
        pytest.param((LevelPoint(10, "Fail", 9000, 6),), 200, 4.08, id="overloaded-at-once"),
    ],
)
def test_the_estimate_between_levels(
    levels: tuple[LevelPoint, ...], slo: float | None, estimate: float
) -> None:
    """Halfway: 200 is the geometric middle of 100 and 400, so (10 + 20) / 2. Overloaded: capacity
    20 and 100 ms at half of it; 1 / (1 - load) doubles at load 0.75, so 15. At once: 0.85 * 6 =
    5.1, but a batch of 1 takes 1000 / 6 = 166.7 ms there, and 200 ms have room for 0.8 of one and
    a half of those: 4.08."""
    assert estimated_knee(TrialOutcome(A1, levels), slo) == pytest.approx(estimate)


def test_the_lowest_rate_that_did_not_pass() -> None:
    levels = (LevelPoint(10, "Pass"), LevelPoint(30, "Fail"), LevelPoint(20, "Inconclusive"))
    assert lowest_unproven(TrialOutcome(A1, levels)) == 20


def record(phase: str, reason: str | None = None) -> TrialRecord:
    return TrialRecord.model_validate(
        {
            "candidate": Configuration(image="a", batch_size=1),
            "phase": phase,
            "reason": reason,
            "startup_seconds": 4.0,
            "levels": (
                RateLevel(
                    offered_rate=15, achieved_rate=14.9, p95=Reading(value=120.0), verdict="Pass"
                ),
            ),
        }
    )


def test_a_completed_record_keeps_its_levels() -> None:
    assert outcome_of(record("Completed")) == TrialOutcome(
        A1, (LevelPoint(15, "Pass", 120.0, 14.9),), None, 4.0
    )


@pytest.mark.parametrize(
    ("phase", "reason", "failure"),
    [
        ("Running", None, "Running"),
        ("Invalid", "GateBroken", "Invalid"),
        ("Failed", "QualityFailed", "QualityFailed"),
        ("Failed", "ImageUnavailable", "ImageUnavailable"),
        ("Failed", "OutOfMemory", "OutOfMemory"),
        ("Failed", "NoCapacity", "NoCapacity"),
        ("Failed", "Refused", "Refused"),
        ("Failed", "NeverHeardOf", "Crashed"),
        ("Failed", None, "Crashed"),
    ],
)
def test_a_failed_record_names_its_failure(
    phase: str, reason: str | None, failure: FailureName
) -> None:
    assert outcome_of(record(phase, reason)) == TrialOutcome(A1, (), failure, 4.0)


def test_the_space_always_holds_today() -> None:
    stranger = Candidate("old", 3)
    space = SearchSpace(stranger, ("a", "a"), (4, 2, None, 2))
    assert space.candidates() == (
        stranger,
        Candidate("a", None),
        Candidate("a", 2),
        Candidate("a", 4),
    )
    assert SPACE.candidates()[0] == A1
    assert len(SPACE.candidates()) == 12
    assert space.batches == (2, 4)
    assert len(stranger.id) == 10
    assert stranger.id != A1.id
