"""Autoscalers that are somebody else's, that are two, that are blind, and none at all."""

import json
from typing import Any

import pytest

from infertune.core.release import release_of
from tests.fakes.cases import IMAGE, NAMESPACE, TUNING, autoscaler
from tests.scenario.stories import Stage

TUNED = (IMAGE, "16")
HPA = "HorizontalPodAutoscaler"


def change(stage: Stage, **parts: Any) -> None:
    """Let somebody else set parts of the autoscaler."""

    def edit(raw: dict[str, Any]) -> None:
        for name, part in parts.items():
            raw[name] = raw.get(name, {}) | part

    stage.cluster.store.edit(HPA, NAMESPACE, "server", edit)


def published(stage: Stage) -> dict[str, Any]:
    """Return the published patches by file."""
    (found,) = stage.cluster.store.all("ConfigMap")
    return {name: json.loads(text) for name, text in found["data"].items()}


def test_bounds_that_keda_owns_are_never_written_and_the_patch_is_for_its_object() -> None:
    stage = Stage(mode="Apply")
    scaled = stage.cluster.store.add(
        {
            "apiVersion": "keda.sh/v1alpha1",
            "kind": "ScaledObject",
            "metadata": {"namespace": NAMESPACE, "name": "server-load"},
        }
    )
    owner = {"kind": "ScaledObject", "name": "server-load", "controller": True}
    owner["uid"] = scaled["metadata"]["uid"]
    change(stage, metadata={"ownerReferences": [owner]})
    stage.settle()
    assert (stage.state(), stage.values(), stage.bounds()) == ("Stable", TUNED, (2, 2))
    assert stage.conditions()["Verified"] == ("True", "PromiseKept")
    assert stage.message("RecommendationReady").endswith(
        "; HorizontalPodAutoscaler 'server' belongs to ScaledObject 'server-load', which would set "
        "its bounds back: replica bounds 1-3 are recommended only, set minReplicaCount 1 and "
        "maxReplicaCount 3 there"
    )
    assert published(stage)["scaledobject-patch.json"]["spec"] == {
        "minReplicaCount": 1,
        "maxReplicaCount": 3,
    }
    assert "autoscaler-patch.json" not in published(stage)


def test_two_autoscalers_of_one_target_are_a_fault_until_one_of_them_is_gone() -> None:
    stage = Stage(mode="Apply")
    second = autoscaler()
    second["metadata"] = second["metadata"] | {"name": "second"}
    stage.cluster.store.add(second)
    for _ in range(3):
        stage.harness.step(20.0)
    assert stage.state() == "Pending"
    assert stage.conditions()["TargetAvailable"] == ("False", "AutoscalerAmbiguous")
    assert stage.message("TargetAvailable") == (
        "HorizontalPodAutoscalers 'second', 'server' scale the target at once, and Kubernetes lets "
        "none of them work: keep one"
    )
    assert stage.jobs() == []
    stage.cluster.store.delete(HPA, NAMESPACE, "second")
    stage.settle()
    assert (stage.state(), stage.values(), stage.bounds()) == ("Stable", TUNED, (1, 3))


def test_behind_a_blind_autoscaler_the_lower_bound_carries_the_peak() -> None:
    """A cap of 16 carries 30 of 60 requests/s: two replicas at all times, not one."""
    stage = Stage(mode="Apply")
    memory = {"type": "Resource", "resource": {"name": "memory"}}
    change(stage, spec={"metrics": [memory]})
    stage.settle()
    assert (stage.state(), stage.values(), stage.bounds()) == ("Stable", TUNED, (2, 3))
    assert stage.conditions()["HPAMetricBlind"] == ("True", "MemoryOnly")


def test_an_autoscaler_that_follows_the_load_may_go_down_with_it() -> None:
    stage = Stage(mode="Apply")
    stage.settle()
    assert stage.bounds() == (1, 3)
    assert stage.conditions()["HPAMetricBlind"] == ("False", "FollowsLoad")


CPU = {"type": "Resource", "resource": {"name": "cpu"}}
MEMORY = {"type": "Resource", "resource": {"name": "memory"}}


