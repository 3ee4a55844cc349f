"""Stories of trials: what they must not share, and when they give way."""

from typing import Any

from infertune.api.v1alpha1 import KIND
from infertune.core.manifests.naming import ANNOTATION_LOAN
from tests.fakes.cases import NAMESPACE
from tests.scenario.book import OLD, OLD_BOUNDS, Act, Story
from tests.scenario.stories import Stage
from tests.scenario.tales_rollout import BACK, FORWARD, delete, happy


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


BORROW: dict[str, Any] = {
    "mode": "Recommend",
    "trial": {"secondsPerRate": 20, "warmupSeconds": 3, "placement": "Borrow"},
}
LENT_BOUNDS = (1, 1)
LENDING = frozenset({(OLD, OLD_BOUNDS), (OLD, LENT_BOUNDS)})


def borrowing(**spec: Any) -> Stage:
    """Return a stage without a spare device: a replica is lent to trials."""
    return happy(**{**BORROW, **spec})


def without_autoscaler() -> Stage:
    """Return the same with a target whose replicas nobody scales."""
    stage = borrowing()
    stage.cluster.store.delete("HorizontalPodAutoscaler", NAMESPACE, "server")
    return stage


def lent(stage: Stage) -> bool:
    """The moment at which a trial runs on the borrowed device."""
    return stage.bounds() == LENT_BOUNDS and bool(stage.jobs())


def lent_alone(stage: Stage) -> bool:
    """The same without an autoscaler."""
    return stage.target()["spec"]["replicas"] == 1 and bool(stage.jobs())


def values_and_replicas(stage: Stage) -> Any:
    """Return image, batch cap and replicas of a target without an autoscaler."""
    return stage.values(), stage.target()["spec"]["replicas"]


def break_spec(stage: Stage) -> None:
    """Let somebody store a spec that this operator cannot read."""
    stage.edit_spec(lambda spec: spec["slo"].update(percentile=42))


def lose_status(stage: Stage) -> None:
    """Let a backup restore the tuning without what it had recorded."""
    place = (KIND, *stage.place())
    stage.cluster.store.edit(*place, lambda raw: raw.pop("status", None), "velero")
    stage.harness.start_operator()


def notes(stage: Stage) -> list[str]:
    """Return the objects that still carry the note of a loan."""
    return [
        kind
        for kind in ("Deployment", "HorizontalPodAutoscaler")
        for raw in stage.cluster.store.all(kind)
        if ANNOTATION_LOAN in (raw["metadata"].get("annotations") or {})
    ]


def bounds_and_notes(stage: Stage) -> Any:
    """Return values and bounds, or what is wrong: a note at full bounds is only seen in passing."""
    lowered = stage.bounds() != OLD_BOUNDS
    return stage.values(), stage.bounds(), "unnoted" if lowered and not notes(stage) else ""


def delete_by_force(stage: Stage) -> None:
    """Let somebody take the finalizer off and delete the tuning under its loan."""
    place = (KIND, *stage.place())
    stage.cluster.store.edit(*place, lambda raw: raw["metadata"].update(finalizers=[]), "kubectl")
    delete(stage)


def nothing_lent(stage: Stage) -> bool:
    """Whether the tuning is gone and no object tells of a loan any more."""
    return stage.state() == "gone" and not notes(stage)


def unreadable(stage: Stage) -> bool:
    """Whether the tuning has said that its spec cannot be read, and no trial is left."""
    return stage.conditions().get("Ready") == ("False", "InvalidSpec") and not stage.jobs()


TALES = (
    Story("a replica is borrowed", borrowing, state="Stable", end=BACK, safe=LENDING),
    Story(
        "a replica is borrowed without an autoscaler",
        without_autoscaler,
        state="Stable",
        end=(OLD, 2),
        safe=frozenset({(OLD, 2), (OLD, 1)}),
        mix=values_and_replicas,
    ),
    Story(
        "deleted while a replica is borrowed",
        borrowing,
        state="gone",
        end=BACK,
        safe=LENDING,
        leaves=(),
        acts=(Act(lent, delete),),
    ),
    Story(
        "deleted by force while a replica is borrowed",
        borrowing,
        state="gone",
        end=(OLD, OLD_BOUNDS, ""),
        safe=frozenset((*mix, "") for mix in LENDING),
        leaves=(),
        acts=(Act(lent, delete_by_force),),
        mix=bounds_and_notes,
        rest=nothing_lent,
    ),
    Story(
        "the spec cannot be read while a replica is borrowed",
        borrowing,
        state="Searching",
        end=BACK,
        safe=LENDING,
        leaves=(),
        acts=(Act(lent, break_spec),),
        rest=unreadable,
    ),
    Story(
        "the status is lost while a replica is borrowed",
        borrowing,
        state="Stable",
        end=(OLD, OLD_BOUNDS, ""),
        safe=frozenset((*mix, "") for mix in LENDING),
        acts=(Act(lent, lose_status),),
        mix=bounds_and_notes,
    ),
    Story(
        "the status is lost while a replica is borrowed without an autoscaler",
        without_autoscaler,
        state="Stable",
        end=(OLD, 2),
        safe=frozenset({(OLD, 2), (OLD, 1)}),
        acts=(Act(lent_alone, lose_status),),
        mix=values_and_replicas,
    ),
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
