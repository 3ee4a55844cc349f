"""Targets that are not there, go, come back as another, or hide their container: told and mended.

Each story compares the whole message where the user looks, and ends when the input is mended.
"""

from collections.abc import Callable
from typing import Any

import pytest

from infertune.core.evidence import NoData
from tests.fakes.cases import IMAGE, NAMESPACE, deployment
from tests.fakes.controllers import World
from tests.fakes.metrics import steady
from tests.scenario.stories import Stage

BEFORE, TUNED = (IMAGE, "1"), (IMAGE, "16")
Hand = Callable[[Stage], None]


def edit(change: Callable[[dict[str, Any]], None]) -> Hand:
    """Return a hand that changes the Deployment."""
    return lambda stage: stage.cluster.store.edit("Deployment", NAMESPACE, "server", change)


def scale(replicas: int) -> Hand:
    """Return a hand that scales the Deployment, and its autoscaler's bounds do not mind."""
    return edit(lambda raw: raw["spec"].update(replicas=replicas))


def containers(raw: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the containers of the Deployment."""
    found: list[dict[str, Any]] = raw["spec"]["template"]["spec"]["containers"]
    return found


def remove(stage: Stage) -> None:
    """Delete the Deployment; its pods go with it."""
    stage.cluster.store.delete("Deployment", NAMESPACE, "server")
    stage.cluster.store.collect_garbage()


def put_back(stage: Stage) -> None:
    """Create the Deployment anew, under another UID."""
    stage.cluster.store.add(deployment())


def no_autoscaler(stage: Stage) -> None:
    stage.cluster.store.delete("HorizontalPodAutoscaler", NAMESPACE, "server")


def add_sidecar(raw: dict[str, Any]) -> None:
    containers(raw).append({"name": "proxy", "image": "proxy:1"})


STORIES = [
    pytest.param(
        remove,
        put_back,
        ("TargetNotFound", "spec.targetRef: no Deployment 'server' in this namespace"),
        id="missing",
    ),
    pytest.param(
        lambda stage: (no_autoscaler(stage), scale(0)(stage)),
        scale(2),
        (
            "TargetScaledToZero",
            "Deployment 'server': spec.replicas is 0: scale it up",
        ),
        id="scaled to zero",
    ),
    pytest.param(
        edit(add_sidecar),
        edit(lambda raw: containers(raw).pop()),
        (
            "ContainerAmbiguous",
            "the pod has the containers server, proxy: name one in spec.targetRef.container",
        ),
        id="two containers",
    ),
]


@pytest.mark.parametrize(("take", "mend", "told"), STORIES)
def test_what_is_wrong_at_the_start_is_told_and_waited_for(
    take: Hand, mend: Hand, told: tuple[str, str]
) -> None:
    stage = Stage(mode="Apply")
    take(stage)
    for _ in range(4):
        stage.harness.step(20.0)
    assert (stage.state(), stage.jobs()) == ("Pending", [])
    assert stage.conditions()["TargetAvailable"] == ("False", told[0])
    assert stage.message("TargetAvailable") == told[1]
    assert stage.cluster.writes == ["record_status"] * len(stage.cluster.writes)
    mend(stage)
    stage.settle()
    assert (stage.state(), stage.values()) == ("Stable", TUNED)


def mid_trial(**spec: Any) -> Stage:
    """Return a stage on which one trial is done and the second one runs."""
    stage = Stage(mode="Apply", **spec)
    stage.harness.until(lambda: len(stage.status().trials) == 2 and len(stage.jobs()) == 2)
    return stage


def test_deleted_and_put_back_mid_trial_the_same_server_keeps_its_trials() -> None:
    stage = mid_trial()
    first = stage.status().trials[0]
    remove(stage)
    for _ in range(3):
        stage.harness.step(20.0)
    assert (stage.state(), stage.jobs()) == ("Pending", [])
    assert stage.conditions()["TargetAvailable"] == ("False", "TargetNotFound")
    put_back(stage)
    stage.settle()
    assert (stage.state(), stage.values()) == ("Stable", TUNED)
    assert first in stage.status().trials


def test_replaced_mid_trial_by_another_server_no_trial_holds() -> None:
    stage = mid_trial()
    first = stage.status().trials[0]
    remove(stage)
    another = deployment()
    containers(another)[0]["resources"] = {"limits": {"cpu": "2"}}
    stage.cluster.store.add(another)
    stage.settle()
    assert (stage.state(), stage.values()) == ("Stable", TUNED)
    assert first.started_at not in {trial.started_at for trial in stage.status().trials}


def test_renamed_container_mid_trial_is_found_when_it_is_the_only_one() -> None:
    stage = mid_trial(
        targetRef={"kind": "Deployment", "name": "server", "container": "server"},
    )
    edit(lambda raw: containers(raw)[0].update(name="model"))(stage)
    for _ in range(3):
        stage.harness.step(20.0)
    assert (stage.state(), stage.jobs()) == ("Pending", [])
    assert stage.conditions()["TargetAvailable"] == ("False", "ContainerMissing")
    assert stage.message("TargetAvailable") == (
        "spec.targetRef.container: no container 'server' among model"
    )
    edit(lambda raw: containers(raw)[0].update(name="server"))(stage)
    stage.settle()
    assert (stage.state(), stage.values()) == ("Stable", TUNED)


def test_scaled_to_zero_mid_trial_the_copy_is_measured_and_nothing_is_written() -> None:
    stage = Stage(mode="Apply")
    no_autoscaler(stage)
    stage.harness.until(lambda: len(stage.status().trials) == 2 and len(stage.jobs()) == 2)
    scale(0)(stage)
    stage.harness.until(
        lambda: stage.conditions().get("Applied") == ("False", "TargetScaledToZero")
    )
    assert (stage.state(), stage.values()) == ("Deciding", BEFORE)
    assert stage.message("Applied") == (
        "Deployment 'server': spec.replicas is 0, so no live traffic could verify a change: "
        "scale it up"
    )
    scale(2)(stage)
    stage.settle()
    assert (stage.state(), stage.values()) == ("Stable", TUNED)


def test_scaled_to_zero_while_it_is_verified_is_inconclusive_and_never_a_pass() -> None:
    stage = Stage(mode="Apply")
    no_autoscaler(stage)
    stage.live = lambda query: (
        steady(query, 100.0, 30.0)
        if query.pods
        else NoData("Missing", "no pod of the current revision to look at")
    )
    stage.until("Verifying")
    scale(0)(stage)
    stage.settle()
    rollout = stage.status().rollout
    assert rollout is not None
    assert (stage.state(), stage.values(), rollout.verdict) == ("Halted", BEFORE, "Inconclusive")
    assert stage.conditions()["Verified"] == ("Unknown", "Inconclusive")


def test_gone_at_rest_it_is_told_once_and_the_tuning_starts_anew_when_it_is_back() -> None:
    stage = Stage(mode="Apply")
    stage.settle()
    remove(stage)
    for _ in range(5):
        stage.harness.step(60.0)
    assert stage.conditions()["TargetAvailable"] == ("False", "TargetGone")
    assert stage.message("TargetAvailable") == (
        "spec.targetRef: Deployment 'server' does not exist any more; when it is back the tuning "
        "starts anew, with the trials that still hold"
    )
    assert [event.reason for _, event in stage.cluster.events].count("TargetGone") == 1
    trials = {trial.name for trial in stage.status().trials}
    put_back(stage)
    stage.harness.until(lambda: stage.state() == "Stable" and stage.values() == TUNED)
    assert stage.conditions()["TargetAvailable"] == ("True", "Found")
    assert {trial.name for trial in stage.status().trials} == trials


def test_an_image_for_another_processor_ends_its_trial_at_once_and_the_search_goes_on() -> None:
    """The other image never starts; the one that runs is tuned all the same."""
    other = "demo-server:arm64"
    world = World(
        serve=Stage().world.serve,
        server_fails=lambda found: "StartError" if found["image"] == other else None,
    )
    knobs = {
        "batchSize": {"env": "MAX_BATCH_SIZE", "values": [1, 4, 16]},
        "replicas": {"min": 1, "max": 6},
        "images": [other],
    }
    stage = Stage(mode="Apply", world=world, knobs=knobs)
    stage.settle()
    assert (stage.state(), stage.values()) == ("Stable", TUNED)
    assert all(t.levels == () for t in stage.status().trials if t.candidate.image == other)
