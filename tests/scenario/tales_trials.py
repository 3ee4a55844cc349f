"""Stories of trials: what they must not share, and when they give way."""

from typing import Any

from tests.fakes.cases import NAMESPACE
from tests.scenario.book import Act, Story
from tests.scenario.stories import Stage
from tests.scenario.tales_rollout import FORWARD, happy


def with_a_shared_volume() -> Stage:
    """Return a stage whose server mounts a claim that many pods may mount."""
    stage = happy()
    metadata = {"namespace": NAMESPACE, "name": "model"}
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata}
    stage.cluster.store.add({**claim, "spec": {"accessModes": ["ReadWriteMany"]}})
    volume = {"name": "model", "persistentVolumeClaim": {"claimName": "model"}}

    def mount(raw: dict[str, Any]) -> None:
        raw["spec"]["template"]["spec"]["volumes"] = [volume]

    stage.cluster.store.edit("Deployment", NAMESPACE, "server", mount)
    return stage


def running_trial(stage: Stage) -> bool:
    """The moment at which a trial server and its load run."""
    return len(stage.jobs()) == 2


def crowd(stage: Stage) -> None:
    """Let the cluster be full just when the target grows."""
    stage.world.live_without_room = True
    stage.cluster.store.edit("Deployment", NAMESPACE, "server", _end_one_pod_by_hand)
    pods = stage.cluster.store.all("Pod", NAMESPACE)
    live = [pod for pod in pods if pod["metadata"]["labels"].get("app") == "server"]
    stage.cluster.store.delete("Pod", NAMESPACE, live[0]["metadata"]["name"])


def _end_one_pod_by_hand(raw: dict[str, Any]) -> None:
    raw["metadata"].setdefault("annotations", {})["note"] = "a pod was deleted"


def room_again(stage: Stage) -> None:
    """Let the cluster have room."""
    stage.world.live_without_room = False


def gave_way(stage: Stage) -> bool:
    """The moment at which no trial runs, since a live pod waits."""
    return stage.world.live_without_room and not stage.jobs()


TALES = (
    Story("a shared volume", with_a_shared_volume, state="Stable", end=FORWARD, annotated=True),
    Story(
        "a trial gives way to a live pod",
        happy,
        state="Stable",
        end=FORWARD,
        annotated=True,
        acts=(Act(running_trial, crowd), Act(gave_way, room_again)),
    ),
)
