"""Suspend, abort, freeze and retry, in every state: what the target holds, and what status says."""

from collections.abc import Callable
from typing import Any

import pytest

from infertune.api.annotations import ABORT, FREEZE, RETRY
from infertune.api.v1alpha1 import KIND
from infertune.core.snapshot import Key
from infertune.ports import Forbidden
from tests.fakes.cases import IMAGE, NAMESPACE, TUNING
from tests.fakes.metrics import steady
from tests.scenario.stories import LIVE_RATE, RESTING, Stage

BEFORE = (IMAGE, "1")
TUNED = (IMAGE, "16")
WHERE = (KIND, TUNING.namespace, TUNING.name)
MEASURING = ["Pending", "Probing", "Searching", "Deciding"]
OPEN = ["Applying", "Verifying", "RollingBack"]
SHORT: dict[str, Any] = {
    "mode": "Apply",
    "probes": {"benchmark": "Disabled"},
    "knobs": {
        "batchSize": {"env": "MAX_BATCH_SIZE", "values": [16]},
        "replicas": {"min": 1, "max": 4},
    },
}
SWITCHES = Key("infertune-system", "infertune-switches")


def annotate(stage: Stage, name: str, value: str | None) -> None:
    """Let the user set an annotation on the tuning, or remove it."""

    def change(raw: dict[str, Any]) -> None:
        annotations = raw["metadata"].setdefault("annotations", {})
        annotations.pop(name, None)
        if value is not None:
            annotations[name] = value

    stage.cluster.store.edit(*WHERE, change, "kubectl-annotate")


def suspend(stage: Stage, *, on: bool) -> None:
    stage.edit_spec(lambda spec: spec.update(suspend=on))


def at(state: str) -> Stage:
    """Return a short story at the first moment of a state, tick by tick."""
    stage = Stage(**SHORT)
    stage.world.seconds_by_role["load"] = 4.0
    stage.step_seconds = 3.0
    if state == "RollingBack":
        stage.live = lambda query: steady(
            query, 150.0 if stage.values() == BEFORE else 900.0, LIVE_RATE
        )
    engine = stage.harness.engine
    while stage.state() != state or stage.status().observed_generation == 0:
        engine.enqueue_due()
        key = engine.queue.take(0)
        if key is None:
            stage.clock.advance(1.0)
            stage.harness.node.tick()
        else:
            engine.tick(key)
            engine.queue.done(key)
    return stage


