"""The spec is edited in every state: what starts anew, what goes back, and which trials stay."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.fakes.cases import IMAGE
from tests.scenario.stories import RESTING, Stage
from tests.scenario.test_steering import BEFORE, MEASURING, OPEN, TUNED, at

Spec = dict[str, Any]
STATES = [*MEASURING, *OPEN, "Stable"]


def live(spec: Spec) -> None:
    spec["suspend"] = False


def decision(spec: Spec) -> None:
    spec["budget"] = {"maxTrials": 11}


def trials(spec: Spec) -> None:
    spec["slo"]["latencyMilliseconds"] = 210


EDITS: list[Callable[[Spec], None]] = [live, decision, trials]


def play_on(stage: Stage) -> list[str]:
    """Play until the tuning rests and answers the spec; return the states on the way."""
    seen: list[str] = []

    def ended() -> bool:
        seen.append(stage.state())
        return stage.state() in RESTING and stage.status().observed_generation == 2

    stage.harness.until(ended, step_seconds=1.0)
    stage.settle()
    return seen


@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize("state", STATES)
def test_an_edit_in_this_state_ends_where_the_new_spec_wants_it(
    state: str, edit: Callable[[Spec], None]
) -> None:
    stage = at(state)
    done = {t.name for t in stage.status().trials if t.phase == "Completed"}
    began = stage.clock.now()
    stage.edit_spec(edit)
    seen = play_on(stage)
    if state == "RollingBack" and edit is live:
        assert (stage.state(), stage.values()) == ("Halted", BEFORE)
        return
    stage.live = None
    if state == "RollingBack":
        # Live traffic has refuted what the trials said: none of them is believed again.
        assert all(t.started_at is not None and t.started_at >= began for t in trials_of(stage))
        return
    assert (stage.state(), stage.values(), stage.bounds()) == ("Stable", TUNED, (1, 3))
    kept = done & {t.name for t in trials_of(stage)}
    assert kept == (set() if edit is trials else done)
    went_back = any("RollingBack" in e.reason or e.reason == "RolledBack" for e in told(stage))
    assert went_back == (state in OPEN and edit is not live)
    if edit is live and state == "Stable":
        assert set(seen) == {"Stable"}


def trials_of(stage: Stage) -> Any:
    return stage.status().trials


def told(stage: Stage) -> list[Any]:
    return [event for _, event in stage.cluster.events]


def test_a_smaller_peak_is_answered_from_the_trials_that_are_there() -> None:
    stage = Stage(mode="Recommend")
    stage.settle()
    names = [t.name for t in trials_of(stage)]
    stage.edit_spec(lambda spec: spec["demand"].update(peakRequestsPerSecond=25))
    stage.harness.until(lambda: stage.status().observed_generation == 2)
    stage.settle()
    assert [t.name for t in trials_of(stage)][: len(names)] == names
    found = stage.status().recommendation
    assert found is not None
    assert (found.configuration.batch_size, found.configuration.min_replicas) == (16, 1)


def test_a_larger_budget_goes_on_where_the_smaller_one_ended() -> None:
    stage = Stage(mode="Recommend", budget={"maxTrials": 1})
    stage.settle()
    (first,) = trials_of(stage)
    stage.edit_spec(lambda spec: spec["budget"].update(maxTrials=12))
    stage.harness.until(lambda: stage.status().observed_generation == 2)
    stage.settle()
    assert trials_of(stage)[0] == first
    assert len(trials_of(stage)) > 1
    found = stage.status().recommendation
    assert found is not None
    assert found.configuration.batch_size == 16


def test_a_target_that_became_another_server_is_measured_anew() -> None:
    stage = Stage(mode="Recommend")
    stage.settle()
    names = {t.name for t in trials_of(stage)}

    def faster(raw: dict[str, Any]) -> None:
        container = raw["spec"]["template"]["spec"]["containers"][0]
        container["resources"] = {"limits": {"cpu": "4", "memory": "1Gi"}}

    stage.cluster.store.edit("Deployment", "default", "server", faster, "kubectl")
    stage.edit_spec(decision)
    stage.harness.until(lambda: stage.status().observed_generation == 2)
    stage.settle()
    assert not names & {t.name for t in trials_of(stage)}


def test_an_invalid_edit_that_is_mended_costs_no_trial() -> None:
    stage = at("Deciding")
    names = [t.name for t in trials_of(stage)]
    stage.edit_spec(lambda spec: spec["slo"].update(latencyMilliseconds=0))
    for _ in range(3):
        stage.harness.step(5.0)
    assert stage.conditions()["Stalled"] == ("True", "InvalidSpec")
    stage.edit_spec(lambda spec: spec["slo"].update(latencyMilliseconds=200))
    stage.settle()
    assert (stage.state(), stage.values()) == ("Stable", (IMAGE, "16"))
    assert [t.name for t in trials_of(stage)] == names
