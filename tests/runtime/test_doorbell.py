"""Which events ring, and which do not: a stable tuning sleeps through its neighbours' noise."""

from typing import TYPE_CHECKING, Any

import pytest

from infertune.api.v1alpha1 import KIND
from infertune.core.manifests.naming import LABEL_TUNING_UID
from infertune.runtime.cache import WatchCache, WatchedPods, WorkloadKey
from infertune.runtime.doorbell import Doorbell
from tests.fakes import cases
from tests.fakes.clock import FakeClock
from tests.fakes.cluster import FakeCluster

if TYPE_CHECKING:
    from infertune.core.snapshot import Key


class Scene:
    def __init__(self) -> None:
        self.cluster = FakeCluster(FakeClock())
        cases.fill(self.cluster)
        self.cache = WatchCache(self.cluster)
        self.rung: list[Key] = []
        self.bell = Doorbell(self.cache, self.rung.append)

    def read(self, kind: str, name: str) -> dict[str, Any]:
        return self.cluster.store.read(kind, cases.NAMESPACE, name)

    def ring(self, raw: dict[str, Any], event: str = "MODIFIED") -> int:
        """Deliver an event; return how often it rang."""
        self.rung.clear()
        match raw["kind"]:
            case "InferenceTuning":
                self.bell.tuning(event, raw)
            case "HorizontalPodAutoscaler":
                self.bell.autoscaler(event, raw)
            case "Pod" | "Job":
                self.bell.owned(raw)
            case kind:
                self.bell.workload(event, kind, raw)
        return len(self.rung)


@pytest.fixture
def scene() -> Scene:
    found = Scene()
    found.ring(found.read(KIND, "demo"), "ADDED")
    return found


def newer(raw: dict[str, Any]) -> dict[str, Any]:
    version = int(raw["metadata"]["resourceVersion"]) + 1000
    raw["metadata"]["resourceVersion"] = str(version)
    return raw


def test_a_new_tuning_rings(scene: Scene) -> None:
    assert Scene().ring(scene.read(KIND, "demo"), "ADDED") == 1


def test_our_own_status_write_does_not_ring(scene: Scene) -> None:
    raw = newer(scene.read(KIND, "demo"))
    raw["status"] = {"state": "Probing"}
    assert scene.ring(raw) == 0
    view = scene.cache.fetch(cases.TUNING)
    assert view is not None
    assert view.status.state == "Probing"


def test_a_new_generation_and_a_deletion_ring(scene: Scene) -> None:
    raw = newer(scene.read(KIND, "demo"))
    raw["metadata"]["generation"] += 1
    assert scene.ring(raw) == 1
    assert scene.ring(newer(raw), "DELETED") == 1


def test_an_event_older_than_what_is_known_is_ignored(scene: Scene) -> None:
    old = scene.read(KIND, "demo")
    raw = newer(scene.read(KIND, "demo"))
    raw["status"] = {"state": "Searching"}
    scene.ring(raw)
    old["metadata"]["generation"] += 1
    assert scene.ring(old) == 0


def test_a_target_rings_when_its_template_or_progress_moves(scene: Scene) -> None:
    raw = scene.read("Deployment", "server")
    assert scene.ring(raw) == 1
    assert scene.ring(newer(raw)) == 0, "nothing that a tick looks at has changed"
    raw["status"] = {"readyReplicas": 1}
    assert scene.ring(newer(raw)) == 1
    raw["metadata"]["generation"] += 1
    assert scene.ring(newer(raw)) == 1
    assert scene.ring(raw, "DELETED") == 1


def test_a_workload_that_nobody_targets_does_not_ring(scene: Scene) -> None:
    other = scene.read("Deployment", "server")
    other["metadata"]["name"] = "other"
    assert scene.ring(other) == 0


def test_an_autoscaler_rings_for_its_bounds_not_for_its_figures(scene: Scene) -> None:
    raw = scene.read("HorizontalPodAutoscaler", "server")
    assert scene.ring(raw) == 1
    raw["status"] = {"currentReplicas": 3}
    assert scene.ring(newer(raw)) == 0
    raw["spec"]["maxReplicas"] = 9
    assert scene.ring(newer(raw)) == 1


def test_pods_ring_for_the_tuning_whose_uid_they_carry(scene: Scene) -> None:
    uid = scene.read(KIND, "demo")["metadata"]["uid"]
    pod = {"kind": "Pod", "metadata": {"labels": {LABEL_TUNING_UID: uid}}}
    assert scene.ring(pod) == 1
    pod["metadata"]["labels"][LABEL_TUNING_UID] = "another"  # type: ignore[index]
    assert scene.ring(pod) == 0


def test_an_echo_of_what_is_known_is_not_even_read(scene: Scene) -> None:
    """Its spec is unreadable: parsing it would leave an error in the view."""
    echo = scene.read(KIND, "demo")
    known = scene.cache.fetch(cases.TUNING)
    echo["spec"] = None
    assert scene.ring(echo) == 0
    echo["metadata"]["resourceVersion"] = "1"
    assert scene.ring(echo) == 0
    assert scene.cache.fetch(cases.TUNING) is known


def test_pods_are_remembered_though_the_watch_spoke_before_the_tuning_was_known() -> None:
    """The Deployment is listed first, when it is nobody's target; nothing moves afterwards."""
    scene = Scene()
    workload = scene.read("Deployment", "server")
    scene.ring(workload, "ADDED")
    scene.ring(scene.read(KIND, "demo"), "ADDED")
    where = WorkloadKey(cases.NAMESPACE, "Deployment", "server")
    now = FakeClock().now()
    pods = WatchedPods(("a",), workload["metadata"]["resourceVersion"], now)
    scene.cache.keep_pods(where, pods)
    assert scene.cache.pods(where, now, 600.0) is pods
    scene.ring(newer(workload))
    assert scene.cache.pods(where, now, 600.0) is None


def test_a_version_that_the_watch_has_shown_outlives_an_older_read(scene: Scene) -> None:
    workload = scene.read("Deployment", "server")
    read_at = workload["metadata"]["resourceVersion"]
    scene.ring(newer(workload))
    where = WorkloadKey(cases.NAMESPACE, "Deployment", "server")
    now = FakeClock().now()
    scene.cache.keep_pods(where, WatchedPods(("a",), read_at, now))
    assert scene.cache.pods(where, now, 600.0) is None
