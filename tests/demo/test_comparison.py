"""The before/after table: figures with intervals, changes in percent, costs, agreement."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from demo.agreement import agreement
from demo.client_windows import Traffic
from demo.comparison import as_markdown, as_text, compare, figure, percent_change
from demo.observation import Observation, Price, Setting, costs
from demo.scraped import Resources
from infertune.api.status import Reading

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
PRICE = Price(0.36, "USD")


def _reading(value: float, unit: str = "ms") -> Reading:
    return Reading(value=value, unit=unit)


def _traffic(p95: float, rate: float, late: float, errors: float) -> Traffic:
    return Traffic(
        p50=_reading(p95 / 2),
        p95=_reading(p95),
        p99=_reading(2 * p95),
        over_promise_percent=_reading(late, "%"),
        achieved_rate=_reading(rate, "req/s"),
        error_percent=_reading(errors, "%"),
        offered_rate=10.0,
    )


def _observation(p95: float = 100.0, rate: float = 10.0, late: float = 0.0) -> Observation:
    setting = Setting("8", "server:int8", 1, 2, 2, 2, 2)
    traffic = _traffic(p95, rate, late, 0.0)
    return Observation(
        start=NOON,
        end=NOON + timedelta(seconds=40),
        setting=setting,
        setting_at_start=setting,
        client=traffic,
        prometheus=traffic,
        resources=Resources(_reading(0.3, "cores"), _reading(250.0, "MiB")),
    )


@pytest.mark.parametrize(
    ("before", "after", "shown"),
    [
        pytest.param(500.0, 100.0, "-80 %", id="faster"),
        pytest.param(0.02, 0.01, "-50 %", id="cheaper"),
        pytest.param(4.0, 5.0, "+25 %", id="more"),
        pytest.param(0.0, 5.0, "-", id="from zero there is no percentage"),
        pytest.param(None, 5.0, "-", id="unknown before"),
        pytest.param(5.0, None, "-", id="unknown after"),
    ],
)
def test_changes_in_percent(before: float | None, after: float | None, shown: str) -> None:
    assert percent_change(before, after) == shown


@pytest.mark.parametrize(
    ("reading", "shown"),
    [
        pytest.param(
            Reading(value=104, unit="ms", low=98, high=110, level_percent=95),
            "104 ms [98, 110; 95 %]",
            id="an interval",
        ),
        pytest.param(
            Reading(value=104, unit="ms", low=100, high=110, level_percent=100),
            "104 ms [100, 110; bucket]",
            id="certain bounds of a bucket",
        ),
        pytest.param(
            Reading(value=104, unit="ms", reason="batches are correlated"),
            "104 ms (no interval: batches are correlated)",
            id="no interval, and why",
        ),
        pytest.param(Reading(reason="TooFew: 3"), "none: TooFew: 3", id="no figure, and why"),
        pytest.param(Reading(), "none: not measured", id="nothing at all is not zero"),
    ],
)
def test_figures_show_their_interval_or_the_reason_for_none(reading: Reading, shown: str) -> None:
    assert figure(reading) == shown


def test_costs_are_those_of_the_replicas_that_ran() -> None:
    """2 replicas at 0.36/h and 10 answers/s: 0.72 / 36,000 x 1,000 = 0.02; 0.72 / 10 = 0.072/h.

    When a fifth came late, 8/s kept the promise: 0.025 per 1,000 of them.
    """
    made = costs(_observation(late=20.0), PRICE)
    assert made.per_thousand_requests.value == 0.02
    assert made.per_qps_hour.value == 0.072
    assert made.per_thousand_kept.value == 0.025


def test_failures_are_not_bought_requests() -> None:
    """10 answered of 20 sent; all failures are late: half of all, so every answer was in time."""
    side = _observation()
    side = replace(side, client=_traffic(100.0, 10.0, late=50.0, errors=50.0))
    assert costs(side, PRICE).per_thousand_kept.value == 0.02


def test_a_server_that_answered_nothing_has_no_cost_per_request() -> None:
    side = replace(_observation(), client=_traffic(1.0, 0.0, 100.0, 100.0))
    made = costs(side, PRICE)
    assert made.per_thousand_requests.value is None
    assert made.per_thousand_kept.value is None
    assert made.per_qps_hour.reason == "no request was answered"


@pytest.mark.parametrize(
    ("client_ms", "agrees"),
    [pytest.param(177.0, True, id="9 ms apart"), pytest.param(179.0, False, id="11 ms apart")],
)
def test_sides_agree_within_the_width_of_the_bucket(client_ms: float, *, agrees: bool) -> None:
    """Prometheus says 168 ms from the bucket 160..170: an error of 10 ms."""
    prometheus = Reading(value=168, unit="ms", low=160, high=170, level_percent=100)
    assert agreement("P95", _reading(client_ms), prometheus).agrees is agrees


def test_sides_that_have_no_figure_are_not_compared() -> None:
    one = agreement("P95", _reading(100), Reading(reason="Missing"))
    assert one.agrees is None
    assert one.sentence() == "P95: cannot be compared, one side has no figure"


def test_the_table_holds_both_sides_and_every_kind_of_figure() -> None:
    before = _observation(p95=500.0, rate=9.0, late=90.0)
    rows = {row.name: row for row in compare(before, _observation(), PRICE)}
    assert rows["P95 (client)"].cells() == ("P95 (client)", "500 ms", "100 ms", "-80 %")
    assert rows["P95 (Prometheus)"].change == "-80 %"
    assert rows["offered rate"].cells() == ("offered rate", "10 req/s", "10 req/s", "-")
    assert rows["HPA at end of window"].after == "2 of 1..2, steady"
    assert rows["cost, requests in time"].after == "0.02 USD per 1,000"
    assert {"P50 (client)", "P99 (client)", "CPU, all replicas", "cost per QPS"} <= rows.keys()


def test_both_renderings_hold_every_row() -> None:
    rows = compare(_observation(), _observation(), PRICE)
    assert len(as_text(rows).splitlines()) == len(rows) + 2
    assert len(as_markdown(rows).splitlines()) == len(rows) + 2
