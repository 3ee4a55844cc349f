"""From a knee to replicas, bounds and a choice."""

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infertune.api.knobs import ReplicaLimits
from infertune.api.status import Bounds
from infertune.core.capacity import Carrier, choose, knee_of, replica_bounds, replicas_for
from infertune.core.replica_weight import Weight
from infertune.core.space import Candidate

LIMITS = ReplicaLimits(min=1, max=10)
A1, A4, A8 = Candidate("a", 1), Candidate("a", 4), Candidate("a", 8)
B4, B_DEFAULT = Candidate("b", 4), Candidate("b", None)


def test_the_knee_is_the_highest_pass_below_the_lowest_fail() -> None:
    assert knee_of([(10, "Pass"), (20, "Pass"), (40, "Fail")]) == 20


def test_a_pass_above_a_fail_is_luck() -> None:
    assert knee_of([(10, "Pass"), (20, "Fail"), (40, "Pass")]) == 10


def test_what_proves_nothing_is_no_knee() -> None:
    assert knee_of([]) is None
    assert knee_of([(10, "Fail")]) is None
    assert knee_of([(10, "Inconclusive"), (20, "Invalid")]) is None
    assert knee_of([(10, "Inconclusive"), (20, "Pass")]) == 20


@pytest.mark.parametrize(
    ("rate", "knee", "replicas"),
    [(100, 30, 4), (100, 25, 4), (100, 33.34, 3), (100, 33.33, 4), (0, 5, 1), (1, 1000, 1)],
)
def test_replicas_carry_the_rate(rate: float, knee: float, replicas: int) -> None:
    assert replicas_for(rate, knee) == replicas


@pytest.mark.parametrize(
    ("rate", "knee"), [(10, 0), (10, -1), (10, math.nan), (10, math.inf), (math.nan, 1), (-1, 1)]
)
def test_a_knee_that_is_no_rate_is_refused(rate: float, knee: float) -> None:
    with pytest.raises(ValueError, match="must be finite, the knee above zero"):
        replicas_for(rate, knee)


@given(st.floats(1e-3, 1e7), st.integers(1, 10_000))
def test_the_kth_part_of_a_peak_needs_k_replicas(peak: float, count: int) -> None:
    assert replicas_for(peak, peak / count) == count


@given(st.floats(0, 1e6), st.floats(0, 1e6), st.floats(1e-2, 1e6), st.floats(1e-2, 1e6))
def test_replicas_rise_with_the_rate_and_fall_with_the_knee(
    rate: float, more: float, knee: float, higher: float
) -> None:
    assert replicas_for(rate, knee) <= replicas_for(rate + more, knee)
    assert replicas_for(rate, knee + higher) <= replicas_for(rate, knee)


def test_bounds_leave_the_autoscalers_tolerance() -> None:
    """Knee 30: trough 50 * 1.1 / 30 = 1.83 -> 2; peak 100 * 1.1 / 30 = 3.67 -> 4."""
    assert replica_bounds(30, 100, 50, LIMITS) == Bounds(min_replicas=2, max_replicas=4)


def test_the_headroom_yields_to_the_limit_but_the_peak_does_not() -> None:
    """Knee 25: the peak needs 4, with headroom 5. A limit of 4 is kept, one of 3 cannot be."""
    four, three = ReplicaLimits(min=1, max=4), ReplicaLimits(min=1, max=3)
    assert replica_bounds(25, 100, 0, four) == Bounds(min_replicas=1, max_replicas=4)
    assert replica_bounds(25, 100, 0, three) is None


def test_a_blind_metric_makes_the_lower_bound_carry_the_peak() -> None:
    found = replica_bounds(30, 100, 1, LIMITS, metric_follows_load=False)
    assert found == Bounds(min_replicas=4, max_replicas=4)


def test_limits_lift_the_bounds_too() -> None:
    limits = ReplicaLimits(min=6, max=8)
    assert replica_bounds(30, 100, 1, limits) == Bounds(min_replicas=6, max_replicas=6)


@given(
    st.floats(0.1, 1e4),
    st.floats(1, 1e5),
    st.floats(0, 1),
    st.integers(1, 50),
    st.integers(0, 50),
    st.booleans(),
)
def test_bounds_stay_within_limits_and_carry_the_peak(
    knee: float, peak: float, share: float, least: int, span: int, follows: bool
) -> None:
    limits = ReplicaLimits(min=least, max=least + span)
    found = replica_bounds(knee, peak, peak * share, limits, metric_follows_load=follows)
    if found is None:
        assert limits.max * knee < peak
    else:
        assert limits.min <= found.min_replicas <= found.max_replicas <= limits.max
        assert found.max_replicas * knee >= peak * (1 - 1e-8)


