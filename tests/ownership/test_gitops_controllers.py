"""Argo CD and Flux, played by what they do to objects: a forced apply, again and again.

The objects bear no trace of them here (acknowledged, or set up so that none is left): that is when
the values are fought over, and we must be the one who stops.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from infertune.core.ownership import FIELD_MANAGER
from tests.ownership.ground import Ground, documents

pytestmark = pytest.mark.real_api
ROUND_SECONDS = 0.5
ACKNOWLEDGED = {"warmupSeconds": 0, "gitOps": "Acknowledged"}


@contextmanager
def applying_for_ever(ground: Ground, manager: str) -> Iterator[None]:
    """Apply what stands in Git, by force, at each round until the block ends."""
    stop = threading.Event()

    def rounds() -> None:
        while not stop.wait(ROUND_SECONDS):
            ground.apply_as(manager, documents())

    thread = threading.Thread(target=rounds)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize("manager", ["argocd-controller", "kustomize-controller"])
def test_reverted_at_each_round_we_write_each_object_once_and_stop(
    ground: Ground, manifest: object, manager: str
) -> None:
    ground.kubectl("apply", "-f", str(manifest))
    ground.apply_as(manager, documents())
    ground.begin()
    with applying_for_ever(ground, manager):
        ground.start()
        ground.rests("Halted")
        written = list(ground.connection.applied)
        ground.stays(2.0, lambda: ground.status().state == "Halted")
    assert ground.connection.applied == written
    assert written.count("deployments") <= 1
    assert written.count("horizontalpodautoscalers") <= 1
    status, reason, message = ground.condition("FieldConflict")
    assert (status, reason) == ("True", "FieldTaken")
    assert f"(owner: {manager})" in message
    assert (ground.batch(), ground.bounds()) == ("1", (1, 2))


@pytest.mark.parametrize("manager", ["argocd-controller", "kustomize-controller"])
def test_reverted_after_the_verdict_we_say_who_and_write_nothing(
    ground: Ground, manifest: object, manager: str
) -> None:
    ground.kubectl("apply", "-f", str(manifest))
    ground.tune()
    written = list(ground.connection.applied)
    with applying_for_ever(ground, manager):
        ground.rests("Halted")
        ground.stays(1.5, lambda: ground.connection.applied == written)
    assert f"(owner: {manager}) holds '1' instead of '16'" in ground.condition("FieldConflict")[2]


def test_what_is_committed_to_git_is_shared_with_its_controller(
    ground: Ground, manifest: object
) -> None:
    ground.kubectl("apply", "-f", str(manifest))
    ground.tune()
    tuned = documents("16")
    tuned[1]["spec"] |= {"minReplicas": 2, "maxReplicas": 4}
    for _ in range(3):
        ground.apply_as("argocd-controller", tuned)
    assert FIELD_MANAGER in ground.owners("batch")
    ground.stays(2.0, lambda: ground.status().state == "Stable")
    assert ground.condition("FieldConflict")[0] == "False"
