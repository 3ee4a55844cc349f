"""From trials to a recommendation, to a patch, to an intent, or to an honest no.

The peak is 60 requests/s with up to 6 replicas, today a cap of 1 and bounds of 2-2.
"""

from typing import Any

import pytest

from infertune.api.status import Reading, TrialRecord, TuningStatus
from infertune.core.plan import CreateObject, Plan
from tests.builders import (
    IMAGE,
    OTHER_IMAGE,
    after,
    conditions_of,
    container_of,
    decide,
    deployment_of,
    figures,
    live_of,
    spec_of,
    status_of,
    target_of,
    trial_of,
)

BASE = trial_of(1, 10.0)
BETTER = trial_of(4, 30.0)
UNCHECKED = trial_of(4, 60.0, image=OTHER_IMAGE)
CHECKED = trial_of(4, 60.0, image=OTHER_IMAGE, quality_drop_percent=0.0)


def deciding(*trials: TrialRecord, **changes: Any) -> TuningStatus:
    return status_of("Deciding", trials=trials, **changes)


def published(*trials: TrialRecord, spec: Any = None, **changes: Any) -> Plan:
    """Return the second tick, which publishes what the first one recorded."""
    first = decide(deciding(*trials, **changes), spec)
    assert first.status.recommendation is not None
    assert (first.status.state, first.effects) == ("Deciding", ())
    return decide(first.status, spec)


def test_the_cheapest_is_recorded_first_and_opened_as_a_rollout_in_the_next_tick() -> None:
    opened = published(BASE, BETTER)
    assert opened.status.state == "Applying"
    (effect,) = opened.effects
    assert isinstance(effect, CreateObject)
    assert effect.manifest["kind"] == "ConfigMap"
    rollout, found = opened.status.rollout, opened.status.recommendation
    assert rollout is not None
    assert rollout.intent is not None
    assert found is not None
    assert (rollout.intent.before.batch_value, rollout.intent.after.batch_value) == ("1", "4")
    assert (found.knee_rate, found.trial) == (30.0, "resnet-4")
    assert (found.configuration.min_replicas, found.configuration.max_replicas) == (1, 3)
    assert found.cost_per_hour_at_peak == Reading(value=2.0, unit="replica-hours")
    assert conditions_of(opened.status)["Applied"] == ("False", "Applying")


def test_a_price_makes_money_of_replicas() -> None:
    spec = spec_of(cost={"replicaHourly": "3.50", "currency": "EUR"})
    found = published(BASE, BETTER, spec=spec).status.recommendation
    assert found is not None
    assert found.cost_per_hour_at_peak == Reading(value=7.0, unit="EUR")


@pytest.mark.parametrize(
    ("trials", "spec", "reason"),
    [
        ((BASE, BETTER), {"mode": "Recommend"}, "RecommendOnly"),
        ((trial_of(1, None, (10.0, "Fail")), UNCHECKED), {}, "QualityUndeclared"),
        (
            (BASE, BETTER),
            {"rollout": {"verificationSeconds": 5}},
            "VerificationTooShort",
        ),
    ],
)
def test_what_is_only_recommended_writes_nothing(
    trials: tuple[TrialRecord, ...], spec: dict[str, Any], reason: str
) -> None:
    found = published(*trials, spec=spec_of(**spec), baseline=figures())
    assert (found.status.state, found.status.rollout) == ("Stable", None)
    assert conditions_of(found.status)["Applied"] == ("False", reason)
    assert [type(effect) for effect in found.effects] == [CreateObject]
    assert found.requeue_seconds == 0.0


@pytest.mark.parametrize(
    ("seconds", "baseline"), [(900, figures()), (5, None), (5, figures(rate=0.0))]
)
def test_a_declared_verification_is_refused_only_when_the_figure_is_known(
    seconds: int, baseline: Any
) -> None:
    spec = spec_of(rollout={"verificationSeconds": seconds})
    assert published(BASE, BETTER, spec=spec, baseline=baseline).status.state == "Applying"


