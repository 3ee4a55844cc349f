"""Somebody changes the target while it is measured: no trial of the old server decides anything."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tests.fakes.cases import IMAGE, NAMESPACE, TUNING
from tests.scenario.stories import Stage
from tests.scenario.test_steering import BEFORE, TUNED, at

Change = Callable[[dict[str, Any]], None]
MEASURED = ["Probing", "Searching", "Deciding"]
OTHER = "registry.example.com/resnet:by-hand"


def more_cores(raw: dict[str, Any]) -> None:
    container = raw["spec"]["template"]["spec"]["containers"][0]
    container["resources"] = {"limits": {"cpu": "4", "memory": "1Gi"}}


def side_car(raw: dict[str, Any]) -> None:
    raw["spec"]["template"]["spec"]["nodeSelector"] = {"pool": "fast"}


def other_image(raw: dict[str, Any]) -> None:
    raw["spec"]["template"]["spec"]["containers"][0]["image"] = OTHER


CHANGES: dict[str, tuple[Change, str]] = {
    "cores": (more_cores, "the serving container of the pod template"),
    "nodes": (side_car, "the rest of the pod template"),
    "image": (other_image, f"the image (now {OTHER})"),
}


def by_hand(stage: Stage, change: Change) -> None:
    stage.cluster.store.edit("Deployment", NAMESPACE, "server", change, "kubectl-edit")


def tick(stage: Stage) -> None:
    """Let the operator look once."""
    stage.harness.engine.tick(TUNING)


def without_cap(stage: Stage) -> dict[str, Any]:
    """Return the pod template but for the batch cap, which a rollout may write."""
    template: dict[str, Any] = copy.deepcopy(stage.target()["spec"]["template"])
    del template["spec"]["containers"][0]["env"]
    return template


def uids(stage: Stage) -> set[str]:
    return {raw["metadata"]["uid"] for raw in stage.cluster.store.all("Job")}


def reasons(stage: Stage) -> list[str]:
    return [event.reason for _, event in stage.cluster.events]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("state", MEASURED)
def test_a_change_by_hand_starts_the_measuring_anew_and_says_what_changed(
    state: str, change: str
) -> None:
    stage = at(state)
    if state == "Searching":
        stage.harness.until(lambda: len(stage.jobs()) > 0)
    jobs, started = uids(stage), stage.clock.now()
    edit, what = CHANGES[change]
    by_hand(stage, edit)
    by_people = without_cap(stage)
    stage.harness.until(lambda: "TargetChanged" in reasons(stage), seconds=60)
    assert stage.status().recommendation is None
    assert stage.state() not in {"Deciding", "Applying"}
    (words,) = (e.message for _, e in stage.cluster.events if e.reason == "TargetChanged")
    assert words == f"Deployment 'server': {what} changed while {state}"
    stage.harness.step(2.0)
    assert not jobs & uids(stage)
    stage.until("Applying", seconds=3600)
    assert without_cap(stage) == by_people
    done = [t for t in stage.status().trials if t.phase == "Completed"]
    assert {t.candidate.image for t in done} == {OTHER if change == "image" else IMAGE}
    assert all(t.started_at is not None and t.started_at >= started for t in done)
    assert reasons(stage).count("TargetChanged") == 1


def replicas(stage: Stage) -> None:
    by_hand(stage, lambda raw: raw["spec"].update(replicas=3))


def annotation(stage: Stage) -> None:
    def change(raw: dict[str, Any]) -> None:
        notes = raw["spec"]["template"].setdefault("metadata", {}).setdefault("annotations", {})
        notes["kubectl.kubernetes.io/restartedAt"] = "2026-11-22T20:00:00Z"
        raw["metadata"].setdefault("annotations", {})["example.com/note"] = "hello"

    by_hand(stage, change)


def status_of_it(stage: Stage) -> None:
    by_hand(stage, lambda raw: raw.setdefault("status", {}).update(observedGeneration=99))


def bounds(stage: Stage) -> None:
    stage.cluster.store.edit(
        "HorizontalPodAutoscaler",
        NAMESPACE,
        "server",
        lambda raw: raw["spec"].update(maxReplicas=3),
        "kubectl-edit",
    )


@pytest.mark.parametrize("change", [replicas, annotation, status_of_it, bounds])
@pytest.mark.parametrize("state", MEASURED)
def test_what_no_trial_has_measured_may_change_meanwhile(
    state: str, change: Callable[[Stage], None]
) -> None:
    stage = at(state)
    trials = [t.name for t in stage.status().trials]
    change(stage)
    stage.until("Stable", "Halted")
    assert (stage.state(), stage.values()) == ("Stable", TUNED)
    assert "TargetChanged" not in reasons(stage)
    assert [t.name for t in stage.status().trials][: len(trials)] == trials


def test_a_change_that_is_undone_costs_only_the_trial_that_ran() -> None:
    stage = at("Deciding")
    trials = stage.status().trials
    before = stage.target()["spec"]["template"]["spec"]["containers"][0].get("resources")
    by_hand(stage, more_cores)
    stage.clock.advance(1.0)
    tick(stage)
    assert stage.state() == "Pending"

    def undo(raw: dict[str, Any]) -> None:
        container = raw["spec"]["template"]["spec"]["containers"][0]
        container.pop("resources") if before is None else container.update(resources=before)

    by_hand(stage, undo)
    stage.until("Stable", "Halted")
    assert (stage.state(), stage.values()) == ("Stable", TUNED)
    assert stage.status().trials == trials


def test_a_recommendation_that_is_recorded_but_not_opened_yet_is_dropped() -> None:
    stage = at("Deciding")
    tick(stage)
    assert (stage.state(), stage.values()) == ("Deciding", BEFORE)
    assert stage.status().recommendation is not None
    by_hand(stage, more_cores)
    tick(stage)
    assert (stage.state(), stage.values()) == ("Pending", BEFORE)
    assert stage.conditions()["TargetAvailable"] == ("Unknown", "TargetChanged")
    assert stage.status().recommendation is None
    assert stage.status().rollout is None
