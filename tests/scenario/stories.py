"""The stage of the stories: one harness, a server of known speed, live traffic that follows it.

Live traffic is what Prometheus would say of the Deployment as it stands: the P95 of ``served_p95``
at the rate of one replica. A story may take over with ``live``.
"""

from collections.abc import Callable
from typing import Any, ClassVar

from infertune.api.status import TuningStatus
from infertune.api.v1alpha1 import KIND
from infertune.core.evidence import NoData
from infertune.core.snapshot import LiveEvidence
from infertune.ports import LiveQuery
from tests.fakes.cases import NAMESPACE, TUNING, fill, served_p95
from tests.fakes.clock import FakeClock
from tests.fakes.cluster import FakeCluster
from tests.fakes.controllers import World
from tests.fakes.harness import Harness
from tests.fakes.metrics import FakeMetrics, steady

LIVE_RATE = 30.0
Live = Callable[[LiveQuery], LiveEvidence | NoData]
RESTING = frozenset({"Stable", "Halted"})


class Stage:
    """One story: the harness with a few questions that its end is judged by.

    ``make_cluster`` is replaced where the same stories play on a real API server.
    """

    make_cluster: ClassVar[Callable[[FakeClock], FakeCluster]] = FakeCluster

    def __init__(
        self, *, live: Live | None = None, world: World | None = None, **spec: Any
    ) -> None:
        self.clock = FakeClock()
        self.cluster = Stage.make_cluster(self.clock)
        self.live = live
        self.step_seconds = 1.0
        self.world = world or World(serve=served_p95)
        batch = spec.pop("batch", "1")
        fill(self.cluster, batch=batch, **spec)
        self.harness = Harness(self.cluster, FakeMetrics(self._answer), self.world)

    def status(self) -> TuningStatus:
        """Return the tuning's status."""
        return self.harness.status(TUNING)

    def state(self) -> str:
        """Return the tuning's state, or ``gone``."""
        raw = self.cluster.store.look(KIND, *self.place())
        if raw is None:
            return "gone"
        return str(raw.get("status", {}).get("state", "Pending"))

    def place(self) -> tuple[str, str]:
        """Return namespace and name of the tuning."""
        return TUNING.namespace, TUNING.name

    def until(self, *states: str, seconds: float = 3600.0) -> None:
        """Step until the tuning is in one of these states."""
        self.harness.until(lambda: self.state() in states, seconds, self.step_seconds)

    def settle(self) -> None:
        """Step until the tuning rests, then a little longer."""
        self.until(*RESTING, "gone")
        for _ in range(5):
            self.harness.step(2.0)

    def target(self) -> dict[str, Any]:
        """Return the Deployment."""
        return self.cluster.store.read("Deployment", NAMESPACE, "server")

    def values(self) -> tuple[str, str | None]:
        """Return image and batch cap of the Deployment."""
        return values_in(self.target())

    def bounds(self) -> tuple[int, int]:
        """Return the autoscaler's bounds."""
        spec = self.cluster.store.read("HorizontalPodAutoscaler", NAMESPACE, "server")["spec"]
        return spec["minReplicas"], spec["maxReplicas"]

    def annotations(self) -> dict[str, str]:
        """Return our annotations on the Deployment."""
        found = self.target()["metadata"].get("annotations") or {}
        return {name: value for name, value in found.items() if "infertune" in name}

    def jobs(self) -> list[str]:
        """Return the names of all Jobs."""
        return [raw["metadata"]["name"] for raw in self.cluster.store.all("Job")]

    def conditions(self) -> dict[str, tuple[str, str]]:
        """Return status and reason of every observed condition."""
        return {
            c.type: (c.status, c.reason)
            for c in self.status().conditions
            if c.reason != "NotObservedYet"
        }

    def message(self, condition: str) -> str:
        """Return the message of one condition."""
        return next(c.message for c in self.status().conditions if c.type == condition)

    def set_batch(self, value: str, manager: str = "kubectl-edit") -> None:
        """Let somebody else change the batch cap of the Deployment."""

        def change(raw: dict[str, Any]) -> None:
            container = raw["spec"]["template"]["spec"]["containers"][0]
            for entry in container["env"]:
                if entry["name"] == "MAX_BATCH_SIZE":
                    entry["value"] = value

        self.cluster.store.edit("Deployment", NAMESPACE, "server", change, manager)

    def edit_spec(self, change: Callable[[dict[str, Any]], None]) -> None:
        """Let the user change the tuning's spec."""
        self.cluster.store.edit(KIND, *self.place(), lambda raw: change(raw["spec"]), "kubectl")

    def delete(self) -> None:
        """Let the user delete the tuning."""
        self.cluster.store.delete(KIND, *self.place())
        self.cluster.store.collect_garbage()

    def _answer(self, query: LiveQuery) -> LiveEvidence | NoData:
        if self.live is not None:
            return self.live(query)
        container = self.target()["spec"]["template"]["spec"]["containers"][0]
        pods = max(1, len(query.pods))
        return steady(query, served_p95(container, LIVE_RATE / pods), LIVE_RATE)


def values_in(deployment: dict[str, Any]) -> tuple[str, str | None]:
    """Return image and batch cap of a Deployment."""
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    found = [e["value"] for e in container["env"] if e["name"] == "MAX_BATCH_SIZE"]
    assert len(found) <= 1, "the batch cap stands twice"
    return container["image"], found[0] if found else None