def test_an_unchecked_image_is_named_while_the_best_that_may_be_applied_is() -> None:
    found = published(BASE, BETTER, UNCHECKED).status
    assert found.recommendation is not None
    assert found.recommendation.image_only_recommended == OTHER_IMAGE
    assert found.recommendation.configuration.image == IMAGE
    assert found.state == "Applying"


def test_a_checked_image_is_applied() -> None:
    found = published(BASE, BETTER, CHECKED).status
    assert found.rollout is not None
    assert found.rollout.intent is not None
    assert found.rollout.intent.after.image == OTHER_IMAGE


def test_what_stands_already_needs_no_rollout() -> None:
    target = target_of(deployment_of(container_of("4")))
    world = {"target": target, "autoscaler": None}
    first = decide(deciding(BETTER), **world)
    found = decide(first.status, **world)
    assert found.status.state == "Stable"
    assert conditions_of(found.status)["Applied"] == ("True", "NothingToChange")


def test_a_target_that_changed_since_is_decided_anew() -> None:
    first = decide(deciding(BASE, BETTER))
    found = decide(first.status, autoscaler=None)
    assert (found.status.recommendation, found.effects) == (None, ())
    assert found.status.state == "Deciding"


def test_a_rate_that_failed_in_another_trial_is_not_carried() -> None:
    """30/s passed once and 25/s failed later: what is left is 10/s, six replicas."""
    finer = trial_of(4, 10.0, (10.0, "Pass"), (25.0, "Fail"))
    found = published(BASE, BETTER, finer).status.recommendation
    assert found is not None
    assert found.knee_rate == 10.0


@pytest.mark.parametrize(
    ("trials", "status", "reason", "words"),
    [
        ((), "Unknown", "NothingMeasured", "none was run"),
        (
            (trial_of(1, None, phase="Failed", reason="NoCapacity", message="no room"),),
            "Unknown",
            "NothingMeasured",
            "NoCapacity: no room",
        ),
        ((trial_of(1, 5.0),), "False", "ReplicaLimit", "60/s would need 12.0 replicas"),
        (
            (trial_of(1, None, (10.0, "Fail")),),
            "False",
            "Unreachable",
            "best is 50 ms at 10/s per replica with batch 1, fp32",
        ),
        ((trial_of(1, None, (10.0, "Inconclusive")),), "Unknown", "Inconclusive", "no rate was"),
        (
            (trial_of(1, None, (10.0, "Fail")), trial_of(4, None, (20.0, "Inconclusive"))),
            "Unknown",
            "Inconclusive",
            "closest is 100 ms at 20/s per replica with batch 4, fp32, from 500 requests",
        ),
    ],
)
def test_an_honest_no_says_the_best_and_the_limit(
    trials: tuple[TrialRecord, ...], status: str, reason: str, words: str
) -> None:
    found = decide(deciding(*trials))
    assert (found.status.state, found.effects) == ("Stable", ())
    assert conditions_of(found.status)["SLOAchievable"] == (status, reason)
    assert words in found.decision


def test_a_no_without_a_single_good_answer_says_so() -> None:
    silent = trial_of(1, None, (10.0, "Fail"))
    level = silent.levels[0].model_copy(update={"p95": Reading(reason="all failed")})
    found = decide(deciding(silent.model_copy(update={"levels": (level,)})))
    assert "no rate of any trial was answered without failures" in found.decision


def test_a_search_that_its_budget_ended_has_proven_nothing() -> None:
    spec = spec_of(budget={"maxTrials": 1})
    found = decide(deciding(trial_of(1, None, (10.0, "Fail"))), spec, live=live_of(), now=after(1))
    assert conditions_of(found.status)["SLOAchievable"] == ("Unknown", "BudgetSpent")
    assert "1 of 1 trials" in found.decision


def test_a_recommended_image_on_a_devel_base_is_named() -> None:
    found = published(trial_of(4, 60.0, image="r/server:2-devel", quality_drop_percent=0.0))
    ready = next(c for c in found.status.conditions if c.type == "RecommendationReady")
    assert "r/server:2-devel is on a -devel base" in ready.message
    assert "`FROM r/server:2-runtime`" in ready.message