def metric(stage: Stage, status: str) -> None:
    """Let the autoscaler say since now that it can, or cannot, read its metric."""
    since = stage.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
    said = {"type": "ScalingActive", "status": status, "reason": "FailedGetResourceMetric"}
    change(stage, status={"conditions": [{**said, "message": "no", "lastTransitionTime": since}]})


def rest(stage: Stage, seconds: float) -> None:
    for _ in range(int(seconds / 10)):
        stage.harness.step(10.0)


@pytest.mark.parametrize(
    ("mode", "first", "then"), [("Apply", (2, 3), (1, 3)), ("Recommend", (2, 2), (2, 2))]
)
def test_bounds_are_decided_anew_when_the_autoscaler_sees_the_load(
    mode: str, first: tuple[int, int], then: tuple[int, int]
) -> None:
    """And again when it is blind again; nothing is measured a second time."""
    stage = Stage(mode=mode)
    change(stage, spec={"metrics": [MEMORY]})
    stage.settle()
    assert stage.bounds() == first
    trials = stage.status().trials
    for metrics, low, bounds in (([CPU], 1, then), ([MEMORY], 2, first)):
        change(stage, spec={"metrics": metrics})
        rest(stage, 120.0)
        stage.settle()
        recommended = stage.status().recommendation
        assert recommended is not None
        assert recommended.configuration.min_replicas == low
        assert (stage.state(), stage.bounds()) == ("Stable", bounds)
        assert stage.status().trials == trials
    assert stage.conditions()["HPAMetricBlind"] == ("True", "MemoryOnly")


def test_a_metric_that_fails_for_a_moment_moves_no_bounds() -> None:
    stage = Stage(mode="Apply")
    stage.settle()
    for _ in range(3):
        metric(stage, "False")
        rest(stage, 500.0)
        assert (stage.state(), stage.bounds()) == ("Stable", (1, 3))
        metric(stage, "True")
        rest(stage, 100.0)
    assert (stage.state(), stage.bounds()) == ("Stable", (1, 3))
    assert stage.conditions()["HPAMetricBlind"] == ("False", "FollowsLoad")
    metric(stage, "False")
    rest(stage, 800.0)
    stage.settle()
    assert (stage.state(), stage.bounds()) == ("Stable", (2, 3))
    assert stage.conditions()["HPAMetricBlind"] == ("True", "ScalingInactive")
    metric(stage, "True")
    rest(stage, 800.0)
    stage.settle()
    assert (stage.state(), stage.bounds()) == ("Stable", (1, 3))


def test_a_suspended_tuning_and_one_whose_fields_were_released_stay_as_they_are() -> None:
    for steer in (suspend, released):
        stage = Stage(mode="Apply")
        change(stage, spec={"metrics": [MEMORY]})
        stage.settle()
        steer(stage)
        rest(stage, 120.0)
        change(stage, spec={"metrics": [CPU]})
        rest(stage, 300.0)
        assert (stage.state(), stage.bounds()) == ("Stable", (2, 3))


def suspend(stage: Stage) -> None:
    stage.edit_spec(lambda spec: spec.update(suspend=True))


def released(stage: Stage) -> None:
    """Do what ``infertune release`` does."""
    for kind, version in (("Deployment", "apps/v1"), (HPA, "autoscaling/v2")):
        raw = stage.cluster.store.read(kind, NAMESPACE, "server")
        stage.cluster.release_fields(release_of(version, kind, raw, TUNING))


def test_without_an_autoscaler_bounds_are_recommended_and_replicas_never_touched() -> None:
    stage = Stage(mode="Apply")
    stage.cluster.store.delete(HPA, NAMESPACE, "server")
    stage.settle()
    assert (stage.state(), stage.values()) == ("Stable", TUNED)
    assert stage.target()["spec"]["replicas"] == 2
    assert stage.conditions()["HPAMetricBlind"] == ("Unknown", "NoAutoscaler")
    recommended = stage.status().recommendation
    assert recommended is not None
    assert (recommended.configuration.min_replicas, recommended.configuration.max_replicas) == (
        1,
        3,
    )