def test_fewer_replicas_win() -> None:
    """Peak 100: knee 30 needs 4, knee 50 needs 2."""
    found = choose([Carrier(A1, 30), Carrier(A8, 50)], 100, 10, LIMITS, A1)
    assert found is not None
    assert (found.candidate, found.knee_rate, found.replicas) == (A8, 50, 2)
    assert found.bounds == Bounds(min_replicas=1, max_replicas=3)
    assert found.why == "2 replicas carry 100 requests per second at 50 each"


def test_among_equal_replicas_the_higher_knee_wins() -> None:
    found = choose([Carrier(A4, 50), Carrier(A8, 70)], 100, 10, LIMITS, A1)
    assert found is not None
    assert found.candidate == A8


def test_knees_within_noise_are_equal_and_the_smaller_batch_wins() -> None:
    """68 is within 5 % of 70. The server's own default batch comes last."""
    known = [Carrier(B_DEFAULT, 70), Carrier(A8, 70), Carrier(A4, 68), Carrier(B4, 68)]
    found = choose(known, 100, 10, LIMITS, A1)
    assert found is not None
    assert found.candidate == A4


def test_today_is_kept_when_nothing_is_clearly_better() -> None:
    found = choose([Carrier(A4, 70), Carrier(A8, 68)], 100, 10, LIMITS, A8)
    assert found is not None
    assert found.candidate == A8
    assert "today's configuration is kept" in found.why


def test_replicas_below_the_minimum_save_nothing() -> None:
    """With at least 4 replicas a knee of 50 (2 needed) is no cheaper than one of 30; it is only
    higher. Today's 49 is within noise and is kept."""
    limits = ReplicaLimits(min=4, max=10)
    found = choose([Carrier(A8, 50), Carrier(A1, 49)], 100, 10, limits, A1)
    assert found is not None
    assert (found.candidate, found.replicas) == (A1, 4)


def test_one_replica_is_told_in_the_singular() -> None:
    found = choose([Carrier(A8, 200)], 100, 10, LIMITS, A1)
    assert found is not None
    assert found.why == "1 replica carries 100 requests per second at 200 each"


def test_nothing_to_choose() -> None:
    assert choose([], 100, 10, LIMITS, A1) is None
    assert choose([Carrier(A1, 5)], 100, 10, LIMITS, A1) is None


@given(
    st.lists(
        st.tuples(st.sampled_from([A1, A4, A8, B4, B_DEFAULT]), st.floats(1, 500)), max_size=8
    ),
    st.sampled_from([A1, A4, B4]),
)
def test_nothing_cheaper_is_ever_passed_over(
    known: list[tuple[Candidate, float]], incumbent: Candidate
) -> None:
    carriers = [Carrier(candidate, knee) for candidate, knee in known]
    found = choose(carriers, 1000, 10, LIMITS, incumbent)
    feasible = [replicas_for(1000, c.knee_rate) for c in carriers]
    feasible = [count for count in feasible if count <= LIMITS.max]
    assert (found.replicas if found else None) == min(feasible, default=None)
    again = choose(carriers, 1000, 10, LIMITS, incumbent)
    assert again == found


def test_replicas_of_another_size_are_counted_by_what_they_cost() -> None:
    """Peak 100: two of twice the CPU cost as much as four; three of today's cost three."""
    double = Weight(Fraction(2), "cpu")
    found = choose([Carrier(A1, 40), Carrier(A8, 60, double)], 100, 10, LIMITS, A1)
    assert found is not None
    assert (found.candidate, found.replicas, found.cost) == (A1, 3, 3)
    assert found.why == (
        "3 replicas carry 100 requests per second at 40 each; 2 of 2 times the cpu would carry it "
        "too, and cost as much as 4; today's configuration is kept, nothing is better by more "
        "than 5 %"
    )
    much = choose([Carrier(A1, 20), Carrier(A8, 60, double)], 100, 10, LIMITS, A1)
    assert much is not None
    assert (much.candidate, much.replicas, much.cost) == (A8, 2, 4)
    assert much.why == (
        "2 replicas carry 100 requests per second at 60 each; each requests 2 times today's cpu, "
        "so they cost as much as 4 replicas of today"
    )
    small = choose(
        [Carrier(A1, 60), Carrier(A8, 40, Weight(Fraction(1, 2), "cpu"))], 100, 10, LIMITS, A1
    )
    assert small is not None
    assert (small.candidate, small.replicas, small.cost) == (A8, 3, Fraction(3, 2))


def test_the_minimum_is_paid_at_the_size_that_it_has() -> None:
    limits = ReplicaLimits(min=4, max=10)
    half = Carrier(A8, 30, Weight(Fraction(1, 2), "memory"))
    found = choose([Carrier(A1, 90), half], 100, 10, limits, A1)
    assert found is not None
    assert (found.candidate, found.replicas, found.cost) == (A8, 4, 2)
