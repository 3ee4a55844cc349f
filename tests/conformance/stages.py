"""Two stages for one play: the fake cluster and a real API server.

Role: what a test does beside the port: put objects there, change them by another hand, read them
back. Trade-off: on the real server each test gets a namespace of its own, deleted afterwards
without waiting; the CRD stays.
"""

import copy
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import yaml

from infertune.adapters.clock import SystemClock
from infertune.adapters.kube.cluster import KubeCluster
from infertune.adapters.kube.connection import Connection, Request, load_configuration
from infertune.adapters.kube.paths import list_path, object_path
from infertune.core.snapshot import RawObject
from infertune.ports import AlreadyExists, Cluster, Conflict, Gone, Unavailable
from tests.fakes.cases import served_p95
from tests.fakes.clock import FakeClock
from tests.fakes.cluster import FakeCluster
from tests.fakes.controllers import SimulatedNode, World

CRD_FILE = Path(__file__).parents[2] / "crds" / "infertune.io_inferencetunings.yaml"
DEADLINE_SECONDS = 30.0
Raw = dict[str, Any]
Change = Callable[[Raw], None]


class Stage(Protocol):
    """A cluster, and a hand beside it."""

    cluster: Cluster
    namespace: str

    def add(self, raw: Raw) -> Raw:
        """Create an object in the stage's namespace as kubectl would; return it as stored."""
        ...

    def edit(self, raw: Raw, change: Change) -> Raw:
        """Change an object by another hand."""
        ...

    def read(self, raw: RawObject) -> Raw | None:
        """Read an object again, or None."""
        ...

    def remove(self, raw: Raw) -> None:
        """Delete an object by another hand."""
        ...

    def until(self, reached: Callable[[], bool]) -> None:
        """Let controllers work until something is so."""
        ...


class FakeStage:
    """The fake cluster."""

    def __init__(self) -> None:
        self._clock = FakeClock()
        self._fake = FakeCluster(self._clock)
        self._node = SimulatedNode(self._fake, World(serve=served_p95))
        self.cluster: Cluster = self._fake
        self.namespace = "default"

    def add(self, raw: Raw) -> Raw:
        return dict(self._fake.store.add(_placed(raw, self.namespace)))

    def edit(self, raw: Raw, change: Change) -> Raw:
        return self._fake.store.edit(*_place(raw), change)

    def read(self, raw: RawObject) -> Raw | None:
        return self._fake.store.find(*_place(raw))

    def remove(self, raw: Raw) -> None:
        self._fake.store.delete(*_place(raw))

    def until(self, reached: Callable[[], bool]) -> None:
        for _ in range(100):
            if reached():
                return
            self._clock.advance(1)
            self._node.tick()
        raise AssertionError("not reached in 100 steps of the simulated node")


class RealStage:
    """A real API server, in a namespace of its own."""

    def __init__(self, kubeconfig: Path) -> None:
        configuration = load_configuration(str(kubeconfig))
        self._connection = Connection(configuration)
        self.cluster: Cluster = KubeCluster(self._connection, SystemClock())
        self.namespace = f"conformance-{uuid.uuid4().hex[:8]}"
        install_crd(self._connection)
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}}
        self._connection.send(Request("POST", "/api/v1/namespaces", (), body))

    def close(self) -> None:
        """Delete the namespace; its controller does the rest later."""
        path = f"/api/v1/namespaces/{self.namespace}"
        self._connection.send(Request("DELETE", path))
        self._connection.close()

    def add(self, raw: Raw) -> Raw:
        placed = _placed(raw, self.namespace)
        path = list_path(raw["apiVersion"], raw["kind"], self.namespace)
        query = (("fieldManager", "kubectl-client-side-apply"),)
        return dict(self._connection.send(Request("POST", path, query, placed)))

    def edit(self, raw: Raw, change: Change) -> Raw:
        query = (("fieldManager", "kubectl-edit"),)
        while True:
            live = copy.deepcopy(dict(self._connection.get(_path(raw))))
            change(live)
            with suppress(Conflict):
                return dict(self._connection.send(Request("PUT", _path(raw), query, live)))

    def read(self, raw: RawObject) -> Raw | None:
        try:
            return dict(self._connection.get(_path(raw)))
        except Gone:
            return None

    def remove(self, raw: Raw) -> None:
        self._connection.send(Request("DELETE", _path(raw)))

    def until(self, reached: Callable[[], bool]) -> None:
        ends = time.monotonic() + DEADLINE_SECONDS
        while not reached():
            assert time.monotonic() < ends, f"not reached in {DEADLINE_SECONDS} s"
            time.sleep(0.2)


def install_crd(connection: Connection) -> None:
    """Install the committed CRD unless it is there, and wait until it is served."""
    document = yaml.safe_load(CRD_FILE.read_text())
    collection = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    with suppress(AlreadyExists):
        connection.send(Request("POST", collection, (), document))
    ends = time.monotonic() + DEADLINE_SECONDS
    while True:
        try:
            connection.get(f"/apis/{document['spec']['group']}/v1alpha1/inferencetunings")
        except (Gone, Unavailable):
            # Not served yet, or served by a storage that is still being set up (429).
            assert time.monotonic() < ends, "the CRD is not served"
            time.sleep(0.2)
        else:
            return


def _placed(raw: Raw, namespace: str) -> Raw:
    placed = copy.deepcopy(raw)
    placed["metadata"]["namespace"] = namespace
    return placed


def _place(raw: RawObject) -> tuple[str, str, str]:
    return raw["kind"], raw["metadata"]["namespace"], raw["metadata"]["name"]


def _path(raw: RawObject) -> str:
    metadata = raw["metadata"]
    return object_path(raw["apiVersion"], raw["kind"], metadata["namespace"], metadata["name"])
