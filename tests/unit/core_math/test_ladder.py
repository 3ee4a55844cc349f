"""The rates of a trial are shares of the peak."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infertune.api.knobs import ReplicaLimits
from infertune.core.capacity import replicas_for
from infertune.core.ladder import ladder, limits_ladder, rate_for, spaced


@pytest.mark.parametrize(
    ("peak", "replicas", "rate"),
    [(100, 3, 33.34), (100, 4, 25.0), (4000, 3, 1334.0), (1_000_000, 3, 333_400.0), (1, 3, 0.334)],
)
def test_a_share_is_rounded_up(peak: float, replicas: int, rate: float) -> None:
    assert rate_for(peak, replicas) == rate


@given(st.integers(1, 10_000_000), st.integers(1, 200))
def test_a_passed_share_really_carries_the_peak(peak: int, replicas: int) -> None:
    rate = rate_for(peak, replicas)
    assert rate >= peak / replicas * (1 - 1e-9)
    assert replicas_for(peak, rate) <= replicas
    assert float(f"{rate:g}") == rate
    assert round(rate, 3) == rate


@pytest.mark.parametrize(
    ("most", "fewest", "count", "steps"),
    [
        pytest.param(4, 1, 4, (4, 3, 2, 1), id="all-fit"),
        pytest.param(10, 1, 4, (10, 5, 2, 1), id="even-in-ratio"),
        pytest.param(20, 1, 3, (20, 4, 1), id="three-of-twenty"),
        pytest.param(10, 1, 1, (10,), id="room-for-one"),
        pytest.param(5, 5, 4, (5,), id="one-count"),
        pytest.param(10, 8, 2, (10, 8), id="only-the-ends"),
    ],
)
def test_replica_counts_are_spaced(
    most: int, fewest: int, count: int, steps: tuple[int, ...]
) -> None:
    assert spaced(most, fewest, count) == steps


@given(st.integers(1, 10_000), st.integers(0, 9_999), st.integers(1, 8))
def test_steps_fall_and_keep_both_ends(fewest: int, span: int, count: int) -> None:
    steps = spaced(fewest + span, fewest, count)
    assert list(steps) == sorted(set(steps), reverse=True)
    assert len(steps) <= count
    assert steps[0] == fewest + span
    if count > 1:
        assert steps[-1] == fewest


def test_a_ladder_rises() -> None:
    """Peak 60 and one to four replicas: 15, 20, 30 and 60 per replica."""
    assert limits_ladder(60, ReplicaLimits(min=1, max=4), 4) == (15.0, 20.0, 30.0, 60.0)


def test_shares_that_round_to_one_rate_are_tried_once() -> None:
    """A peak of 1 over 5,000 and 4,000 replicas is 0.001 both times at three decimals."""
    assert ladder(1, 5000, 4000, 2) == (0.001,)
