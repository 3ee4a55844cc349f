"""Two tunings of one target: the older one wins, the newer one says so and takes its turn."""

from typing import Any

from infertune.api.v1alpha1 import KIND
from infertune.core.snapshot import Key
from tests.fakes import cases
from tests.fakes.cases import NAMESPACE
from tests.scenario.stories import Stage

SECOND = Key(NAMESPACE, "second")
TUNED = (cases.IMAGE, "16")


def add_second(stage: Stage, name: str = "second", **spec: Any) -> Key:
    raw = cases.tuning(**({"mode": "Apply"} | spec))
    raw["metadata"]["name"] = name
    stage.harness.step(2.0)
    stage.cluster.store.add(raw)
    return Key(NAMESPACE, name)


def told(stage: Stage, key: Key, condition: str) -> tuple[str, str]:
    found = next(c for c in stage.harness.status(key).conditions if c.type == condition)
    return found.status, found.reason


def message(stage: Stage, key: Key, condition: str) -> str:
    return next(c.message for c in stage.harness.status(key).conditions if c.type == condition)


def jobs_of(stage: Stage, key: Key) -> list[str]:
    return [
        raw["metadata"]["name"]
        for raw in stage.cluster.store.all("Job")
        if raw["metadata"]["annotations"]["infertune.io/tuning"] == key.name
    ]


def test_the_newer_tuning_names_the_older_one_and_measures_nothing() -> None:
    stage = Stage(mode="Apply")
    second = add_second(stage)
    for _ in range(30):
        stage.harness.step()
        assert jobs_of(stage, second) == []
    assert told(stage, second, "TargetAvailable") == ("False", "TargetTaken")
    assert told(stage, second, "Stalled") == ("True", "TargetTaken")
    assert "InferenceTuning 'demo'" in message(stage, second, "Stalled")
    assert stage.harness.status(second).state == "Pending"
    stage.settle()
    assert (stage.state(), stage.values()) == ("Stable", TUNED)
    assert told(stage, second, "Stalled") == ("True", "TargetTaken")


def test_once_the_older_one_is_deleted_the_newer_goes_on_at_once() -> None:
    stage = Stage(mode="Recommend")
    second = add_second(stage)
    stage.settle()
    stage.delete()
    stage.harness.run_due()
    assert told(stage, second, "Stalled") == ("False", "Progressing")
    stage.harness.until(lambda: stage.harness.status(second).state == "Stable")
    assert stage.values() == TUNED


def test_once_the_older_one_names_another_target_the_newer_goes_on() -> None:
    stage = Stage(mode="Recommend")
    second = add_second(stage)
    stage.harness.step()
    assert told(stage, second, "Stalled") == ("True", "TargetTaken")
    stage.edit_spec(lambda spec: spec["targetRef"].update(name="elsewhere"))
    stage.harness.run_due()
    assert told(stage, second, "Stalled") == ("False", "Progressing")


def test_a_newer_one_that_was_alone_stops_measuring_when_an_older_one_comes_to_its_target() -> None:
    stage = Stage(mode="Recommend", targetRef={"kind": "Deployment", "name": "elsewhere"})
    second = add_second(stage)
    stage.harness.until(lambda: stage.harness.status(second).state == "Searching")
    stage.harness.until(lambda: jobs_of(stage, second) != [])
    stage.edit_spec(lambda spec: spec["targetRef"].update(name="server"))
    stage.harness.run_due()
    stage.harness.step()
    assert jobs_of(stage, second) == []
    assert told(stage, second, "Stalled") == ("True", "TargetTaken")
    stage.settle()
    assert stage.state() == "Stable"


def test_a_newer_one_with_an_open_rollout_ends_it_before_it_makes_way() -> None:
    stage = Stage(mode="Apply", targetRef={"kind": "Deployment", "name": "elsewhere"})
    second = add_second(stage)
    stage.harness.until(lambda: stage.harness.status(second).state == "Verifying")
    stage.edit_spec(lambda spec: spec["targetRef"].update(name="server"))
    stage.harness.step()
    assert stage.harness.status(second).state == "Verifying"
    stage.harness.until(lambda: stage.harness.status(second).state == "Stable")
    stage.harness.step()
    assert told(stage, second, "Stalled") == ("True", "TargetTaken")
    stage.settle()
    assert (stage.state(), stage.values()) == ("Stable", TUNED)


def test_after_a_restart_the_same_one_is_the_older() -> None:
    stage = Stage(mode="Recommend")
    second = add_second(stage, name="also")
    stage.harness.step()
    stage.harness.start_operator()
    stage.harness.run_due()
    stage.harness.step()
    assert told(stage, second, "Stalled") == ("True", "TargetTaken")
    assert stage.cluster.store.read(KIND, NAMESPACE, "demo")["status"]["state"] != "Pending"
