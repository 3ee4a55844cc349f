"""The node under a trial vanishes: the trial is void, and nobody else notices."""

from collections.abc import Iterator

import pytest

from demo.image_set import SERVER_FP32
from infertune.api.status import TrialRecord
from infertune.core.snapshot import RawObject
from tests.e2e.node import Node
from tests.e2e.second_node import SecondNode, second_node
from tests.e2e.stage import Setting, Stage
from tests.e2e.tunings import tuning

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(500, func_only=True)]

START = Setting(SERVER_FP32, "1", 2, 2)
# Pods of a vanished node are collected after 40 to 60 seconds; the load goes on for longer.
LONG_TRIAL = {"secondsPerRate": 60, "maxRates": 2}
COLLECTED_SECONDS = 120


@pytest.fixture
def second(stage: Stage, node: Node) -> Iterator[SecondNode]:
    """A second node, which comes once the live pods run on the first one."""
    with second_node(node) as made:
        yield made


def test_a_trial_whose_node_vanishes_is_void_and_repeated_elsewhere(
    stage: Stage, second: SecondNode
) -> None:
    live = identities(stage.live_pods())
    template = stage.target()["spec"]["template"]
    stage.apply(tuning(stage.namespace, "Apply", trial=LONG_TRIAL))
    stage.until(lambda: load_runs(stage), "a trial's load runs", 120)
    (first,) = stage.status().trials
    assert node_of(stage, f"{first.name}-server") == second.name

    second.lose()
    stage.until(lambda: trials(stage)[0].phase != "Running", "the trial ended", COLLECTED_SECONDS)
    void = trials(stage)[0]
    assert (void.name, void.phase, void.reason) == (first.name, "Invalid", "Evicted")
    assert (void.levels, void.knee_rate, void.node) == ((), None, second.name)

    stage.until(lambda: len(trials(stage)) == 2, "it is repeated", 60)
    again = trials(stage)[1]
    assert (again.candidate, again.phase) == (void.candidate, "Running")
    stage.until(lambda: node_of(stage, f"{again.name}-server") is not None, "on a node", 60)
    assert node_of(stage, f"{again.name}-server") not in (None, second.name)
    stage.until(lambda: left_of(stage, void) == [], "nothing of the void trial is left", 60)

    assert identities(stage.live_pods()) == live
    assert stage.target()["spec"]["template"] == template
    assert stage.setting() == START

    stage.delete_tuning()
    stage.until(
        lambda: stage.find_tuning() is None and stage.left_over() == (), "all of it is gone", 60
    )
    assert stage.setting() == START


def trials(stage: Stage) -> tuple[TrialRecord, ...]:
    return stage.status().trials


def load_runs(stage: Stage) -> bool:
    return any(
        pod["status"].get("phase") == "Running"
        for pod in stage.objects("v1", "Pod")
        if pod["metadata"]["labels"].get("infertune.io/role") == "load"
    )


def node_of(stage: Stage, job: str) -> str | None:
    """Return the node of a Job's pod; None while it has none."""
    found = [
        pod["spec"].get("nodeName")
        for pod in stage.objects("v1", "Pod")
        if pod["metadata"]["labels"].get("batch.kubernetes.io/job-name") == job
    ]
    return found[0] if found else None


def identities(pods: tuple[RawObject, ...]) -> set[tuple[str, int]]:
    """Return which pods these are and how often their containers were started again."""
    return {
        (pod["metadata"]["uid"], sum(c["restartCount"] for c in pod["status"]["containerStatuses"]))
        for pod in pods
    }


def left_of(stage: Stage, record: TrialRecord) -> list[str]:
    return [one for one in stage.left_over() if record.name in one]
