"""A tuning that is removed by force while it lends a replica: whoever is left gives it back."""

from typing import Any

import pytest

from infertune.api.v1alpha1 import KIND
from infertune.ports import Unavailable
from tests.fakes import cases
from tests.fakes.cases import NAMESPACE
from tests.scenario.stories import Stage
from tests.scenario.tales_trials import (
    LENT_BOUNDS,
    OLD_BOUNDS,
    borrowing,
    delete_by_force,
    lent,
    lent_alone,
    notes,
    nothing_lent,
    without_autoscaler,
)

SCALER = ("HorizontalPodAutoscaler", NAMESPACE, "server")


def lending(alone: bool = False) -> Stage:
    stage = without_autoscaler() if alone else borrowing()
    stage.harness.until(lambda: lent_alone(stage) if alone else lent(stage))
    return stage


def told(stage: Stage) -> list[str]:
    return [e.message for _, e in stage.cluster.events if "is gone and had lent" in e.message]


def replicas(stage: Stage) -> Any:
    return stage.target()["spec"]["replicas"]


@pytest.mark.parametrize("alone", [False, True])
def test_an_operator_that_was_down_gives_the_replica_back_at_its_first_look(alone: bool) -> None:
    stage = lending(alone)
    stage.cluster.store.listeners.clear()
    delete_by_force(stage)
    stage.cluster.store.listeners.append(stage.harness._deliver)
    stage.harness.start_operator()
    stage.harness.run_due()
    assert notes(stage) != []
    stage.harness.engine.resync()
    stage.harness.run_due()
    assert nothing_lent(stage)
    assert replicas(stage) == 2 if alone else stage.bounds() == OLD_BOUNDS
    assert len(told(stage)) == 1
    calls = len(stage.cluster.calls)
    for _ in range(10):
        stage.harness.run_due()
    assert len(stage.cluster.calls) == calls


def test_a_return_that_fails_is_tried_again_until_it_is_done() -> None:
    stage = lending()
    stage.cluster.fail("apply_fields", Unavailable("down"), times=3)
    delete_by_force(stage)
    stage.harness.run_due()
    assert (stage.bounds(), notes(stage)) == (LENT_BOUNDS, ["HorizontalPodAutoscaler"])
    for _ in range(30):
        stage.harness.step()
    assert (stage.bounds(), notes(stage), len(told(stage))) == (OLD_BOUNDS, [], 1)


def test_bounds_that_a_human_has_set_meanwhile_stay() -> None:
    stage = lending()
    stage.cluster.store.listeners.clear()
    delete_by_force(stage)
    stage.cluster.store.edit(
        *SCALER, lambda raw: raw["spec"].update(minReplicas=3, maxReplicas=7), "kubectl"
    )
    stage.cluster.store.listeners.append(stage.harness._deliver)
    stage.harness.start_operator()
    stage.harness.engine.resync()
    stage.harness.run_due()
    assert (stage.bounds(), notes(stage)) == ((3, 7), [])
    assert "stay" in told(stage)[0]


def test_a_tuning_of_the_name_that_has_another_target_gives_it_back_too() -> None:
    stage = lending()
    stage.cluster.store.listeners.clear()
    delete_by_force(stage)
    stage.cluster.store.listeners.append(stage.harness._deliver)
    stage.harness.start_operator()
    fresh = cases.tuning(mode="Recommend")
    fresh["spec"]["targetRef"]["name"] = "elsewhere"
    stage.cluster.store.add(fresh)
    stage.harness.run_due()
    assert (stage.bounds(), notes(stage)) == (OLD_BOUNDS, [])


def test_a_look_at_everything_leaves_a_living_loan_alone() -> None:
    stage = lending()
    stage.harness.engine.resync()
    stage.harness.run_due()
    assert (stage.bounds(), stage.state(), told(stage)) == (LENT_BOUNDS, "Searching", [])
    assert notes(stage) == ["HorizontalPodAutoscaler"]
    assert stage.cluster.store.look(KIND, *stage.place()) is not None
