"""One namespace with a model server under live traffic, and the hands of the people beside it.

Role: what a test does and sees: apply a tuning, look at it, kill, delete, slow the server down.
Must not know: what should come out. Trade-off: looking is one cheap request a second over one
connection, since kubectl would take the processor that the test is about; kubectl is used where a
user would use it.
"""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from demo.client_windows import parse_windows
from demo.image_set import PROBES
from demo.install import OPERATOR_NAMESPACE, RELEASE, remove_workload
from demo.kubectl import Kubectl, manifests
from demo.workload import CLIENT, CONTAINER, SERVER, client_document, server_documents
from devcluster.errors import CommandError
from infertune.adapters.kube.connection import Connection, Request
from infertune.adapters.kube.paths import list_path, object_path
from infertune.api.status import Configuration, TuningStatus
from infertune.api.v1alpha1 import API_VERSION, KIND, parse_status
from infertune.core.snapshot import RawObject
from infertune.ports import Gone
from tests.e2e.node import Node
from tests.e2e.tunings import NAME, START_REPLICAS, live_spec

LOOK_SECONDS = 1.0
START_SECONDS = 180.0
WARM_WINDOWS = 5
RESTING = ("Stable", "Halted")
TUNINGS = "inferencetunings.infertune.io"
ADMIN = "/admin/batching"


@dataclass(frozen=True, slots=True)
class Setting:
    """The fields that a tuning may write, as they stand on the live objects."""

    image: str
    batch_size: str | None
    min_replicas: int
    max_replicas: int


@dataclass(slots=True)
class Sightings:
    """What was seen while waiting: every state in its order, every Job by name with its UIDs."""

    states: list[str] = field(default_factory=list)
    jobs: dict[str, set[str]] = field(default_factory=dict)


