"""Histograms and batches: figures with honest bounds, or a reason for none."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infertune.core.evidence import (
    Interval,
    Measured,
    NoData,
    NoInterval,
    SloBound,
    batch_interval,
    histogram_percentile,
    lag1_correlation,
    measured_from_batches,
    min_requests_for,
    over_slo_fraction,
    slo_within_buckets,
    student_t,
)

INF = math.inf
NAN = math.nan
BOUNDS = (100.0, 200.0, 400.0, INF)


def test_a_percentile_is_interpolated_inside_its_bucket() -> None:
    """1,000 requests: 600 to 100 ms, 900 to 200, 980 to 400. P95 is request 950, the 50th of 80 in
    the bucket 200..400: 200 + 200 * 50 / 80 = 325 ms."""
    found = histogram_percentile(BOUNDS, (600, 900, 980, 1000), 95, 60.0)
    assert found == Measured(325.0, "ms", 1000, 60.0, Interval(200.0, 400.0, 1.0))


def test_the_lowest_bucket_starts_at_zero() -> None:
    """Request 50 of 100 in 0..100 ms: 50 ms."""
    found = histogram_percentile(BOUNDS, (100, 100, 100, 100), 50, 1.0)
    assert found == Measured(50.0, "ms", 100, 1.0, Interval(0.0, 100.0, 1.0))


def test_empty_buckets_are_stepped_over() -> None:
    """94 of 100 to 100 ms, none to 200, all to 400: P95 is the first of six: 200 + 200 / 6."""
    found = histogram_percentile(BOUNDS, (94, 94, 100, 100), 95, 1.0)
    assert isinstance(found, Measured)
    assert found.value == pytest.approx(200 + 200 / 6)


def test_a_percentile_above_the_last_bound_is_no_number() -> None:
    found = histogram_percentile(BOUNDS, (100, 200, 900, 1000), 95, 60.0)
    assert found == NoData("OutsideBuckets", "P95 is above the last bound, 400 ms")


def test_few_requests_give_no_percentile() -> None:
    assert histogram_percentile(BOUNDS, (90, 95, 99, 99), 95, 60.0) == NoData(
        "TooFew", "99 requests, P95 needs 100"
    )


def test_nothing_measured_is_not_zero() -> None:
    assert histogram_percentile(BOUNDS, (0, 0, 0, 0), 95, 60.0, 0) == NoData(
        "TooFew", "0 requests, P95 needs 1"
    )


@pytest.mark.parametrize(("percentile", "requests"), [(50, 10), (90, 50), (95, 100), (99, 500)])
def test_five_requests_lie_beyond_a_percentile(percentile: int, requests: int) -> None:
    assert min_requests_for(percentile) == requests


@pytest.mark.parametrize(
    ("bounds", "counts"),
    [
        pytest.param((100.0, 200.0), (1, 2), id="no-infinite-bucket"),
        pytest.param((100.0, INF), (1, 2, 3), id="a-count-too-many"),
        pytest.param((), (), id="no-buckets"),
        pytest.param((200.0, 100.0, INF), (1, 2, 3), id="bounds-fall"),
        pytest.param((100.0, 100.0, INF), (1, 2, 3), id="bounds-repeat"),
        pytest.param((0.0, INF), (1, 2), id="a-bound-of-zero"),
        pytest.param((NAN, INF), (1, 2), id="a-bound-that-is-no-number"),
        pytest.param((100.0, INF), (NAN, 200), id="a-count-that-is-no-number"),
        pytest.param((100.0, INF), (200, INF), id="an-infinite-count"),
        pytest.param((100.0, INF), (-1, 200), id="a-negative-count"),
        pytest.param((100.0, INF), (200, 100), id="counts-fall"),
    ],
)
def test_a_malformed_histogram_is_invalid(
    bounds: tuple[float, ...], counts: tuple[float, ...]
) -> None:
    percentile = histogram_percentile(bounds, counts, 95, 60.0)
    fraction = over_slo_fraction(bounds, counts, 150.0, 60.0)
    assert isinstance(percentile, NoData)
    assert isinstance(fraction, NoData)
    assert (percentile.reason, fraction.reason) == ("Invalid", "Invalid")


def test_a_hair_of_float_noise_is_mended() -> None:
    """Sums of float counters may fall by 1e-9; a fall of a whole request may not."""
    found = histogram_percentile(BOUNDS, (1000.0, 1000.0 - 1e-9, 1000.0, 1000.0), 50, 60.0)
    assert isinstance(found, Measured)


@given(
    st.lists(st.integers(0, 500), min_size=4, max_size=4).filter(lambda gaps: sum(gaps) > 0),
    st.sampled_from([50, 90, 95]),
)
def test_a_percentile_stays_in_its_bucket_and_rises_with_p(gaps: list[int], p: int) -> None:
    counts = [sum(gaps[: i + 1]) for i in range(4)]
    low, high = (histogram_percentile(BOUNDS, counts, q, 1.0, 1) for q in (p, 99))
    if isinstance(low, Measured):
        assert low.interval is not None
        assert low.interval.low <= low.value <= low.interval.high
        if isinstance(high, Measured):
            assert low.value <= high.value


@pytest.mark.parametrize(
    ("slo", "bound"),
    [
        pytest.param(200.0, SloBound(200.0, 200.0, 200.0, 0.0), id="a-bound-itself"),
        pytest.param(230.0, SloBound(200.0, 200.0, 400.0, 30.0), id="nearer-to-the-lower"),
        pytest.param(390.0, SloBound(200.0, 200.0, 400.0, 190.0), id="nearer-to-the-upper"),
        pytest.param(30.0, SloBound(100.0, 0.0, 100.0, 70.0), id="below-the-first"),
        pytest.param(900.0, SloBound(400.0, 400.0, INF, 500.0), id="above-the-last"),
    ],
)
def test_the_bound_that_stands_in_for_the_promise(slo: float, bound: SloBound) -> None:
    found = slo_within_buckets(BOUNDS, slo)
    assert found == bound
    assert isinstance(found, SloBound)
    assert found.exact == (slo == 200.0)


def test_bounds_that_cannot_hold_a_promise() -> None:
    broken = slo_within_buckets((NAN, INF), 100.0)
    negative = slo_within_buckets(BOUNDS, -1.0)
    only_infinite = slo_within_buckets((INF,), 100.0)
    assert isinstance(broken, NoData)
    assert isinstance(negative, NoData)
    assert only_infinite == NoData("OutsideBuckets", "the histogram has no finite bucket bound")


def test_the_fraction_over_a_promise_between_two_bounds() -> None:
    """SLO 230 ms between 200 (900 of 1,000 within) and 400 (980): judged at 200, so 10 %
    are counted as slow; the truth lies between 2 % and 10 %."""
    found = over_slo_fraction(BOUNDS, (600, 900, 980, 1000), 230.0, 60.0)
    assert isinstance(found, Measured)
    assert found.interval is not None
    assert found.value == pytest.approx(0.10)
    assert (found.interval.low, found.interval.high) == pytest.approx((0.02, 0.10))
    assert (found.unit, found.n, found.interval.level) == ("fraction", 1000, 1.0)


def test_the_fraction_over_a_promise_outside_all_bounds() -> None:
    """SLO 900 ms past 400 (980 within): between 0 and 2 %. SLO 30 ms: between 40 % and 100 %."""
    above = over_slo_fraction(BOUNDS, (600, 900, 980, 1000), 900.0, 60.0)
    below = over_slo_fraction(BOUNDS, (600, 900, 980, 1000), 30.0, 60.0)
    assert isinstance(above, Measured)
    assert isinstance(below, Measured)
    assert above.interval is not None
    assert below.interval is not None
    assert (above.interval.low, above.interval.high) == pytest.approx((0.0, 0.02))
    assert (below.interval.low, below.interval.high) == pytest.approx((0.4, 1.0))


def test_no_fraction_of_nothing_or_without_bounds() -> None:
    assert over_slo_fraction(BOUNDS, (0, 0, 0, 0), 200.0, 60.0) == NoData(
        "TooFew", "no request in the window"
    )
    assert over_slo_fraction((INF,), (5,), 200.0, 60.0) == NoData(
        "OutsideBuckets", "the histogram has no finite bucket bound"
    )


@pytest.mark.parametrize(
    ("level", "degrees", "t"),
    [
        (0.95, 1, 12.7062),
        (0.95, 2, 4.3027),
        (0.95, 7, 2.3646),
        (0.95, 19, 2.0930),
        (0.90, 10, 1.8125),
        (0.99, 30, 2.7500),
        (0.0, 5, 0.0),
    ],
)
def test_students_t_as_in_the_printed_tables(level: float, degrees: int, t: float) -> None:
    assert student_t(level, degrees) == pytest.approx(t, abs=5e-5)


def test_batch_means_by_hand() -> None:
    """8 batches 100 110 90 105 95 108 92 100: mean 100, squares 0+100+100+25+25+64+64+0 = 378,
    s = sqrt(378/7) = 7.348, half = 2.3646 * 7.348 / sqrt(8) = 6.143."""
    found = batch_interval([100, 110, 90, 105, 95, 108, 92, 100])
    assert isinstance(found, Interval)
    assert (found.low, found.high) == pytest.approx((93.857, 106.143), abs=1e-3)
    assert found.level == 0.95


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        pytest.param([], "0 batches, an interval needs 8", id="none"),
        pytest.param([1.0] * 7, "7 batches, an interval needs 8", id="seven"),
        pytest.param([1.0] * 20, "all batches are equal", id="no-spread"),
        pytest.param([1.0] * 7 + [NAN], "a batch has no finite value", id="not-a-number"),
        pytest.param([1.0] * 7 + [INF], "a batch has no finite value", id="infinite"),
        pytest.param(
            [1.0, 2, 3, 4, 5, 6, 7, 8],
            "batches are correlated (lag 1: 0.62 > 0.3)",
            id="a-queue-that-grows",
        ),
    ],
)
def test_an_interval_is_refused_with_its_reason(values: list[float], reason: str) -> None:
    assert batch_interval(values) == NoInterval(reason)


def test_lag1_correlation_by_hand() -> None:
    """1, -1, 1, -1: mean 0, products -1 -1 -1 over squares 4: -0.75. No values: none."""
    assert lag1_correlation([1, -1, 1, -1]) == pytest.approx(-0.75)
    assert lag1_correlation([]) == lag1_correlation([3.0]) == lag1_correlation([2.0, 2.0]) == 0.0


def test_a_figure_with_its_batches_holds_itself() -> None:
    """The percentile of all (120) may lie outside the interval of the batch means (94..106)."""
    batches = [100.0, 110, 90, 105, 95, 108, 92, 100]
    found = measured_from_batches(120.0, "ms", 800, 30.0, batches)
    assert isinstance(found, Measured)
    assert found.interval is not None
    assert found.interval.high == 120.0
    assert found.interval.low == pytest.approx(93.857, abs=1e-3)


def test_a_figure_without_an_interval_says_why() -> None:
    assert measured_from_batches(120.0, "ms", 80, 30.0, [1.0]) == Measured(
        120.0, "ms", 80, 30.0, None, "1 batches, an interval needs 8"
    )
    assert measured_from_batches(NAN, "ms", 80, 30.0, []) == NoData(
        "Invalid", "nan is not a measurement"
    )


@given(st.lists(st.floats(-1e6, 1e6), min_size=0, max_size=40))
def test_an_interval_holds_the_mean_of_its_batches(values: list[float]) -> None:
    found = batch_interval(values)
    if isinstance(found, Interval):
        mean = sum(values) / len(values)
        assert found.low <= mean + 1e-6
        assert mean <= found.high + 1e-6
