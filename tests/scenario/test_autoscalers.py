"""Autoscalers that are somebody else's, that are two, that are blind, and none at all."""

import json
from typing import Any

from tests.fakes.cases import IMAGE, NAMESPACE, autoscaler
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
