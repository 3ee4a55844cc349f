"""A namespace with a target that seems to run, on a control plane without a node.

Role: the Deployment, its pods bound to a Node that only stands in the register, a Prometheus that
knows nothing, and a tuning. Must not know: who operates on it. Trade-off: pods never become ready;
a tuning gets as far as its probes, which is far enough to see who writes.
"""

import copy
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from infertune.adapters.kube.connection import Request
from infertune.adapters.kube.paths import list_path, object_path
from infertune.api.v1alpha1 import API_VERSION, KIND
from infertune.ports import AlreadyExists, Conflict
from tests.fakes import cases
from tests.wiring.plane import Plane, eventually

NODE = "paper-node"
# They look for an API server that was away with pauses of their own.
CONTROLLERS_SECONDS = 90.0
MERGE_PATCH = "application/merge-patch+json"
EMPTY = {"status": "success", "data": {"resultType": "vector", "result": []}}


@dataclass
class Scenery:
    """One namespace and the hand that changes it."""

    plane: Plane
    namespace: str
    prometheus: str = "http://127.0.0.1:1"
    name: str = field(default="demo")

    @property
    def _path(self) -> str:
        return object_path(API_VERSION, KIND, self.namespace, self.name)

    def add(self, raw: dict[str, Any]) -> dict[str, Any]:
        """Create an object here."""
        placed = copy.deepcopy(raw)
        placed["metadata"]["namespace"] = self.namespace
        path = list_path(raw["apiVersion"], raw["kind"], self.namespace)
        return dict(self.plane.admin.send(Request("POST", path, (), placed)))

    def tuning(self, **changes: Any) -> dict[str, Any]:
        """Return a tuning of the target here."""
        raw = cases.tuning(**changes)
        raw["spec"]["metrics"]["prometheusURL"] = self.prometheus
        raw["metadata"]["name"] = self.name
        return raw

    def add_tuning(self, **changes: Any) -> None:
        """Create the tuning."""
        self.add(self.tuning(**changes))

    def edit_tuning(self, patch: dict[str, Any]) -> int:
        """Change the tuning; return its new generation."""
        request = Request("PATCH", self._path, (), patch, MERGE_PATCH)
        return int(self.plane.admin.send(request)["metadata"]["generation"])

    def remove_tuning(self) -> None:
        """Delete the tuning."""
        self.plane.admin.send(Request("DELETE", self._path))

    def status(self) -> dict[str, Any]:
        """Return the status of the tuning."""
        return dict(self.plane.admin.get(self._path).get("status") or {})

    def state(self) -> str:
        """Return the state of the tuning."""
        return str(self.status().get("state", ""))

    def observed_generation(self) -> int:
        """Return the generation that an operator has seen."""
        return int(self.status().get("observedGeneration", 0))

    def jobs(self) -> list[dict[str, Any]]:
        """Return the Jobs here."""
        return list(self.plane.admin.get(list_path("batch/v1", "Job", self.namespace))["items"])

    def pods(self) -> list[dict[str, Any]]:
        """Return the pods here."""
        return list(self.plane.admin.get(list_path("v1", "Pod", self.namespace))["items"])


def scenery(
    plane: Plane, namespace: str, prometheus: str, target: dict[str, Any] | None = None
) -> Scenery:
    """Make the namespace with its target, and wait until its pods are bound."""
    plane.namespace(namespace)
    place = Scenery(plane, namespace, prometheus)
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}}
    with suppress(AlreadyExists):
        plane.admin.send(Request("POST", "/api/v1/nodes", (), node))
    eventually(lambda: _has_account(place), "the namespace has its account", CONTROLLERS_SECONDS)
    place.add(target or cases.deployment())
    place.add(cases.autoscaler())
    eventually(lambda: len(place.pods()) == 2, "the target has its pods", CONTROLLERS_SECONDS)
    for pod in place.pods():
        bind(place, pod["metadata"]["name"])
    return place


def bind(place: Scenery, pod: str) -> None:
    """Put a pod on the node that does not exist."""
    body = {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": pod},
        "target": {"kind": "Node", "name": NODE},
    }
    path = object_path("v1", "Pod", place.namespace, pod) + "/binding"
    with suppress(Conflict):
        place.plane.admin.send(Request("POST", path, (), body))


def _has_account(place: Scenery) -> bool:
    path = f"/api/v1/namespaces/{place.namespace}/serviceaccounts"
    return bool(place.plane.admin.get(path)["items"])


@dataclass
class StubPrometheus:
    """Knows no series. ``headers`` are those of every request."""

    url: str
    headers: list[dict[str, str]] = field(default_factory=list)


@contextmanager
def stub_prometheus() -> Iterator[StubPrometheus]:
    """Yield a Prometheus that answers every query with nothing."""
    stub = StubPrometheus("")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            stub.headers.append(dict(self.headers))
            body = json.dumps(EMPTY).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # as inherited
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    stub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield stub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
