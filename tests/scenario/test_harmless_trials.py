"""Trials harm nobody: stories over the whole runtime."""

from typing import Any

import pytest

from infertune.api.v1alpha1 import KIND
from infertune.core.plan import DeleteObject
from infertune.core.snapshot import Key, RawObject
from infertune.ports import Refused
from infertune.runtime.slots import Limits
from tests.fakes.cases import NAMESPACE, TUNING, deployment, tuning
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


def many(count: int, limits: Limits) -> tuple[Stage, list[Key]]:
    """Return a stage with more tunings than may run trials at once, each of its own server."""
    stage = Stage(mode="Recommend", **QUICK)
    stage.harness.trial_limits = limits
    stage.harness.start_operator()
    keys = [TUNING]
    for number in range(1, count):
        names = {"name": f"server-{number}", "namespace": NAMESPACE}
        labels = {"app": f"server-{number}"}
        server = deployment()
        server["metadata"] |= names
        server["spec"]["selector"] = {"matchLabels": labels}
        server["spec"]["template"]["metadata"] = {"labels": labels}
        stage.cluster.store.add(server)
        wish = tuning(mode="Recommend", targetRef={"name": names["name"]}, **QUICK)
        wish["metadata"] |= {"name": f"demo-{number}"}
        stage.cluster.store.add(wish)
        keys.append(Key(NAMESPACE, f"demo-{number}"))
    return stage, keys


def servers(stage: Stage) -> int:
    return sum(1 for name in stage.jobs() if name.endswith("-server"))


def test_no_more_trials_run_at_once_than_may_and_all_get_their_turn() -> None:
    stage, keys = many(5, Limits(cluster=2, namespace=2))
    most, told = 0, set()
    for _ in range(3000):
        stage.harness.step(1.0)
        most = max(most, servers(stage))
        found = [c for k in keys for c in stage.harness.status(k).conditions]
        told |= {c.message for c in found if c.reason == "WaitingForSlot"}
        if all(stage.harness.status(key).state == "Stable" for key in keys):
            break
    assert {stage.harness.status(key).state for key in keys} == {"Stable"}
    assert most == 2
    assert any(words.startswith("place 1 of ") for words in told)
    assert any("2 of 2 trials run in this cluster" in words for words in told) or any(
        "2 of 2 trials run in this namespace" in words for words in told
    )


def test_who_only_waits_in_the_line_asks_nothing_of_the_cluster() -> None:
    stage, keys = many(5, Limits(cluster=1, namespace=1))
    stage.harness.sweeper.sweep()
    waiting = "WaitingForSlot"

    def in_line() -> int:
        found = [c for k in keys for c in stage.harness.status(k).conditions]
        return sum(1 for c in found if c.reason == waiting)

    stage.harness.until(lambda: in_line() == 4, seconds=300)
    last = next(
        k for k in keys if any(c.reason == waiting for c in stage.harness.status(k).conditions)
    )
    stage.harness.reconciler.run(last)
    stage.cluster.calls.clear()
    stage.harness.reconciler.run(last)
    assert stage.cluster.calls == []


def test_a_new_operator_counts_the_trials_that_run_before_it_starts_another() -> None:
    stage, _ = many(3, Limits(cluster=1, namespace=1))
    stage.harness.sweeper.sweep()
    stage.harness.until(lambda: servers(stage) == 1, seconds=300)
    stage.harness.start_operator()
    for _ in range(10):
        stage.harness.step(1.0)
        assert servers(stage) == 1
    stage.harness.sweeper.sweep()
    for _ in range(40):
        stage.harness.step(1.0)
        assert servers(stage) <= 1


def test_garbage_without_an_owner_is_swept_and_what_lives_stays() -> None:
    stage = Stage(mode="Recommend", **QUICK)
    stage.settle()
    before = {raw["metadata"]["name"] for raw in stage.cluster.store.all("ConfigMap")}
    uid = stage.cluster.store.read(KIND, *stage.place())["metadata"]["uid"]
    for name, owner, tuning_name in (
        ("orphan", "uid-of-nobody", "nobody"),
        ("demo-recommendation-yesterday", uid, "demo"),
        ("nameless", "uid-of-another", ""),
    ):
        metadata = {
            "namespace": NAMESPACE,
            "name": name,
            "labels": {"infertune.io/tuning-uid": owner},
            "annotations": {"infertune.io/tuning": tuning_name},
        }
        stage.cluster.store.add({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})
    stage.harness.sweeper.sweep()
    assert stage.cluster.store.find("ConfigMap", NAMESPACE, "orphan") is not None
    stage.clock.advance(3600)
    stage.harness.sweeper.sweep()
    left = {raw["metadata"]["name"] for raw in stage.cluster.store.all("ConfigMap")}
    assert left == before | {"nameless"}


def test_garbage_that_may_not_be_deleted_keeps_no_other_garbage() -> None:
    stage = Stage(mode="Recommend", **QUICK)
    for name in ("a-kept-by-policy", "b-free"):
        metadata = {
            "namespace": NAMESPACE,
            "name": name,
            "labels": {"infertune.io/tuning-uid": "uid-of-nobody"},
            "annotations": {"infertune.io/tuning": "nobody"},
        }
        stage.cluster.store.add({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})
    stage.clock.advance(3600)
    delete = stage.cluster.delete_object

    def refusing(effect: DeleteObject) -> None:
        if effect.name == "a-kept-by-policy":
            message = "a policy keeps it"
            raise Refused(message)
        delete(effect)

    stage.cluster.delete_object = refusing  # type: ignore[method-assign]
    with pytest.raises(Refused, match="a policy keeps it"):
        stage.harness.sweeper.sweep()
    assert stage.cluster.store.find("ConfigMap", NAMESPACE, "a-kept-by-policy") is not None
    assert stage.cluster.store.find("ConfigMap", NAMESPACE, "b-free") is None
