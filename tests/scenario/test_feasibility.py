"""A change that cannot be rolled out is recommended, held back, and applied once it can be.

Two replicas with the default strategy; each story takes something away before the first write.
"""

from collections.abc import Callable
from typing import Any

import pytest

from tests.fakes.cases import IMAGE, NAMESPACE
from tests.scenario.stories import Stage

BEFORE, TUNED = (IMAGE, "1"), (IMAGE, "16")
Hand = Callable[[Stage], None]


def workload(**spec: Any) -> Hand:
    """Return a hand that edits the spec of the Deployment."""

    def edit(stage: Stage) -> None:
        stage.cluster.store.edit(
            "Deployment", NAMESPACE, "server", lambda raw: raw["spec"].update(spec)
        )

    return edit


def quota(used: str) -> Hand:
    """Return a hand that sets what is used of the namespace's pods (four of them are allowed)."""

    def change(stage: Stage) -> None:
        status = {"hard": {"pods": "4"}, "used": {"pods": used}}
        store = stage.cluster.store
        if store.find("ResourceQuota", NAMESPACE, "team") is None:
            spec = {"hard": {"pods": "4"}}
            metadata = {"namespace": NAMESPACE, "name": "team"}
            store.add({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": metadata})
            store.edit("ResourceQuota", NAMESPACE, "team", lambda raw: raw.update(spec=spec))
        store.edit("ResourceQuota", NAMESPACE, "team", lambda raw: raw.update(status=status))

    return change


RECREATE = {"strategy": {"type": "Recreate"}}
ROLLING = {"strategy": {"type": "RollingUpdate"}}
STORIES = [
    pytest.param(workload(**RECREATE), workload(**ROLLING), "StrategyRecreate", id="recreate"),
    pytest.param(workload(paused=True), workload(paused=False), "TargetPaused", id="paused"),
    pytest.param(quota("4"), quota("3"), "QuotaExceeded", id="quota"),
    pytest.param(
        workload(progressDeadlineSeconds=1),
        workload(progressDeadlineSeconds=600),
        "ProgressDeadlineTooShort",
        id="progress deadline",
    ),
]


@pytest.mark.parametrize(("take", "give_back", "reason"), STORIES)
def test_what_cannot_be_rolled_out_waits_and_goes_on_by_itself(
    take: Hand, give_back: Hand, reason: str
) -> None:
    stage = Stage(mode="Apply")
    take(stage)
    stage.harness.until(lambda: stage.conditions().get("Applied") == ("False", reason))
    for _ in range(5):
        stage.harness.step(60.0)
    assert (stage.state(), stage.values(), stage.bounds()) == ("Deciding", BEFORE, (2, 2))
    assert "apply_fields" not in stage.cluster.writes
    assert stage.conditions()["RecommendationReady"] == ("True", "Decided")
    assert len(stage.cluster.store.all("ConfigMap")) == 1
    assert [event.reason for _, event in stage.cluster.events].count(reason) == 1
    give_back(stage)
    stage.settle()
    assert (stage.state(), stage.values()) == ("Stable", TUNED)
    assert stage.conditions()["Applied"] == ("True", "RolledOut")
    assert stage.conditions()["Verified"] == ("True", "PromiseKept")


def test_downtime_that_the_spec_allows_is_taken() -> None:
    rules = {"warmupSeconds": 5, "applyTimeoutSeconds": 120, "allowDowntime": True}
    stage = Stage(mode="Apply", rollout=rules)
    workload(**RECREATE)(stage)
    stage.settle()
    assert (stage.state(), stage.values()) == ("Stable", TUNED)


def test_recommend_mode_is_not_bothered_with_what_it_would_never_do() -> None:
    stage = Stage(mode="Recommend")
    workload(**RECREATE)(stage)
    stage.settle()
    assert stage.state() == "Stable"
    assert stage.conditions()["Applied"] == ("False", "RecommendOnly")
    assert "list_quotas" not in stage.cluster.calls


def test_a_disruption_budget_holds_nothing_back_and_is_told_of() -> None:
    """The bounds go from 2-2 to 1-3; at one replica the budget lets no pod go."""
    stage = Stage(mode="Apply")
    stage.cluster.store.add(
        {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": {"namespace": NAMESPACE, "name": "guard"},
            "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "server"}}},
        }
    )
    stage.settle()
    assert (stage.state(), stage.bounds()) == ("Stable", (1, 3))
    (told,) = (event.message for _, event in stage.cluster.events if event.reason == "Applying")
    assert told == (
        "applying batch 16, fp32, 1-3 replicas; PodDisruptionBudget 'guard' allows no eviction "
        "at 1 replica: a node drain will wait there (it does not hold a rollout back)"
    )
