"""The model of a batching server against theory and against itself."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infertune.core.evidence import NoData
from infertune.core.queueing import (
    Prediction,
    ServiceTime,
    fit_service_time,
    latencies_in_order,
    predict_percentile,
    simulate,
    uniforms,
)

SERVER = ServiceTime(tau0_ms=8, alpha_ms=2)


def test_service_time_and_capacity_by_hand() -> None:
    """A batch of 16: 8 + 2 * 16 = 40 ms, so 16 / 0.040 s = 400 requests/s at most."""
    assert SERVER.of(16) == 40
    assert SERVER.capacity(16) == 400


def test_two_points_are_a_line() -> None:
    """s(1) = 10, s(16) = 40: alpha = 30 / 15 = 2, tau0 = 8."""
    found = fit_service_time([(1, 10.0), (16, 40.0)])
    assert isinstance(found, ServiceTime)
    assert (found.tau0_ms, found.alpha_ms) == pytest.approx((8, 2))


def test_a_flat_server_has_no_slope() -> None:
    """Faster in larger batches is noise: with weights 1/100 and 1/81 the mean is (1/10 + 1/9) /
    (1/100 + 1/81)."""
    found = fit_service_time([(1, 10.0), (8, 9.0)])
    assert isinstance(found, ServiceTime)
    assert found.alpha_ms == 0
    assert found.tau0_ms == pytest.approx((1 / 10 + 1 / 9) / (1 / 100 + 1 / 81))


def test_a_server_without_a_fixed_part() -> None:
    """(1, 1), (8, 10): the line through both starts below zero. Through the origin, relative
    errors: (1 * 1 / 1 + 8 * 10 / 100) / (1 + 64 / 100) = 1.8 / 1.64."""
    found = fit_service_time([(1, 1.0), (8, 10.0)])
    assert isinstance(found, ServiceTime)
    assert (found.tau0_ms, found.alpha_ms) == pytest.approx((0, 1.8 / 1.64))


@pytest.mark.parametrize(
    ("points", "reason"),
    [
        pytest.param([], "TooFew", id="none"),
        pytest.param([(4, 10.0), (4, 11.0)], "TooFew", id="one-batch-size"),
        pytest.param([(1, 10.0), (4, 0.0)], "Invalid", id="takes-no-time"),
        pytest.param([(1, 10.0), (4, math.nan)], "Invalid", id="not-a-number"),
        pytest.param([(0, 10.0), (4, 12.0)], "Invalid", id="an-empty-batch"),
    ],
)
def test_no_line_through_broken_points(points: list[tuple[int, float]], reason: str) -> None:
    found = fit_service_time(points)
    assert isinstance(found, NoData)
    assert found.reason == reason


@given(st.floats(0.1, 50), st.floats(0.01, 10))
def test_a_true_line_is_found_again(tau0: float, alpha: float) -> None:
    points = [(b, tau0 + alpha * b) for b in (1, 2, 4, 8, 16)]
    found = fit_service_time(points)
    assert isinstance(found, ServiceTime)
    assert found.of(32) == pytest.approx(tau0 + alpha * 32, rel=1e-6)


def test_an_idle_server_answers_in_one_service_time() -> None:
    found = simulate(SERVER, 16, rate=0.01, requests=1000)
    assert found.percentile(50) == found.percentile(95) == pytest.approx(10)


@pytest.mark.parametrize("rate", [100.0, 200.0, 300.0, 400.0])
def test_the_mean_is_within_inoues_bound(rate: float) -> None:
    """Inoue (arXiv 1912.06322), take-all batches without a cap: E[R] <= min(phi0, phi1), and the
    bound is close: 8 % at light load. 200,000 requests leave about 1 % of noise."""
    lam, tau0, alpha = rate / 1000, SERVER.tau0_ms, SERVER.alpha_ms
    busy = lam * alpha
    phi0 = (alpha + tau0) / (2 * (1 - busy))
    phi0 *= 1 + 2 * lam * tau0 + (1 - lam * tau0) / (1 + busy)
    phi1 = 3 * tau0 / (2 * (1 - busy)) + alpha / 2 * (busy + 2) / (1 - busy**2)
    found = simulate(SERVER, 10**6, rate, requests=200_000, seed=5)
    assert found.mean_ms == pytest.approx(min(phi0, phi1), rel=0.09)
    assert found.mean_ms <= min(phi0, phi1) * 1.02


def test_single_requests_are_an_md1_queue() -> None:
    """Cap 1, service 10 ms, 50/s: load 0.5. M/D/1: wait = 10 * 0.5 / (2 * 0.5) = 5, so 15 ms."""
    found = simulate(ServiceTime(10, 0), 1, 50, requests=200_000, seed=3)
    assert found.mean_ms == pytest.approx(15, rel=0.02)


def test_latencies_by_hand() -> None:
    """No request ever waits longer than two services where nobody queues past the cap."""
    latencies = latencies_in_order(ServiceTime(10, 0), 1000, 500, 5000, seed=1)
    assert len(latencies) == 5000
    assert all(10 <= latency <= 20 + 1e-9 for latency in latencies)


def test_percentiles_are_nearest_rank() -> None:
    found = Prediction((10.0, 20.0, 30.0, 40.0), 25.0)
    assert [found.percentile(p) for p in (1, 50, 75, 99)] == [10, 20, 30, 40]
    assert found.over(20.0) == 0.5


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**70), st.sampled_from([1, 4, 16]))
def test_the_same_seed_is_the_same_run(seed: int, cap: int) -> None:
    first = simulate(SERVER, cap, 80, requests=500, seed=seed)
    assert first == simulate(SERVER, cap, 80, requests=500, seed=seed)


def test_more_load_is_never_faster() -> None:
    p95s = [predict_percentile(SERVER, 16, rate) for rate in (40, 120, 200, 280, 360)]
    numbers = [value for value in p95s if isinstance(value, float)]
    assert numbers == sorted(numbers)
    assert len(numbers) == 5


@pytest.mark.parametrize("rate", [0.0, -5.0, 400.0, 1e9, math.nan, math.inf])
def test_beyond_capacity_there_is_no_percentile(rate: float) -> None:
    found = predict_percentile(SERVER, 16, rate)
    assert isinstance(found, NoData)
    assert found.reason == "Invalid"


def test_uniforms_are_uniform() -> None:
    """Mean 1/2 and variance 1/12 of 20,000, and never an end of the interval."""
    source = uniforms(7)
    drawn = [next(source) for _ in range(20_000)]
    mean = sum(drawn) / len(drawn)
    assert mean == pytest.approx(0.5, abs=0.01)
    assert sum((x - mean) ** 2 for x in drawn) / len(drawn) == pytest.approx(1 / 12, abs=0.003)
    assert min(drawn) > 0
    assert max(drawn) < 1