class Stage:
    """A namespace of its own on the node."""

    def __init__(self, node: Node, namespace: str) -> None:
        self.cluster: Kubectl = node.place.cluster
        self.namespace = namespace
        self.seen = Sightings()
        self._node = node
        self._api: Connection = node.connection

    def open(self) -> None:
        """Start the server and its client, and wait until traffic is steady."""
        self.close()
        names = self._node.images
        server = [_scaled(one) for one in server_documents(names, self.namespace)]
        client = client_document(live_spec(), names[PROBES], self.namespace)
        self.cluster.apply(manifests([*server, client]), manager="kubectl")
        # The autoscaler would do the same at its next look, up to 15 seconds later.
        self._kubectl("scale", f"deployment/{SERVER}", f"--replicas={START_REPLICAS}")
        for name in (SERVER, CLIENT):
            words = ("rollout", "status", f"deployment/{name}", "--timeout=180s")
            self._kubectl(*words, timeout_seconds=200)
        self.until(self._traffic_is_steady, "the client's traffic is steady", START_SECONDS)

    def close(self) -> None:
        """Delete the namespace with everything in it and wait until it is gone."""
        remove_workload(self.cluster, self.namespace)

    def apply(self, manifest: RawObject) -> None:
        """Apply a tuning as a user would."""
        self.cluster.apply(json.dumps(manifest), manager="kubectl")

    def find_tuning(self) -> RawObject | None:
        """Return the tuning, or None when it does not exist."""
        try:
            return self._api.get(object_path(API_VERSION, KIND, self.namespace, NAME))
        except Gone:
            return None

    def status(self) -> TuningStatus:
        """Return the tuning's status and note what is seen."""
        found = self.find_tuning()
        assert found is not None, f"the tuning {self.namespace}/{NAME} is gone"
        status = parse_status(found.get("status", {}))
        if self.seen.states[-1:] != [status.state]:
            self.seen.states.append(status.state)
        for job in self.objects("batch/v1", "Job"):
            metadata = job["metadata"]
            self.seen.jobs.setdefault(metadata["name"], set()).add(metadata["uid"])
        return status

    def until(self, reached: Callable[[], object], what: str, seconds: float) -> None:
        """Wait until something is so.

        Raises:
            AssertionError: It did not become so in time.
        """
        ends = time.monotonic() + seconds
        while not reached():
            assert time.monotonic() < ends, f"not within {seconds:.0f} s: {what}"
            time.sleep(LOOK_SECONDS)

    def until_state(self, state: str, seconds: float) -> TuningStatus:
        """Wait for a state; one in which the tuning rests instead ends the wait at once."""

        def reached() -> bool:
            found = self.status().state
            assert found == state or found not in RESTING, f"ended {found}, awaited was {state}"
            return found == state

        self.until(reached, f"state {state}", seconds)
        return self.status()

    def objects(self, api_version: str, kind: str) -> tuple[RawObject, ...]:
        """Return the objects of a kind in the namespace."""
        return tuple(self._api.get(list_path(api_version, kind, self.namespace))["items"])

    def target(self) -> RawObject:
        """Return the live Deployment."""
        return self._api.get(object_path("apps/v1", "Deployment", self.namespace, SERVER))

    def autoscaler(self) -> RawObject:
        """Return the live HorizontalPodAutoscaler."""
        kind = "HorizontalPodAutoscaler"
        return self._api.get(object_path("autoscaling/v2", kind, self.namespace, SERVER))

    def setting(self) -> Setting:
        """Return what stands on Deployment and autoscaler."""
        bounds = self.autoscaler()["spec"]
        return setting_of(self.target(), bounds["minReplicas"], bounds["maxReplicas"])

    def live_pods(self) -> tuple[RawObject, ...]:
        """Return the server's pods that are not being deleted."""
        return tuple(
            pod
            for pod in self.objects("v1", "Pod")
            if pod["metadata"]["labels"].get("app.kubernetes.io/name") == SERVER
            and "deletionTimestamp" not in pod["metadata"]
        )

    def ask(self, pod: RawObject, path: str, body: RawObject | None = None) -> RawObject:
        """Send a request to a pod of the server through the API server; with a body, a POST."""
        name = pod["metadata"]["name"]
        root = object_path("v1", "Pod", self.namespace, f"{name}:8080").replace("%3A", ":")
        method = "GET" if body is None else "POST"
        return self._api.send(Request(method, f"{root}/proxy{path}", (), body))

    def kill_operator(self) -> str:
        """Kill the operator's pod without grace and return its name."""
        (name,) = self.operator_pods()
        scope = f"--namespace={OPERATOR_NAMESPACE}"
        self.cluster.run("delete", "pod", name, scope, "--grace-period=0", "--force")
        return name

    def operator_pods(self) -> tuple[str, ...]:
        """Return the names of the operator's pods that are not being deleted."""
        items = self._api.get(list_path("v1", "Pod", OPERATOR_NAMESPACE))["items"]
        return tuple(
            pod["metadata"]["name"]
            for pod in items
            if pod["metadata"]["labels"].get("app.kubernetes.io/instance") == RELEASE
            and "deletionTimestamp" not in pod["metadata"]
        )

    def delete_tuning(self) -> None:
        """Ask for the tuning's deletion; how it goes is the operator's business."""
        self._kubectl("delete", TUNINGS, NAME, "--wait=false")

    def left_over(self) -> tuple[str, ...]:
        """Return what still belongs to a tuning: Jobs, their pods, ConfigMaps of ours."""
        kinds = (("batch/v1", "Job"), ("v1", "Pod"), ("v1", "ConfigMap"))
        return tuple(
            f"{kind}/{one['metadata']['name']}"
            for api_version, kind in kinds
            for one in self.objects(api_version, kind)
            if one["metadata"].get("labels", {}).get("app.kubernetes.io/managed-by") == "infertune"
        )

    def tell(self, words: str) -> None:
        """Write a line that `pytest -rA` shows of a test that passed too."""
        sys.stdout.write(f"{self.namespace}: {words}\n")

    def kubectl_lines(self, *words: str) -> str:
        """Return what kubectl prints about this namespace, or why it cannot."""
        try:
            return self._kubectl(*words)
        except CommandError as error:
            return str(error)

    def _kubectl(self, *words: str, timeout_seconds: float = 60) -> str:
        scope = f"--namespace={self.namespace}"
        return self.cluster.run(*words, scope, timeout_seconds=timeout_seconds)

    def _traffic_is_steady(self) -> bool:
        ready = int(self.target().get("status", {}).get("readyReplicas", 0))
        windows = parse_windows(self._kubectl("logs", f"deployment/{CLIENT}"))
        served = [one for one in windows if one.completed]
        return ready == START_REPLICAS and len(served) >= WARM_WINDOWS


def setting_of(deployment: RawObject, low: int, high: int) -> Setting:
    """Return the tuned fields of a Deployment, with the bounds of its autoscaler."""
    containers = deployment["spec"]["template"]["spec"]["containers"]
    (server,) = (one for one in containers if one["name"] == CONTAINER)
    (batch,) = [e["value"] for e in server["env"] if e["name"] == "MAX_BATCH_SIZE"] or [None]
    return Setting(server["image"], batch, low, high)


def setting_reported(configuration: Configuration) -> Setting:
    """Return the same fields as a status reports them."""
    assert configuration.min_replicas is not None
    assert configuration.max_replicas is not None
    batch = configuration.batch_size
    return Setting(
        configuration.image,
        None if batch is None else str(batch),
        configuration.min_replicas,
        configuration.max_replicas,
    )


def condition(status: TuningStatus, name: str) -> tuple[str, str]:
    """Return status and reason of a condition."""
    (found,) = (one for one in status.conditions if one.type == name)
    return found.status, found.reason


def sentence(status: TuningStatus, name: str) -> str:
    """Return the message of a condition."""
    (found,) = (one for one in status.conditions if one.type == name)
    return found.message


def _scaled(document: dict[str, Any]) -> dict[str, Any]:
    """Return a document of the demo with the replica bounds of these tests."""
    if document["kind"] != "HorizontalPodAutoscaler":
        return document
    bounds = {"minReplicas": START_REPLICAS, "maxReplicas": START_REPLICAS}
    return {**document, "spec": {**document["spec"], **bounds}}
