"""The node under a trial falls silent, and nobody deletes it: the trial is void and names it."""

from collections.abc import Iterator

import pytest

from demo.image_set import SERVER_FP32
from devcluster import outage
from tests.e2e.node import Node
from tests.e2e.second_node import SECOND, SecondNode, second_node
from tests.e2e.stage import Setting, Stage
from tests.e2e.test_node_loss import identities, load_runs, node_of, trials
from tests.e2e.tunings import tuning

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600, func_only=True)]

START = Setting(SERVER_FP32, "1", 2, 2)
# Longer than a node may be silent (50 seconds) and a trial's pods stay on it (30).
LONG_TRIAL = {"secondsPerRate": 120, "maxRates": 2}
VOID_SECONDS = 150


@pytest.fixture
def second(stage: Stage, node: Node) -> Iterator[SecondNode]:
    """A second node, which comes once the live pods run on the first one."""
    with second_node(node) as made:
        yield made


def test_a_trial_on_a_node_that_fell_silent_is_void_and_the_search_goes_on(
    stage: Stage, second: SecondNode
) -> None:
    live = identities(stage.live_pods())
    template = stage.target()["spec"]["template"]
    stage.apply(tuning(stage.namespace, "Apply", trial=LONG_TRIAL))
    stage.until(lambda: load_runs(stage), "a trial's load runs", 120)
    (first,) = stage.status().trials
    assert node_of(stage, f"{first.name}-server") == second.name

    outage.kill_kubelet(second.settings, SECOND)
    stage.until(lambda: trials(stage)[0].phase != "Running", "the trial ended", VOID_SECONDS)
    void = trials(stage)[0]
    assert (void.name, void.phase, void.reason) == (first.name, "Invalid", "Evicted")
    assert (void.levels, void.knee_rate, void.node) == ((), None, second.name)
    assert second.name in (void.message or "")
    assert second.cluster.find("node", second.name) is not None, "nobody has deleted it"

    stage.until(lambda: len(trials(stage)) == 2, "it is repeated", 60)
    again = trials(stage)[1]
    assert (again.candidate, again.phase) == (void.candidate, "Running")
    stage.until(lambda: node_of(stage, f"{again.name}-server") is not None, "on a node", 60)
    assert node_of(stage, f"{again.name}-server") != second.name

    assert identities(stage.live_pods()) == live
    assert stage.target()["spec"]["template"] == template
    assert stage.setting() == START

    # What hangs on a silent node goes when it comes back.
    outage.revive_kubelet(second.settings, SECOND)
    stage.delete_tuning()
    stage.until(
        lambda: stage.find_tuning() is None and stage.left_over() == (), "all of it is gone", 90
    )
    assert stage.setting() == START
