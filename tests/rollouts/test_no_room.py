"""The room for a rollout is gone once it has begun: it ends at its deadline, and nobody noticed.

The whole operator with the real controllers: the pod on top waits for a node (there is none), or
the quota does not let it in. Its clock runs faster, so that the deadline is a matter of seconds.
"""

from collections.abc import Iterator

import pytest

from tests.ownership.ground import Ground as Operated
from tests.ownership.ground import documents, hasten
from tests.rollouts.ground import Ground, ready, value_of

pytestmark = [pytest.mark.real_api, pytest.mark.timeout(120)]
NAME = "server"


@pytest.fixture
def operated(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> Iterator[Operated]:
    """An operator over the namespace in which the test plays the kubelet."""
    hasten(monkeypatch, ground.kubeconfig)
    made = Operated(ground.kubeconfig, ground)
    try:
        yield made
    finally:
        made.stop()


@pytest.mark.parametrize("obstacle", ["no node", "quota"])
def test_a_rollout_without_room_goes_back_at_its_deadline_and_every_pod_serves_on(
    ground: Ground, operated: Operated, obstacle: str
) -> None:
    for raw in documents():
        if raw["kind"] == "Deployment":
            raw["spec"]["replicas"] = 2
        ground.add(raw)
    ground.until(lambda: len(ground.pods(NAME)) == 2)
    while ground.serve_one(NAME):
        pass
    before = serving(ground)
    if obstacle == "quota":
        ground.quota(pods="2")
    operated.begin(rollout={"warmupSeconds": 0, "applyTimeoutSeconds": 60})
    operated.start()
    operated.until(lambda: ground.live(NAME)["metadata"]["generation"] > 1, "it begins")
    operated.stays(1.0, lambda: serving(ground) == before)
    operated.rests("Halted")
    assert "the rollout is not complete after 6" in operated.condition("Stalled")[2]
    assert (operated.batch(), operated.bounds()) == ("1", (1, 2))
    ground.quiet()
    assert serving(ground) == before
    assert len(ground.pods(NAME)) == 2


def serving(ground: Ground) -> dict[str, str]:
    """Return the value that each serving pod runs with, by UID."""
    return {pod["metadata"]["uid"]: value_of(pod) for pod in ground.pods(NAME) if ready(pod)}
