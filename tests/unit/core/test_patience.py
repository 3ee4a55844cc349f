"""How long an unclear verification is waited for, and how busy the new pods are taken to be."""

from datetime import timedelta
from typing import Any

import pytest

from infertune.api.conditions import Observation
from infertune.api.status import Configuration, LiveFigures, Reading, Recommendation, TuningStatus
from infertune.core.evidence import NoData
from infertune.core.expected_load import expected_load
from infertune.core.needs import needs
from infertune.core.plan import Event, Plan
from tests.builders import (
    NOW,
    after,
    conditions_of,
    container_of,
    decide,
    deployment_of,
    figures,
    live_of,
    rollout_of,
    spec_of,
    status_of,
    target_of,
    tuning_of,
    with_condition,
)

TUNED = target_of(deployment_of(container_of("4")))
# Applied long ago; it has settled after 5 s of warm-up and two scrapes of 2 s.
SETTLED = 9.0
UNCLEAR = live_of(0.045)


def verifying(**changes: Any) -> TuningStatus:
    rollout = rollout_of(applied_at=NOW, started_at=NOW - timedelta(seconds=9))
    return status_of("Verifying", rollout=rollout, **changes)


def seen(seconds: float, status: TuningStatus, live: Any = UNCLEAR, **rules: Any) -> Plan:
    """Return the plan so many seconds after traffic has settled; the deadline is at 100 s."""
    spec = spec_of(rollout={"warmupSeconds": 5, "verificationSeconds": 100, **rules})
    world = {"target": TUNED, "live": live, "now": after(SETTLED + seconds)}
    return decide(status, spec, finalizer=True, **world)


def verified(plan: Plan) -> tuple[str, str, str]:
    found = next(c for c in plan.status.conditions if c.type == "Verified")
    return found.status, found.reason, found.message


def test_an_unclear_verification_is_extended_told_once_and_ends_hard() -> None:
    extend = {"onInconclusive": "Extend", "extendSeconds": 60}
    assert seen(100, verifying(), **extend).events == ()
    begun = seen(101, verifying(), **extend)
    state, reason, words = verified(begun)
    assert (begun.status.state, state, reason) == ("Verifying", "Unknown", "Extended")
    assert words.startswith("no verdict after 101 s, judged for up to 60 s more: Between: 4.50%")
    assert begun.events == (Event("Warning", "Extended", words),)
    known = with_condition(verifying(), Observation("Verified", "Unknown", "Extended", words))
    later = seen(150, known, **extend)
    assert (later.status.state, later.events) == ("Verifying", ())
    assert verified(later)[2] == words
    ended = seen(161, known, **extend)
    assert (ended.status.state, verified(ended)[:2]) == (
        "RollingBack",
        ("Unknown", "Inconclusive"),
    )


def test_a_verdict_in_the_extension_counts() -> None:
    extend = {"onInconclusive": "Extend", "extendSeconds": 60}
    assert seen(150, verifying(), live_of(0.001), **extend).status.state == "Stable"
    assert seen(150, verifying(), live_of(0.2), **extend).status.state == "RollingBack"


@pytest.mark.parametrize(("rule", "state"), [("Rollback", "RollingBack"), ("Keep", "Stable")])
def test_the_other_rules_end_at_the_deadline(rule: str, state: str) -> None:
    assert seen(101, verifying(), onInconclusive=rule).status.state == state


def test_a_breach_above_the_declared_demand_is_an_alert_and_no_verdict() -> None:
    """The peak is 60 requests/s; 90 of which a fifth are late say nothing of the change."""
    found = seen(50, verifying(), live_of(0.2, rate=90.0))
    state, reason, words = verified(found)
    assert (found.status.state, state, reason) == ("Verifying", "Unknown", "AboveDemand")
    assert words.startswith(
        "AboveDemand: 90 requests per second are above spec.demand.peakRequestsPerSecond 60, so a "
        "broken promise says nothing of the change; raise the peak if this load is here to stay: "
        "Exceeded: 20.00%"
    )
    assert found.events == (Event("Warning", "AboveDemand", words),)
    assert seen(50, verifying(), live_of(0.2, rate=60.0)).status.state == "RollingBack"


def test_a_target_scaled_to_zero_while_it_is_verified_proves_nothing() -> None:
    nothing = NoData("Missing", "no pod of the current revision to look at")
    waits = seen(50, verifying(), nothing)
    assert (waits.status.state, conditions_of(waits.status)["MetricsAvailable"]) == (
        "Verifying",
        ("False", "Missing"),
    )
    ended = seen(101, verifying(), nothing)
    assert verified(ended)[:2] == ("Unknown", "Inconclusive")
    assert ended.status.rollout is not None
    assert ended.status.rollout.verdict != "Pass"


def chosen(knee: float | None = 34.0, bounds: tuple[int, int] = (1, 3)) -> Recommendation:
    low, high = bounds
    configuration = Configuration(batch_size=4, min_replicas=low, max_replicas=high)
    return Recommendation(configuration=configuration, knee_rate=knee)


def at(rate: float, pods: int, seconds: float = -60.0) -> LiveFigures:
    reading = Reading(value=rate, unit="requests/s")
    observed = NOW + timedelta(seconds=seconds)
    return figures(rate).model_copy(
        update={"request_rate": reading, "pods": pods, "observed_at": observed}
    )


@pytest.mark.parametrize(
    ("status", "load"),
    [
        # A knee of 34/s is 85 % of 40/s.
        pytest.param(verifying(recommendation=chosen(), baseline=at(60, 2)), 0.75, id="two pods"),
        pytest.param(
            verifying(recommendation=chosen(bounds=(1, 1)), baseline=at(60, 2)),
            1.5,
            id="bounds that leave one of them",
        ),
        pytest.param(
            verifying(recommendation=chosen(bounds=(3, 4)), baseline=at(60, 2)),
            0.5,
            id="bounds that add one",
        ),
        pytest.param(
            verifying(recommendation=chosen(), baseline=at(60, 2), live=at(20, 1, 30)),
            0.5,
            id="traffic seen after the rollout",
        ),
        pytest.param(
            verifying(recommendation=chosen(), baseline=at(60, 2), live=at(20, 1, -30)),
            0.75,
            id="traffic seen before it says nothing of the new pods",
        ),
        pytest.param(
            verifying(recommendation=chosen(None), baseline=at(60, 2)), None, id="no knee"
        ),
        pytest.param(verifying(recommendation=chosen()), None, id="no traffic known"),
        pytest.param(verifying(baseline=at(60, 2)), None, id="no recommendation"),
    ],
)
def test_how_busy_the_new_pods_will_be(status: TuningStatus, load: float | None) -> None:
    found = expected_load(status)
    assert found == (None if load is None else pytest.approx(load))


@pytest.mark.parametrize(("rate", "requests"), [(50.0, 200), (60.0, 1000)])
def test_busy_pods_are_judged_in_longer_blocks(rate: float, requests: int) -> None:
    """50/s on two pods is a load of 0.625; 60/s is 0.75, where 200 requests remember each other."""
    status = verifying(recommendation=chosen(), baseline=at(rate, 2))
    wanted = needs(tuning_of(status), after(60)).live
    assert wanted is not None
    assert wanted.block_requests == requests
