"""The status is gone (a restored backup, a tuning made anew), and the target remembers.

Whatever was lost, our own tuned state is never taken for a baseline, and a rollout that nobody
remembers judging does not stay live.
"""

import json
from typing import Any

import pytest

from infertune.api.v1alpha1 import KIND
from tests.fakes import cases
from tests.fakes.cases import IMAGE, NAMESPACE, TUNING
from tests.fakes.harness import OperatorKilled
from tests.scenario.stories import Stage

BEFORE = (IMAGE, "1")
TUNED = (IMAGE, "16")
WHERE = (KIND, TUNING.namespace, TUNING.name)


def lose_status(stage: Stage) -> None:
    """Restore the tuning from a backup that knows its spec only."""
    stage.cluster.store.edit(*WHERE, lambda raw: raw.pop("status", None), "velero")
    stage.harness.start_operator()


def make_anew(stage: Stage) -> None:
    """Remove the tuning by force while the operator is dead, and create it again."""

    def without_finalizers(raw: dict[str, Any]) -> None:
        raw["metadata"].pop("finalizers", None)

    spec = stage.cluster.store.read(*WHERE)["spec"]
    stage.cluster.store.edit(*WHERE, without_finalizers, "kubectl")
    stage.delete()
    stage.cluster.store.add(cases.tuning() | {"spec": spec})
    stage.harness.start_operator()


def record(stage: Stage) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(stage.annotations()["infertune.io/last-good"])
    return found


@pytest.mark.parametrize("loss", [lose_status, make_anew], ids=["status lost", "made anew"])
def test_a_tuned_target_is_no_baseline(loss: Any) -> None:
    stage = Stage(mode="Apply")
    stage.settle()
    assert (stage.state(), stage.values(), record(stage)["state"]) == ("Stable", TUNED, "Settled")
    loss(stage)
    stage.until("Searching")
    status = stage.status()
    assert status.baseline_configuration is not None
    assert status.baseline_configuration.model_dump(exclude_none=True) == {
        "batch_size": 1,
        "image": IMAGE,
        "min_replicas": 2,
        "max_replicas": 2,
    }
    assert status.baseline is not None
    assert (status.baseline.p95.value, status.baseline.request_rate.value) == (None, 30.0)
    assert str(status.baseline.p95.reason).startswith("AlreadyTuned: ")
    assert status.live is not None
    assert status.live.p95.value is not None
    stage.settle()
    assert (stage.state(), stage.values(), stage.bounds()) == ("Stable", TUNED, (1, 3))
    assert stage.conditions()["Applied"] == ("True", "NothingToChange")


@pytest.mark.parametrize("loss", [lose_status, make_anew], ids=["status lost", "made anew"])
@pytest.mark.parametrize("point", ["bounds widened", "template written", "verifying", "going back"])
def test_an_open_rollout_that_only_the_target_remembers_goes_back_and_all_starts_anew(
    point: str, loss: Any
) -> None:
    stage = Stage(mode="Apply")
    spec = stage.target()["spec"]
    go_to(stage, point)
    loss(stage)
    stage.until("Searching")
    assert [event.reason for _, event in stage.cluster.events].count("IntentFound") == 1
    assert (stage.target()["spec"], stage.bounds(), stage.annotations()) == (spec, (2, 2), {})
    assert notes_on_the_autoscaler(stage) == {}
    status = stage.status()
    assert status.baseline_configuration is not None
    assert status.baseline_configuration.batch_size == 1
    assert status.baseline is not None
    assert status.baseline.p95.value is not None
    stage.settle()
    assert (stage.state(), stage.values(), stage.bounds()) == ("Stable", TUNED, (1, 3))
    tuning = stage.cluster.store.read(*WHERE)
    assert tuning["metadata"]["finalizers"] == []


def go_to(stage: Stage, point: str) -> None:
    """Play until the given point of the rollout."""
    if point == "verifying":
        stage.until("Verifying")
        return
    if point == "bounds widened":
        die_after(stage, "apply_fields")
        assert (stage.values(), stage.bounds()) == (BEFORE, (2, 3))
        return
    stage.until("Applying")
    stage.world.rollout_stuck = point == "template written"
    stage.harness.until(lambda: stage.values() == TUNED, step_seconds=0.1)
    stage.world.rollout_stuck = False
    if point == "going back":
        stage.until("Verifying")
        stage.edit_spec(lambda spec: spec["slo"].update(latencyMilliseconds=210))
        stage.harness.until(lambda: stage.values() == BEFORE, step_seconds=0.1)


