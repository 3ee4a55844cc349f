"""Trials harm nobody: stories over the whole runtime."""

from typing import Any

from infertune.core.snapshot import RawObject
from tests.fakes.cases import NAMESPACE
from tests.scenario.stories import Stage

QUICK: dict[str, Any] = {"probes": {"gpuCheck": "Disabled", "benchmark": "Disabled"}}
CLAIM = {"name": "cache", "persistentVolumeClaim": {"claimName": "cache"}}


def scaled_to(stage: Stage, replicas: int) -> None:
    def change(raw: dict[str, Any]) -> None:
        raw["spec"].update(minReplicas=replicas, maxReplicas=replicas)

    stage.cluster.store.edit("HorizontalPodAutoscaler", NAMESPACE, "server", change)


def trial_pods(stage: Stage) -> list[RawObject]:
    pods = stage.cluster.store.all("Pod", NAMESPACE)
    return [pod for pod in pods if "infertune.io/role" in pod["metadata"]["labels"]]


def test_a_live_pod_without_room_ends_the_trial_and_the_trial_comes_again() -> None:
    stage = Stage(mode="Recommend", **QUICK)
    stage.harness.until(lambda: len(stage.jobs()) == 2)
    stage.world.live_without_room = True
    scaled_to(stage, 3)
    stage.harness.until(lambda: not trial_pods(stage), seconds=20)
    stage.harness.until(lambda: stage.conditions()["TrialsAllowed"][0] == "False", seconds=20)
    assert stage.status().trials[0].reason == "YieldedToLive"
    assert stage.conditions()["TrialsAllowed"] == ("False", "LivePodsPending")
    for _ in range(60):
        stage.harness.step(1.0)
        assert not trial_pods(stage)
    stage.world.live_without_room = False
    stage.settle()
    trials = stage.status().trials
    assert trials[1].candidate == trials[0].candidate
    assert (stage.state(), trials[1].phase) == ("Stable", "Completed")
    assert stage.conditions()["TrialsAllowed"] == ("True", "Clear")


def test_a_volume_of_one_pod_is_refused_before_any_pod_and_empty_will_do() -> None:
    stage = Stage(mode="Recommend", **QUICK)
    stage.cluster.store.add(
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"namespace": NAMESPACE, "name": "cache"},
            "spec": {"accessModes": ["ReadWriteOnce"]},
        }
    )

    def mount(raw: dict[str, Any]) -> None:
        raw["spec"]["template"]["spec"]["volumes"] = [CLAIM]

    stage.cluster.store.edit("Deployment", NAMESPACE, "server", mount)
    refused = ("False", "ReadWriteOnceVolume")
    stage.harness.until(lambda: stage.conditions().get("TrialsAllowed") == refused)
    for _ in range(60):
        stage.harness.step(1.0)
        assert not stage.jobs()
    stage.edit_spec(
        lambda spec: spec["trial"].update(podTemplateOverride={"emptyVolumes": ["cache"]})
    )
    stage.harness.until(lambda: len(trial_pods(stage)) == 1, seconds=200)
    (pod,) = trial_pods(stage)
    assert pod["spec"]["volumes"] == [{"name": "cache", "emptyDir": {}}]
    stage.settle()
    assert stage.state() == "Stable"


def test_trials_go_to_nodes_like_those_of_live_pods_and_say_where_they_ran() -> None:
    stage = Stage(mode="Recommend", **QUICK)
    key = "node.kubernetes.io/instance-type"
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"namespace": "", "name": "node-1"}}
    node["metadata"]["labels"] = {key: "p4d"}  # type: ignore[index]
    stage.cluster.store.add(node)
    stage.harness.until(lambda: len(trial_pods(stage)) == 2)
    server = next(p for p in trial_pods(stage) if p["metadata"]["name"].count("server"))
    terms = server["spec"]["affinity"]["nodeAffinity"][
        "requiredDuringSchedulingIgnoredDuringExecution"
    ]["nodeSelectorTerms"]
    assert terms == [{"matchExpressions": [{"key": key, "operator": "In", "values": ["p4d"]}]}]
    stage.settle()
    first = stage.status().trials[0]
    assert (first.node, first.node_kind) == ("node-1", f"{key}=p4d")
    assert first.image_id == "sha256:fake"
