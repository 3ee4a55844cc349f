"""Whose an autoscaler is, and whether it sees the load: every answer word for word."""

from typing import Any

import pytest

from infertune.api.conditions import Observation
from infertune.api.status import Bounds
from infertune.core.autoscaling import (
    Owner,
    metric_observation,
    not_ours,
    ours_first,
    owner_of,
    scaled_object_patch,
)

LOW_3 = Bounds(min_replicas=3, max_replicas=6)


def scaler(
    *metrics: dict[str, Any], active: tuple[str, str, str] | None = None, **metadata: Any
) -> dict[str, Any]:
    conditions = []
    if active is not None:
        status, reason, message = active
        conditions.append(
            {"type": "ScalingActive", "status": status, "reason": reason, "message": message}
        )
    return {
        "metadata": {"name": "server", **metadata},
        "spec": {"maxReplicas": 6, "metrics": list(metrics)},
        "status": {"conditions": conditions},
    }


def resource(name: str, kind: str = "Resource") -> dict[str, Any]:
    source = kind[0].lower() + kind[1:]
    return {"type": kind, source: {"name": name}}


PODS = {"type": "Pods", "pods": {"metric": {"name": "queue"}}}
FOLLOWS = Observation(
    "HPAMetricBlind",
    "False",
    "FollowsLoad",
    "HorizontalPodAutoscaler 'server' is taken to follow the load",
)
MEMORY = Observation(
    "HPAMetricBlind",
    "True",
    "MemoryOnly",
    "HorizontalPodAutoscaler 'server': spec.metrics holds memory only, and a model server's memory "
    "does not follow its load: scale on CPU, a queue or the request rate; the recommended lower "
    "bound carries the peak instead",
)


@pytest.mark.parametrize(
    ("found", "seen"),
    [
        pytest.param(
            None,
            Observation(
                "HPAMetricBlind",
                "Unknown",
                "NoAutoscaler",
                "no HorizontalPodAutoscaler scales the target: replica bounds are recommended only",
            ),
            id="there is none",
        ),
        pytest.param(scaler(), FOLLOWS, id="the default metric is CPU"),
        pytest.param(scaler(resource("cpu")), FOLLOWS, id="CPU"),
        pytest.param(scaler(resource("memory")), MEMORY, id="memory"),
        pytest.param(
            scaler(resource("memory", "ContainerResource"), resource("memory")),
            MEMORY,
            id="memory of a container and of the pod",
        ),
        pytest.param(scaler(resource("memory"), PODS), FOLLOWS, id="memory and a queue"),
        pytest.param(
            scaler(resource("cpu"), active=("True", "ValidMetricFound", "ok")),
            FOLLOWS,
            id="it says that it works",
        ),
        pytest.param(
            scaler(active=("False", "ScalingDisabled", "scaling is disabled: zero replicas")),
            FOLLOWS,
            id="it rests on purpose",
        ),
        pytest.param(
            scaler(
                resource("cpu"),
                active=("False", "FailedGetResourceMetric", "missing request for cpu"),
            ),
            Observation(
                "HPAMetricBlind",
                "True",
                "ScalingInactive",
                "HorizontalPodAutoscaler 'server' does not scale (FailedGetResourceMetric: missing "
                "request for cpu): mend its metric; the recommended lower bound carries the peak "
                "instead",
            ),
            id="CPU without requests",
        ),
    ],
)
def test_an_autoscaler_that_does_not_see_the_load_is_told_of(
    found: dict[str, Any] | None, seen: Observation
) -> None:
    assert metric_observation(found) == seen


def test_the_controller_that_owns_an_autoscaler_is_named_with_what_to_set_there() -> None:
    owners = [
        {"kind": "Deployment", "name": "server", "controller": False},
        {"kind": "ScaledObject", "name": "server-load", "controller": True},
    ]
    owner = owner_of(scaler(ownerReferences=owners))
    assert owner == Owner("ScaledObject", "server-load")
    assert not_ours("keda-hpa", owner, LOW_3) == (
        "HorizontalPodAutoscaler 'keda-hpa' belongs to ScaledObject 'server-load', which would set "
        "its bounds back: replica bounds 3-6 are recommended only, set minReplicaCount 3 and "
        "maxReplicaCount 6 there"
    )
    assert scaled_object_patch(owner, LOW_3) == {
        "scaledobject-patch.json": '{"apiVersion":"keda.sh/v1alpha1","kind":"ScaledObject",'
        '"metadata":{"name":"server-load"},"spec":{"maxReplicaCount":6,"minReplicaCount":3}}'
    }


def test_another_owner_is_named_and_gets_no_patch_that_we_could_only_guess() -> None:
    owner = Owner("PodAutoscaler", "revision-1")
    assert not_ours("hpa", owner, LOW_3).endswith("have minReplicas 3 and maxReplicas 6 set there")
    assert scaled_object_patch(owner, LOW_3) == {}
    assert scaled_object_patch(None, LOW_3) == {}
    assert owner_of(scaler()) is None
    assert owner_of(None) is None


def test_the_autoscaler_of_an_open_rollout_stays_the_one_that_is_looked_at() -> None:
    two = (scaler(), {**scaler(), "metadata": {"name": "zweiter"}})
    assert [raw["metadata"]["name"] for raw in ours_first(two, "zweiter")] == ["zweiter", "server"]
    assert ours_first(two, None) == two