def die_after(stage: Stage, method: str) -> None:
    """Kill the operator right after the next such call."""

    def hook(called: str) -> None:
        if called == method:
            raise OperatorKilled

    stage.cluster.after = hook
    with pytest.raises(OperatorKilled):
        stage.settle()
    stage.cluster.after = lambda _: None


def notes_on_the_autoscaler(stage: Stage) -> dict[str, str]:
    raw = stage.cluster.store.read("HorizontalPodAutoscaler", NAMESPACE, "server")
    return raw["metadata"].get("annotations") or {}


def test_an_intent_cut_out_of_the_status_is_read_from_the_target_and_undone() -> None:
    stage = Stage(mode="Apply")
    spec = stage.target()["spec"]
    stage.until("Verifying")
    stage.cluster.store.edit(*WHERE, lambda raw: raw["status"].pop("rollout"), "someone")
    stage.settle()
    assert (stage.state(), stage.target()["spec"], stage.bounds()) == ("Halted", spec, (2, 2))
    assert stage.conditions()["Stalled"] == ("True", "RolledBack")


def test_without_intent_and_without_annotation_nothing_is_guessed() -> None:
    stage = Stage(mode="Apply")
    stage.until("Verifying")
    stage.cluster.store.edit(*WHERE, lambda raw: raw["status"].pop("rollout"), "someone")
    for kind in ("Deployment", "HorizontalPodAutoscaler"):
        stage.cluster.store.edit(
            kind, NAMESPACE, "server", lambda raw: raw["metadata"].pop("annotations"), "someone"
        )
    stage.settle()
    assert (stage.state(), stage.values()) == ("Halted", TUNED)
    assert stage.conditions()["Stalled"] == ("True", "IntentLost")


def test_values_that_a_human_has_put_since_are_a_baseline_like_any_other() -> None:
    stage = Stage(mode="Apply")
    stage.until("Verifying")
    stage.set_batch("4")
    lose_status(stage)
    stage.until("Searching")
    status = stage.status()
    assert status.baseline_configuration is not None
    assert status.baseline_configuration.batch_size == 4
    assert status.baseline is not None
    assert status.baseline.p95.value is not None


def test_old_values_put_back_by_hand_clear_the_record_that_said_otherwise() -> None:
    stage = Stage(mode="Apply")
    stage.until("Verifying")
    stage.set_batch("1")
    lose_status(stage)
    stage.until("Searching")
    assert (stage.values(), stage.bounds(), stage.annotations()) == (BEFORE, (2, 2), {})


def test_the_second_rollout_goes_back_to_the_first_and_the_baseline_stays_the_first_of_all() -> (
    None
):
    stage = Stage(mode="Apply")
    stage.settle()
    assert stage.values() == TUNED
    first = stage.target()["spec"]["template"]
    stage.world.serve = lambda container, rate: (
        100.0 if {"name": "MAX_BATCH_SIZE", "value": "4"} in container["env"] else 1000.0
    )
    stage.edit_spec(lambda spec: spec["slo"].update(latencyMilliseconds=210))
    stage.until("Verifying")
    assert stage.values() == (IMAGE, "4")
    found = record(stage)
    assert (found["baseline"]["batchSize"], found["intent"]["afterTuning"]) == (1, True)
    stage.edit_spec(lambda spec: spec["slo"].update(latencyMilliseconds=999))
    stage.until("Pending", "Probing")
    assert stage.target()["spec"]["template"] == first
    assert record(stage)["state"] == "Settled"
    lose_status(stage)
    stage.until("Probing")
    status = stage.status()
    assert status.baseline_configuration is not None
    assert status.baseline_configuration.batch_size == 1


def test_a_record_of_the_older_format_is_enough_to_take_nothing_for_a_baseline() -> None:
    stage = Stage(mode="Apply")
    stage.settle()
    old = '{"container":"server","template":{"batchValue":"1"}}'

    def older(raw: dict[str, Any]) -> None:
        raw["metadata"]["annotations"]["infertune.io/last-good"] = old

    stage.cluster.store.edit("Deployment", NAMESPACE, "server", older, "infertune")
    stage.cluster.store.edit(
        "HorizontalPodAutoscaler",
        NAMESPACE,
        "server",
        lambda raw: raw["metadata"].pop("annotations"),
        "infertune",
    )
    lose_status(stage)
    stage.until("Searching")
    status = stage.status()
    assert status.baseline_configuration is None
    assert status.baseline is not None
    assert status.baseline.p95.value is None
