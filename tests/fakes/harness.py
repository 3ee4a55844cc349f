"""A whole operator over a simulated cluster, driven step by step in one thread.

Role: what ``main`` builds, with fakes behind the ports and the watch events delivered at once.
``Harness.step()`` lets time pass, the cluster move, and every due tick run. A test tells a story
by changing the world between steps.
"""

from collections.abc import Callable
from contextlib import suppress

from infertune.api.status import TuningStatus
from infertune.api.v1alpha1 import KIND, parse_status
from infertune.core.manifests.naming import LABEL_TUNING_UID
from infertune.core.reconcile import plan
from infertune.core.snapshot import Installation, Key
from infertune.ports import ClusterError, MetricsSource
from infertune.runtime.cache import WatchCache
from infertune.runtime.doorbell import Doorbell
from infertune.runtime.engine import Engine
from infertune.runtime.observe import Observer
from infertune.runtime.reconciler import Decide, Reconciler
from infertune.runtime.slots import Limits, TrialSlots
from infertune.runtime.sweep import Sweeper
from infertune.runtime.telling import Silence
from tests.fakes.cluster import FakeCluster
from tests.fakes.controllers import SimulatedNode, World
from tests.fakes.doors import Doors

INSTALLATION = Installation(
    probe_image="infertune-probes:test", switches=Key("infertune-system", "infertune-switches")
)
MOST_TICKS = 200
RESYNC_SECONDS = 120.0


class OperatorKilled(BaseException):
    """Raised from a hook of the fake cluster: the process is gone at this very point."""


class Noticed(Silence):
    """Telemetry that counts the ticks that ended in a crash: the tick guard hides them."""

    def __init__(self) -> None:
        self.crashed_ticks = 0

    def ticked(self, outcome: str, seconds: float) -> None:
        self.crashed_ticks += outcome == "failed"


class Harness:
    """One operator, one simulated cluster, one clock.

    Every call of the operator passes ``doors``, where a test may put a doorkeeper.
    """

    def __init__(
        self,
        cluster: FakeCluster,
        metrics: MetricsSource,
        world: World,
        decide: Decide = plan,
    ) -> None:
        self.cluster = cluster
        self.clock = cluster.clock
        self.node = SimulatedNode(cluster, world)
        self.doors = Doors()
        self.noticed = Noticed()
        self._port = self.doors.before(cluster)
        self._metrics = self.doors.before(metrics)
        self._decide = decide
        self.trial_limits: Limits | None = None
        cluster.store.listeners.append(self._deliver)
        self.start_operator()

    def start_operator(self) -> None:
        """Start a fresh process: empty cache, empty queue, the initial list of everything."""
        cache = self.cache = WatchCache(self._port)
        slots = TrialSlots(self.trial_limits)
        observer = Observer(self._port, self._metrics, cache, INSTALLATION, slots)
        telemetry = self.noticed
        reconciler = Reconciler(self._port, observer, cache, self.clock, telemetry, self._decide)
        reconciler._executor = self.doors.announce(reconciler._executor)
        self.reconciler = reconciler
        self.engine = Engine(reconciler.run, self._port, cache, self.clock, telemetry)
        self.sweeper = Sweeper(self._port, cache, self.clock, slots)
        self.engine.housekeeping = self.sweeper.sweep
        self._resynced = self.clock.now()
        self._bell = Doorbell(cache, self.engine.queue.add, self.engine.lag.heard)
        for kind in (KIND, "Deployment", "StatefulSet", "HorizontalPodAutoscaler", "Job", "Pod"):
            for raw in self.cluster.store.look_at_all(kind):
                self._deliver("ADDED", raw)

    def step(self, seconds: float = 1.0) -> None:
        """Let time pass, the cluster move once, and all due ticks run."""
        self.clock.advance(seconds)
        self.node.tick()
        self._resync()
        self.run_due()

    def _resync(self) -> None:
        """Compare the list with what the watches told, as the engine's own thread does."""
        if (self.clock.now() - self._resynced).total_seconds() >= RESYNC_SECONDS:
            self._resynced = self.clock.now()
            with suppress(ClusterError):
                self.engine.resync()
                self.engine.housekeeping()

    def run_due(self) -> int:
        """Run every tick that is due now; return how many ran.

        A tick that asks for another at once gets it; more than ``MOST_TICKS`` is a hot loop.
        """
        ran = 0
        while True:
            self.engine.enqueue_due()
            key = self.engine.queue.take(0)
            if key is None:
                return ran
            self.engine.tick(key)
            self.engine.queue.done(key)
            ran += 1
            assert ran <= MOST_TICKS, f"{key} ticks without end at {self.clock.now()}"

    def until(
        self, reached: Callable[[], bool], seconds: float = 3600.0, step_seconds: float = 1.0
    ) -> None:
        """Step until something is so; fail when it is not in time."""
        waited = 0.0
        while not reached():
            assert waited < seconds, f"not reached in {seconds} s"
            self.step(step_seconds)
            waited += step_seconds

    def status(self, key: Key) -> TuningStatus:
        """Return the status as the cluster holds it."""
        raw = self.cluster.store.read(KIND, key.namespace, key.name)
        return parse_status(raw.get("status") or {})

    def _deliver(self, event: str, raw: dict[str, object]) -> None:
        kind = raw["kind"]
        if kind == KIND:
            self._bell.tuning(event, raw)
        elif kind in {"Deployment", "StatefulSet"}:
            self._bell.workload(event, str(kind), raw)
        elif kind == "HorizontalPodAutoscaler":
            self._bell.autoscaler(event, raw)
        elif kind in {"Job", "Pod"} and LABEL_TUNING_UID in _labels(raw):
            self._bell.owned(raw)


def _labels(raw: dict[str, object]) -> dict[str, str]:
    metadata = raw["metadata"]
    assert isinstance(metadata, dict)
    return metadata.get("labels") or {}
