"""A resting tuning looks every minute and tells only what is news."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from infertune.api.status import LiveFigures, Reading, StateName
from infertune.core.evidence import Evidence, NoData
from infertune.core.plan import SetFinalizer
from infertune.core.snapshot import LiveEvidence
from infertune.core.states.pending import figures_of
from tests.builders import NOW, decide, live_of, measured, status_of

TOLD = figures_of(live_of())
MINUTE = timedelta(seconds=60)
BEYOND = NoData("OutsideBuckets", "above the last bound")


def seen(minutes: float = 1, **changes: Any) -> LiveEvidence:
    return replace(live_of(), observed_at=NOW + minutes * MINUTE, **changes)


def rate(value: float) -> Evidence:
    return measured(value, "requests/s")


def told_after(live: LiveEvidence | NoData | None, told: LiveFigures | None = TOLD) -> Any:
    plan = decide(status_of("Stable", live=told), live=live)
    assert (plan.status.state, plan.effects, plan.requeue_seconds) == ("Stable", (), 60.0)
    return plan.status.live


def test_the_first_look_is_told() -> None:
    assert told_after(seen(), None) == figures_of(seen())


def test_nothing_seen_leaves_the_last_figures() -> None:
    """A blind minute is not news: the figures carry the time they were taken at."""
    assert told_after(NoData("Unavailable", "no answer")) == TOLD
    assert told_after(None) == TOLD


@pytest.mark.parametrize(
    "fresh",
    [
        pytest.param(seen(), id="exactly the same"),
        pytest.param(seen(request_rate=rate(45.0)), id="rate down by exactly a tenth"),
        pytest.param(seen(p95=measured(166.0)), id="P95 150 -> 166 ms: 16 of 166 is 9.6 %"),
        pytest.param(
            seen(over_slo_percent=measured(4.9, "percent")), id="more broken, still allowed"
        ),
        pytest.param(seen(minutes=4.9), id="not yet five minutes"),
    ],
)
def test_noise_costs_no_write(fresh: LiveEvidence) -> None:
    assert told_after(fresh) == TOLD


@pytest.mark.parametrize(
    "fresh",
    [
        pytest.param(seen(minutes=5), id="five minutes old"),
        pytest.param(seen(request_rate=rate(44.0)), id="rate down by 12 %"),
        pytest.param(seen(request_rate=rate(0.0)), id="traffic ended"),
        pytest.param(seen(p95=measured(167.0)), id="P95 150 -> 167 ms: 17 of 167 is 10.2 %"),
        pytest.param(seen(p95=BEYOND), id="P95 is no longer known"),
        pytest.param(
            seen(over_slo_percent=measured(5.1, "percent")), id="95 % must keep it, 94.9 do"
        ),
        pytest.param(seen(over_slo_percent=BEYOND), id="nobody knows whether it is kept"),
        pytest.param(seen(pods=3), id="another pod"),
    ],
)
def test_news_is_told_within_the_minute(fresh: LiveEvidence) -> None:
    assert told_after(fresh) == figures_of(fresh)


def test_a_promise_that_is_kept_again_is_news() -> None:
    broken = TOLD.model_copy(update={"over_slo_percent": Reading(value=7.0, unit="percent")})
    assert told_after(seen(), broken) == figures_of(seen())


def test_two_unknown_figures_are_the_same() -> None:
    blind = figures_of(seen(0, p95=BEYOND, request_rate=BEYOND, over_slo_percent=BEYOND))
    again = seen(1, p95=BEYOND, request_rate=BEYOND, over_slo_percent=BEYOND)
    assert told_after(again, blind) == blind


def test_figures_without_a_time_are_replaced() -> None:
    """An older operator, or a foreign hand, may have left them so."""
    assert told_after(seen(), TOLD.model_copy(update={"observed_at": None})) == figures_of(seen())


@pytest.mark.parametrize("state", ["Stable", "Halted"])
def test_a_finalizer_that_was_left_goes_first(state: StateName) -> None:
    plan = decide(status_of(state), live=seen(), finalizer=True)
    assert (plan.effects, plan.requeue_seconds) == ((SetFinalizer(present=False),), 0.0)
