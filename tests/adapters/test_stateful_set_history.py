"""What earlier revisions of a StatefulSet refer to is listed once for each version of it."""

from collections.abc import Mapping
from typing import Any

from infertune.adapters.clock import SystemClock
from infertune.adapters.kube.cluster import KubeCluster
from infertune.adapters.kube.revisions import KEPT, Histories

OWNER = {"kind": "StatefulSet", "name": "server", "uid": "u-1", "controller": True}


def revision(config: str) -> dict[str, Any]:
    container = {"name": "server", "envFrom": [{"configMapRef": {"name": config}}]}
    template = {"spec": {"containers": [container]}}
    return {"metadata": {"ownerReferences": [OWNER]}, "data": {"spec": {"template": template}}}


class Server:
    """An API server with one StatefulSet, that counts the lists of its revisions."""

    def __init__(self) -> None:
        self.version = "7"
        self.revisions = [revision("conf-1")]
        self.lists = 0

    def get(self, path: str, *_: tuple[str, str]) -> Mapping[str, Any]:
        if path.endswith("/statefulsets/server"):
            metadata = {"name": "server", "uid": "u-1", "resourceVersion": self.version}
            selector = {"matchLabels": {"app": "server"}}
            return {"metadata": metadata, "spec": {"selector": selector}}
        if path.endswith("/controllerrevisions"):
            self.lists += 1
            return {"items": self.revisions}
        return {"items": []}


def test_the_revisions_are_listed_again_only_when_the_stateful_set_has_moved() -> None:
    server = Server()
    cluster = KubeCluster(server, SystemClock())  # type: ignore[arg-type]

    def history() -> frozenset[str] | None:
        found = cluster.fetch_target("serving", "StatefulSet", "server")
        assert found is not None
        return found.history

    assert [history() for _ in range(3)] == [{"conf-1"}] * 3
    assert server.lists == 1
    server.version, server.revisions = "8", [revision("conf-1"), revision("conf-2")]
    assert [history() for _ in range(3)] == [{"conf-1", "conf-2"}] * 3
    assert server.lists == 2


def test_no_more_is_kept_than_the_last_ones() -> None:
    histories, read = Histories(), []

    def of(number: int) -> None:
        metadata = {"uid": f"u-{number}", "resourceVersion": "1"}
        histories.of({"metadata": metadata}, lambda: read.append(number) or frozenset())  # type: ignore[func-returns-value]

    for number in (*range(KEPT + 1), KEPT, 0):
        of(number)
    assert read == [*range(KEPT + 1), 0]
