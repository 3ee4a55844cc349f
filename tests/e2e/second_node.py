"""A second node beside the one that every end-to-end test plays on, for tests that lose it.

Role: have it for one test, of the same kind as the first, and take it away again. Must not know:
what runs on it. Trade-off: both share the machine's two processors, so nothing that is timed runs
while there are two.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from demo.kubectl import Kubectl
from devcluster import lifecycle, outage
from devcluster.node import node
from devcluster.settings import Settings
from infertune.core.placement import INSTANCE_TYPE
from tests.e2e.node import Node

KIND = "devcluster"
SHUN = "infertune.test/shunned=true:PreferNoSchedule"
SECOND = 2


@dataclass(frozen=True, slots=True)
class SecondNode:
    """The second node; new pods go there while it is there, unless they are tied to the first."""

    settings: Settings
    cluster: Kubectl

    @property
    def name(self) -> str:
        """The name of its Node object."""
        return node(self.settings, SECOND).name

    def lose(self) -> None:
        """Let it vanish: nobody speaks for it any more, and the cluster forgets it."""
        outage.kill_kubelet(self.settings, SECOND)
        self.cluster.run("delete", "node", self.name)


@contextmanager
def second_node(first: Node) -> Iterator[SecondNode]:
    """Add a second node to the cluster and yield it; afterwards the first is alone again."""
    settings = lifecycle.up(first.place.settings, nodes=SECOND)
    cluster = first.place.cluster
    names = [node(settings, number).name for number in (1, SECOND)]
    try:
        # A trial may run on every node of the live pods' kind, and this is what tells the kind.
        cluster.run("label", "node", *names, f"{INSTANCE_TYPE}={KIND}", "--overwrite")
        cluster.run("taint", "node", names[0], SHUN, "--overwrite")
        yield SecondNode(settings, cluster)
    finally:
        lifecycle.up(settings, nodes=1)
        cluster.run("taint", "node", names[0], f"{SHUN}-")
        cluster.run("label", "node", names[0], f"{INSTANCE_TYPE}-")