def wait(stage: Stage, seconds: float = 400.0) -> None:
    for _ in range(int(seconds // 10)):
        stage.harness.step(10.0)


def once_more(stage: Stage) -> None:
    """Let a resting tuning leave its rest, and rest again."""
    stage.harness.until(lambda: stage.state() not in RESTING, seconds=60)
    stage.settle()


def target(stage: Stage) -> tuple[Any, ...]:
    return stage.target()["spec"]["template"], stage.bounds(), stage.annotations()


@pytest.mark.parametrize("state", [*MEASURING, *OPEN, "Stable"])
def test_suspended_nothing_is_written_and_afterwards_the_story_ends_as_it_would_have(
    state: str,
) -> None:
    stage = at(state)
    suspend(stage, on=True)
    stood, writes = target(stage), stage.cluster.writes.count("apply_fields")
    wait(stage)
    assert (stage.state(), target(stage), stage.jobs()) == (state, stood, [])
    assert stage.cluster.writes.count("apply_fields") == writes
    assert stage.conditions()["Ready"] == ("True", "Suspended")
    assert "spec.suspend is true" in stage.message("Ready")
    if state in OPEN:
        assert "annotate infertune.io/abort to go back" in stage.message("Ready")
    suspend(stage, on=False)
    stage.settle()
    expected = ("Halted", BEFORE) if state == "RollingBack" else ("Stable", TUNED)
    assert (stage.state(), stage.values()) == expected
    assert stage.conditions()["Ready"][0] == "True"
    assert stage.conditions()["Ready"][1] != "Suspended"
    assert stage.status().observed_generation == 3


def test_suspended_while_searching_the_finished_trials_stay_and_the_running_one_ends() -> None:
    """Twice, so that no interruption counts as a failure of the candidate."""
    stage = at("Searching")
    stage.harness.until(lambda: len(stage.status().trials) == 2 and len(stage.jobs()) == 2)
    finished = stage.status().trials[0]
    for times in (1, 2):
        suspend(stage, on=True)
        stage.harness.step()
        assert stage.jobs() == []
        first, *others = stage.status().trials
        assert first == finished
        assert [(t.phase, t.reason) for t in others] == [("Invalid", "Interrupted")] * times
        suspend(stage, on=False)
        stage.harness.until(lambda: len(stage.jobs()) == 2)
    stage.settle()
    tried = [(t.candidate.batch_size, t.phase) for t in stage.status().trials]
    assert tried.count((finished.candidate.batch_size, "Completed")) == 1
    assert (others[0].candidate.batch_size, "Completed") in tried
    assert stage.values() == TUNED


def test_a_suspended_rollout_does_not_run_into_its_deadline() -> None:
    stage = at("Applying")
    stage.world.rollout_stuck = True
    stage.harness.until(lambda: stage.values() == TUNED)
    suspend(stage, on=True)
    wait(stage, 3600)
    suspend(stage, on=False)
    stage.world.rollout_stuck = False
    stage.settle()
    assert (stage.state(), stage.values()) == ("Stable", TUNED)


def test_a_tuning_deleted_while_suspended_still_goes_back_before_it_goes() -> None:
    stage = at("Verifying")
    suspend(stage, on=True)
    wait(stage, 100)
    stage.delete()
    stage.until("gone")
    assert (stage.values(), stage.bounds(), stage.annotations()) == (BEFORE, (2, 2), {})


@pytest.mark.parametrize("state", MEASURING)
def test_aborted_before_any_write_it_rests_until_the_annotation_is_gone(state: str) -> None:
    stage = at(state)
    annotate(stage, ABORT, "now")
    wait(stage, 100)
    assert (stage.state(), stage.values(), stage.jobs()) == ("Halted", BEFORE, [])
    assert stage.conditions()["Stalled"] == ("True", "Aborted")
    assert "apply_fields" not in stage.cluster.writes
    annotate(stage, ABORT, None)
    once_more(stage)
    assert (stage.state(), stage.values()) == ("Stable", TUNED)
    assert stage.conditions()["Stalled"][0] == "False"


@pytest.mark.parametrize("state", OPEN)
def test_aborted_during_a_rollout_it_goes_back_and_rests(state: str) -> None:
    stage = at(state)
    annotate(stage, ABORT, "")
    stage.settle()
    assert (stage.state(), stage.values(), stage.bounds()) == ("Halted", BEFORE, (2, 2))
    assert stage.annotations() == {}
    assert stage.conditions()["Stalled"] == ("True", "Aborted")
    stage.live = None
    annotate(stage, ABORT, None)
    once_more(stage)
    assert (stage.state(), stage.values()) == ("Stable", TUNED)


@pytest.mark.parametrize("state", ["Applying", "Verifying", "RollingBack"])
def test_abort_goes_before_suspend(state: str) -> None:
    stage = at(state)
    suspend(stage, on=True)
    wait(stage, 100)
    annotate(stage, ABORT, "x")
    wait(stage, 100)
    assert (stage.state(), stage.values(), stage.bounds()) == ("Halted", BEFORE, (2, 2))


def test_abort_of_a_resting_tuning_changes_nothing_and_each_value_is_answered_once() -> None:
    stage = Stage(mode="Apply")
    stage.settle()
    stood = target(stage)
    annotate(stage, ABORT, "too late")
    wait(stage, 200)
    assert (stage.state(), target(stage)) == ("Stable", stood)
    stage.edit_spec(lambda spec: spec["slo"].update(latencyMilliseconds=210))
    stage.until("Searching")
    annotate(stage, ABORT, "again")
    stage.settle()
    assert (stage.state(), stage.values()) == ("Halted", TUNED)
    stage.edit_spec(lambda spec: spec["slo"].update(latencyMilliseconds=211))
    once_more(stage)
    assert (stage.state(), stage.conditions()["Stalled"][0]) == ("Stable", "False")


def frozen_by_annotation(stage: Stage, *, on: bool) -> None:
    annotate(stage, FREEZE, "release weekend" if on else None)


def frozen_by_the_installation(stage: Stage, *, on: bool) -> None:
    where = ("ConfigMap", SWITCHES.namespace, SWITCHES.name)
    text = "true" if on else "false"
    if stage.cluster.store.find(*where) is None:
        metadata = {"namespace": SWITCHES.namespace, "name": SWITCHES.name}
        raw = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {}}
        stage.cluster.store.add(raw)
    stage.cluster.store.edit(*where, lambda raw: raw["data"].update(freeze=text), "kubectl")


FREEZES = [frozen_by_annotation, frozen_by_the_installation]


@pytest.mark.parametrize("freeze", FREEZES)
def test_frozen_it_recommends_and_waits_and_thawed_it_opens(freeze: Callable[..., None]) -> None:
    stage = Stage(mode="Apply")
    freeze(stage, on=True)
    stage.until("Deciding")
    wait(stage)
    assert (stage.state(), stage.values(), stage.bounds()) == ("Deciding", BEFORE, (2, 2))
    assert stage.conditions()["Applied"] == ("False", "Frozen")
    assert stage.conditions()["RecommendationReady"][0] == "True"
    assert len(stage.cluster.store.all("ConfigMap", NAMESPACE)) == 1
    told = [event for _, event in stage.cluster.events if event.reason == "Frozen"]
    assert len(told) == 1
    freeze(stage, on=False)
    stage.settle()
    assert (stage.state(), stage.values()) == ("Stable", TUNED)


@pytest.mark.parametrize("freeze", FREEZES)
def test_a_rollout_that_is_open_goes_on_when_it_freezes(freeze: Callable[..., None]) -> None:
    stage = at("Applying")
    freeze(stage, on=True)
    stage.settle()
    assert (stage.state(), stage.values()) == ("Stable", TUNED)


def test_a_switch_that_cannot_be_read_opens_nothing() -> None:
    stage = at("Deciding")
    stage.cluster.fail("fetch_config_map", Forbidden("configmaps is forbidden"), times=100)
    wait(stage, 60)
    assert (stage.state(), stage.values()) == ("Deciding", BEFORE)


@pytest.mark.parametrize("broken", [False, True], ids=["Stable", "Halted"])
def test_retry_measures_everything_anew_and_each_value_counts_once(*, broken: bool) -> None:
    stage = Stage(mode="Apply")
    if broken:
        stage.live = lambda query: steady(
            query, 150.0 if stage.values() == BEFORE else 900.0, LIVE_RATE
        )
    stage.settle()
    stage.live = None
    began = stage.clock.now()
    annotate(stage, RETRY, "1")
    once_more(stage)
    assert (stage.state(), stage.values()) == ("Stable", TUNED)
    ended = stage.status().trials
    assert ended
    assert all(trial.started_at >= began for trial in ended if trial.started_at is not None)
    annotate(stage, RETRY, "1")
    wait(stage, 300)
    assert stage.status().trials == ended


def test_retry_during_a_search_changes_nothing() -> None:
    stage = at("Searching")
    annotate(stage, RETRY, "1")
    stage.settle()
    tried = [trial.candidate.batch_size for trial in stage.status().trials]
    undisturbed = at("Searching")
    undisturbed.settle()
    assert tried == [trial.candidate.batch_size for trial in undisturbed.status().trials]
    wait(stage, 300)
    assert stage.state() == "Stable"
