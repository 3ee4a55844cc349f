"""Labels of nodes are remembered for seconds only: a trial must not be sent where none is left."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from infertune.core.snapshot import LivePod, TargetView
from infertune.runtime.trial_world import NODES_KEPT_SECONDS, TrialWorld

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
KIND = "node.kubernetes.io/instance-type"
TARGET = TargetView({}, (LivePod("server-1", "node-1", "rev", ready=True),), "rev")


class Nodes:
    """A cluster whose one node carries the labels it is given; counts what it is asked."""

    def __init__(self) -> None:
        self.labels: dict[str, str] = {KIND: "a10"}
        self.asked = 0

    def fetch_node_labels(self, names: tuple[str, ...]) -> Mapping[str, Mapping[str, str]]:
        self.asked += 1
        return {name: dict(self.labels) for name in names}

    def fetch_access_modes(
        self, namespace: str, names: tuple[str, ...]
    ) -> Mapping[str, tuple[str, ...]]:
        raise AssertionError((namespace, names))


def test_a_look_a_moment_later_asks_no_node_again() -> None:
    nodes = Nodes()
    world = TrialWorld(nodes)
    for seconds in (0, 2, 4):
        found = world.node_labels(TARGET, (), NOW + timedelta(seconds=seconds))
        assert found == {"node-1": {KIND: "a10"}}
    assert nodes.asked == 1


def test_a_label_taken_off_is_forgotten_before_the_next_trial_would_wait_for_it() -> None:
    nodes = Nodes()
    world = TrialWorld(nodes)
    world.node_labels(TARGET, (), NOW)
    nodes.labels = {}
    assert NODES_KEPT_SECONDS <= 30.0
    later = NOW + timedelta(seconds=NODES_KEPT_SECONDS)
    assert world.node_labels(TARGET, (), later) == {"node-1": {}}
