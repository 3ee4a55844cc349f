"""A promise between two bucket bounds: a Pass is sure, a Fail is sure, and between them is neither.

The histogram has bounds at 150 and 400 ms and the promise is 200 ms: requests count as slow from
150 ms on, and surely break the promise above 400 ms only.
"""

from dataclasses import replace
from typing import Any

import pytest

from infertune.core.evidence import Interval, NoData, SloBound
from infertune.core.promise_bound import bound_note, not_surely_broken
from infertune.core.slo import judge
from infertune.core.snapshot import LiveEvidence
from tests.builders import (
    NOW,
    after,
    conditions_of,
    container_of,
    decide,
    deployment_of,
    live_of,
    measured,
    rollout_of,
    status_of,
    target_of,
)

BETWEEN = SloBound(150.0, 150.0, 400.0, 50.0)
EXACT = SloBound(200.0, 200.0, 200.0, 0.0)
NOTE = (
    "the histogram has no bound at 200 ms: requests count as slow from 150 ms on, 50 ms stricter, "
    "and the promise as broken only by those above 400 ms"
)
TUNED = target_of(deployment_of(container_of("4")))


def seen(slow: float, surely: float, bound: SloBound | None = BETWEEN) -> LiveEvidence:
    """Return traffic of which a share took longer than 150 ms, and another surely over 400 ms."""
    over = replace(measured(100 * slow, "percent"), interval=Interval(100 * surely, 100 * slow, 1))
    return replace(live_of(slow), over_slo_percent=over, promise_bound=bound)


def verified(live: LiveEvidence, seconds: float = 20) -> Any:
    status = status_of("Verifying", rollout=rollout_of(applied_at=NOW))
    return decide(status, target=TUNED, live=live, finalizer=True, now=after(seconds))


@pytest.mark.parametrize(
    ("live", "state"),
    [
        pytest.param(seen(0.0, 0.0), "Stable", id="kept by the stricter bound"),
        pytest.param(seen(0.3, 0.0), "Verifying", id="slow between the bounds: nobody knows"),
        pytest.param(seen(0.3, 0.05), "Verifying", id="surely slow, as many as allowed"),
        pytest.param(seen(0.3, 0.055), "Verifying", id="more than allowed, but not surely so"),
        pytest.param(seen(0.3, 0.28), "RollingBack", id="broken by the laxer bound too"),
        pytest.param(seen(0.3, 0.0, EXACT), "RollingBack", id="a bound at the promise is exact"),
        pytest.param(seen(0.3, 0.0, None), "RollingBack", id="the bound is not known"),
    ],
)
def test_only_what_is_sure_is_a_verdict(live: LiveEvidence, state: str) -> None:
    assert verified(live).status.state == state


def test_without_a_verdict_in_time_the_words_name_both_bounds_and_what_would_help() -> None:
    ended = verified(seen(0.3, 0.0), seconds=100_000)
    assert conditions_of(ended.status)["Verified"] == ("Unknown", "Inconclusive")
    told = next(c.message for c in ended.status.conditions if c.type == "Verified")
    assert told.startswith(
        "BetweenBuckets: 30 % took longer than 150 ms, 0 % surely longer than 400 ms, and 5 % are "
        "allowed: give the histogram a bound at the promise: "
    )
    assert told.endswith(f"promise P95 <= 200 ms; {NOTE}")


def test_it_is_told_while_there_is_still_time_to_add_a_bound() -> None:
    found = verified(seen(0.3, 0.0))
    assert conditions_of(found.status)["Verified"] == ("Unknown", "BetweenBuckets")
    assert [event.reason for event in found.events] == ["BetweenBuckets"]


def test_a_pass_says_by_which_bound() -> None:
    told = verified(seen(0.0, 0.0)).status.rollout
    assert told is not None
    assert str(told.evidence).endswith(f"promise P95 <= 200 ms; {NOTE}")


def test_nothing_is_said_of_a_bound_at_the_promise() -> None:
    assert bound_note(seen(0.0, 0.0, EXACT), 200) == ""
    assert bound_note(seen(0.0, 0.0, None), 200) == ""


def test_a_share_that_was_not_measured_excuses_nothing() -> None:
    live = replace(seen(0.3, 0.0), over_slo_percent=NoData("TooFew", "no request"))
    assert not_surely_broken(live, judge(live.blocks, 95), 95) is None


@pytest.mark.parametrize(
    ("bound", "reason", "told"),
    [(BETWEEN, "BetweenBuckets", f"; {NOTE}"), (EXACT, "Measured", "from 2 pods")],
)
def test_the_baseline_names_the_bound_before_anything_is_tried(
    bound: SloBound, reason: str, told: str
) -> None:
    found = decide(status_of("Pending"), live=seen(0.01, 0.0, bound)).status
    condition = next(c for c in found.conditions if c.type == "MetricsAvailable")
    assert (condition.status, condition.reason) == ("True", reason)
    assert condition.message.endswith(told)
