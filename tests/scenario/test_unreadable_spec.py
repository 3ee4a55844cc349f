"""The spec becomes unreadable while a rollout is open: a human's word is answered all the same."""

from typing import Any

import pytest

from infertune.api.annotations import ABORT
from infertune.core.manifests.naming import FINALIZER
from tests.fakes.cases import NAMESPACE
from tests.scenario.stories import Stage
from tests.scenario.test_steering import BEFORE, OPEN, TUNED, WHERE, annotate, at


def break_spec(stage: Stage) -> None:
    stage.edit_spec(lambda spec: spec["slo"].update(latencyMilliseconds=0))
    stage.harness.run_due()
    assert stage.conditions()["Stalled"] == ("True", "InvalidSpec")


def mend_spec(stage: Stage) -> None:
    stage.edit_spec(lambda spec: spec["slo"].update(latencyMilliseconds=200))


def written(state: str) -> tuple[Stage, dict[str, Any]]:
    """Return a stage whose template is written, with its spec unreadable since, and the old one."""
    stage = at(state)
    old = at("Deciding").target()["spec"]["template"]
    if state == "Applying":
        stage.world.rollout_stuck = True
        stage.harness.until(lambda: stage.values() == TUNED, step_seconds=0.5)
    break_spec(stage)
    stage.world.rollout_stuck = False
    assert stage.state() == state
    return stage, old


@pytest.mark.parametrize("state", OPEN)
def test_an_abort_goes_back_by_what_was_recorded(state: str) -> None:
    stage, old = written(state)
    annotate(stage, ABORT, "now")
    stage.settle()
    assert (stage.state(), stage.values(), stage.bounds()) == ("Halted", BEFORE, (2, 2))
    assert stage.target()["spec"]["template"] == old
    assert stage.annotations() == {}
    assert stage.status().summary.slo == "P95 <= 200 ms"
    told = [event.reason for _, event in stage.cluster.events]
    assert told.count("RolledBack") == 1
    annotate(stage, ABORT, None)
    mend_spec(stage)
    stage.harness.until(lambda: stage.state() != "Halted", seconds=60)
    stage.live = None
    stage.settle()
    assert (stage.state(), stage.values()) == ("Stable", TUNED)
    assert stage.cluster.store.read(*WHERE)["metadata"]["finalizers"] == []


@pytest.mark.parametrize("state", OPEN)
def test_a_deletion_goes_back_and_then_lets_the_tuning_go(state: str) -> None:
    stage, old = written(state)
    stage.delete()
    stage.settle()
    assert (stage.state(), stage.values(), stage.bounds()) == ("gone", BEFORE, (2, 2))
    assert (stage.target()["spec"]["template"], stage.annotations()) == (old, {})
    assert "RolloutAbandoned" not in [event.reason for _, event in stage.cluster.events]


@pytest.mark.parametrize("state", OPEN)
def test_without_a_word_nothing_is_written_and_the_condition_says_what_to_do(state: str) -> None:
    stage, _ = written(state)
    before = (stage.target()["spec"]["template"], stage.bounds(), stage.annotations())
    for _ in range(20):
        stage.harness.step(10.0)
    assert (stage.target()["spec"]["template"], stage.bounds(), stage.annotations()) == before
    words = stage.message("Stalled")
    assert "annotate infertune.io/abort to go back; by hand: kubectl -n default patch" in words


def test_a_target_that_is_gone_keeps_no_deleted_tuning() -> None:
    stage, _ = written("Verifying")
    stage.cluster.store.delete("Deployment", NAMESPACE, "server")
    stage.delete()
    stage.settle()
    assert stage.state() == "gone"


def test_a_field_taken_meanwhile_stays_where_it_is_and_the_tuning_goes() -> None:
    stage, _ = written("Verifying")
    stage.set_batch("8")
    stage.delete()
    stage.settle()
    assert (stage.state(), stage.values()[1]) == ("gone", "8")
    assert FINALIZER not in stage.target()["metadata"].get("finalizers", [])
