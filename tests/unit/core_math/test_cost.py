"""Cost in money, or in replica-hours where no price is declared."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infertune.core.cost import (
    CostFigures,
    Price,
    Saving,
    cost_of,
    declared_price,
    saving,
    spent,
)
from infertune.core.evidence import NoData

D = Decimal
DOLLARS = declared_price("2.50")


def test_a_declared_price() -> None:
    """4 replicas at 2.50: 10.00 an hour; at 100/s that is 0.10 per QPS; 360,000 requests an hour,
    so 10 / 360 = 0.02777... per 1,000."""
    found = cost_of(4, 100, DOLLARS)
    assert isinstance(found, CostFigures)
    assert (found.per_hour, found.per_request_rate, found.unit) == (D("10.00"), D("0.10"), "USD")
    assert found.per_thousand_requests.quantize(D("0.000001")) == D("0.027778")


def test_without_a_price_no_money_is_named() -> None:
    assert declared_price(None) == Price(D(1), "replica-hours")
    found = cost_of(D("2.5"), 10, declared_price(None))
    assert isinstance(found, CostFigures)
    assert (found.per_hour, found.per_request_rate, found.unit) == (
        D("2.5"),
        D("0.25"),
        "replica-hours",
    )


def test_decimals_stay_exact() -> None:
    """Three times 0.10 is 0.30, which no binary fraction is."""
    found = cost_of(3, 1, declared_price("0.10", "EUR"))
    assert isinstance(found, CostFigures)
    assert (found.per_hour, found.unit) == (D("0.30"), "EUR")
    assert spent(D("0.1") * 3, declared_price("0.10", "EUR")) == D("0.03")


@pytest.mark.parametrize(
    ("replicas", "rate", "reason"),
    [
        pytest.param(D(2), D(0), "TooFew", id="no-requests"),
        pytest.param(D(-1), D(5), "Invalid", id="negative-replicas"),
        pytest.param(D(1), D(-5), "Invalid", id="negative-rate"),
        pytest.param(D("NaN"), D(5), "Invalid", id="not-a-number"),
        pytest.param(D(1), D("Infinity"), "Invalid", id="infinite"),
    ],
)
def test_no_cost_of_nothing(replicas: Decimal, rate: Decimal, reason: str) -> None:
    found = cost_of(replicas, rate, DOLLARS)
    assert isinstance(found, NoData)
    assert found.reason == reason


def test_a_tuning_pays_itself_back() -> None:
    """10.00 before, 5.00 after: saves 5.00 an hour, 50 %; a tuning of 2.00 is paid in 0.4 h."""
    before, after = cost_of(4, 100, DOLLARS), cost_of(2, 100, DOLLARS)
    assert isinstance(before, CostFigures)
    assert isinstance(after, CostFigures)
    assert saving(before, after, D(2)) == Saving(D("5.00"), D(50), D("0.4"), "USD")


def test_what_costs_more_never_pays_back() -> None:
    before, after = cost_of(2, 100, DOLLARS), cost_of(4, 100, DOLLARS)
    assert isinstance(before, CostFigures)
    assert isinstance(after, CostFigures)
    assert saving(before, after, D(2)) == Saving(
        D("-5.00"), D(-100), NoData("Invalid", "nothing is saved, so nothing is paid back"), "USD"
    )


def test_costs_that_cannot_be_compared() -> None:
    dollars, hours = cost_of(2, 100, DOLLARS), cost_of(2, 100, declared_price(None))
    free = cost_of(0, 100, DOLLARS)
    assert isinstance(dollars, CostFigures)
    assert isinstance(hours, CostFigures)
    assert isinstance(free, CostFigures)
    assert saving(dollars, hours, D(1)) == NoData(
        "Invalid", "cost in USD before and in replica-hours after"
    )
    assert saving(free, dollars, D(1)) == NoData("Invalid", "the cost before was zero")


@given(st.integers(0, 1000), st.integers(1, 10**7), st.decimals(0, 10**6, places=4))
def test_the_three_figures_agree(replicas: int, rate: int, price: Decimal) -> None:
    found = cost_of(replicas, rate, Price(price, "USD"))
    assert isinstance(found, CostFigures)
    assert abs(found.per_request_rate * rate - found.per_hour) <= D("1e-18")
    assert abs(found.per_thousand_requests * rate * D("3.6") - found.per_hour) <= D("1e-15")
