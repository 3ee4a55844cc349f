"""A namespace that is going refuses every new object (403, cause NamespaceTerminating)."""

import json

import pytest

from infertune.adapters.kube.errors import error_of
from infertune.api.v1alpha1 import KIND
from infertune.ports import ClusterError, Gone
from tests.fakes.cases import NAMESPACE
from tests.scenario.stories import Stage

MINUTES = 10


def refusal() -> ClusterError:
    """Return what an API server's refusal means to us (recorded, shortened)."""
    message = 'jobs.batch "x" is forbidden: unable to create new content in namespace default'
    cause = {"reason": "NamespaceTerminating", "field": "metadata.namespace"}
    body = {
        "kind": "Status",
        "reason": "Forbidden",
        "message": f"{message} because it is being terminated",
        "details": {"name": "x", "kind": "jobs", "causes": [cause]},
    }
    return error_of(403, json.dumps(body))


def test_a_refusal_of_a_going_namespace_is_no_storm_and_no_stall() -> None:
    stage = Stage(mode="Apply")
    stage.until("Probing")
    error = refusal()
    assert isinstance(error, Gone)
    stage.cluster.fail("create_object", error, times=10_000)
    before = stage.cluster.calls.count("create_object")
    for _ in range(60 * MINUTES):
        stage.harness.step(1.0)
    tries = stage.cluster.calls.count("create_object") - before
    assert 0 < tries < 5 * MINUTES, "it tries again ever more slowly"
    stalled = [c for c in stage.status().conditions if c.type == "Stalled" and c.status == "True"]
    assert stalled == [], "nobody has to act"


@pytest.mark.parametrize("state", ["Probing", "Searching", "Applying", "Verifying"])
def test_a_tuning_of_a_going_namespace_lets_go(state: str) -> None:
    """All in it is deleted in any order, nothing new may be made; the tuning holds nobody."""
    stage = Stage(mode="Apply")
    stage.until(state)
    stage.cluster.fail("create_object", refusal(), times=10_000)
    for kind, name in (("HorizontalPodAutoscaler", "server"), ("Deployment", "server")):
        stage.cluster.store.delete(kind, NAMESPACE, name)
    stage.cluster.store.delete(KIND, *stage.place())
    for _ in range(120):
        stage.harness.step(1.0)
    left = stage.cluster.store.find(KIND, *stage.place())
    assert left is None
    assert stage.harness.engine.schedule.next_due() is None
    assert stage.harness.engine.queue.depth == 0
