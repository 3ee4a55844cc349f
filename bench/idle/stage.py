"""The cluster of the bench: operator, Prometheus, targets, tunings; and the way back.

Role: bring the node into the state that is measured. It must not know what is measured. Its
trade-off: the operator is stopped while tunings are written, or it would begin to tune them; the
one that is measured therefore starts with all of them, as after an upgrade.
"""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bench.idle.objects import NAMESPACE, ground, target_name, targets, tuning
from bench.idle.searched_status import Target, searched_status
from demo.console import Console
from demo.errors import DemoError
from demo.image_set import OPERATOR, PROBES
from demo.install import OPERATOR_NAMESPACE, OWNED, RELEASE, install_metrics, install_operator
from demo.kubectl import manifests
from demo.place import Place
from devcluster.images import build_image, load_image
from devcluster.prometheus import URL_IN_CLUSTER
from infertune.adapters.kube.connection import Connection, Request
from infertune.adapters.kube.paths import list_path, object_path
from infertune.api.v1alpha1 import API_VERSION, KIND

KEY_ANNOTATION = "demo-image-key"
WRITERS = 4
READY_TIMEOUT = "300s"
NODES = "/api/v1/nodes"
PODS = "/api/v1/pods"
IMAGES = {OPERATOR: "operator", PROBES: "probes"}


@dataclass(frozen=True, slots=True)
class Stage:
    """A cluster that answers, by kubectl and by the operator's own client."""

    place: Place
    connection: Connection
    console: Console

    def install(self) -> str:
        """Have Prometheus and this checkout's operator installed; return the image's key."""
        keys: dict[str, str] = {}
        for tag, target in IMAGES.items():
            keys[tag] = build_image(target, tag, settings=self.place.settings).key
            load_image(tag, self.place.settings)
        install_metrics(self.place)
        if self._installed_key() == f"key-{keys[OPERATOR]}":
            self.console.say("operator: this checkout's is installed")
            return keys[OPERATOR]
        labels = {OWNED: "true"}
        metadata = {"name": OPERATOR_NAMESPACE, "labels": labels}
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
        self.place.cluster.apply(manifests([namespace]), manager="infertune-demo-claim")
        install_operator(self.place, keys, self.console)
        return keys[OPERATOR]

    def refuse_full(self, pods: int) -> None:
        """Stop where the node has no room for so many pods.

        Raises:
            DemoError: It has not; the message says what to do.
        """
        node = self._items(NODES)[0]
        room = int(node["status"]["allocatable"]["pods"])
        taken = sum(pod["metadata"]["namespace"] != NAMESPACE for pod in self._items(PODS))
        if taken + pods > room:
            message = (
                f"the node takes {room} pods and has {taken}: {pods} more need it to be started "
                "anew with DEVCLUSTER_MAX_PODS=230 (python -m devcluster down, then up)"
            )
            raise DemoError(message)

    def place_targets(self, count: int, histograms: int) -> None:
        """Create the targets and wait until all of them serve."""
        cluster = self.place.cluster
        cluster.apply(manifests(list(ground())))
        documents = list(targets(count, histograms, PROBES))
        cluster.run(
            "apply",
            "--server-side",
            "--filename=-",
            stdin=manifests(documents),
            timeout_seconds=300,
        )
        self.console.say(f"targets: {count} Deployments with an autoscaler each, starting")
        scope = f"--namespace={NAMESPACE}"
        words = ("wait", "deployment", "--all", scope, "--for=condition=Available")
        cluster.run(*words, f"--timeout={READY_TIMEOUT}", timeout_seconds=330)
        self.console.say("targets: all available")

    def stop_operator(self) -> None:
        """Let no operator run, and wait until none does."""
        self._scale(0)
        selector = f"app.kubernetes.io/instance={RELEASE}"
        scope = f"--namespace={OPERATOR_NAMESPACE}"
        words = ("wait", "pod", scope, f"--selector={selector}", "--for=delete", "--timeout=60s")
        self.place.cluster.run(*words, timeout_seconds=70)

    def start_operator(self) -> None:
        """Start the operator and wait until it is ready."""
        self._scale(1)
        scope = f"--namespace={OPERATOR_NAMESPACE}"
        words = ("rollout", "status", f"deployment/{RELEASE}", scope, "--timeout=120s")
        self.place.cluster.run(*words, timeout_seconds=150)

    def write_tunings(self, count: int, histograms: int) -> None:
        """Create the tunings; record by the status subresource that they were searched."""
        uids = {
            one["metadata"]["name"]: one["metadata"]["uid"]
            for one in self._items(list_path("apps/v1", "Deployment", NAMESPACE))
        }
        node = self._items(NODES)[0]["metadata"]["name"]

        def write(number: int) -> None:
            name = target_name(number)
            made = self.connection.send(
                Request(
                    "POST",
                    list_path(API_VERSION, KIND, NAMESPACE),
                    body=tuning(number, histograms, URL_IN_CLUSTER),
                )
            )
            status = searched_status(Target(name, uids[name], node, PROBES), datetime.now(UTC))
            body = status.model_dump(mode="json", by_alias=True, exclude_none=True)
            path = f"{object_path(API_VERSION, KIND, NAMESPACE, name)}/status"
            self.connection.send(Request("PUT", path, body={**made, "status": body}))

        with ThreadPoolExecutor(WRITERS) as pool:
            list(pool.map(write, range(count)))
        self.console.say(f"tunings: {count} written, with the status of a finished search")

    def operator_pod(self) -> Mapping[str, Any]:
        """Return the pod of the operator.

        Raises:
            DemoError: There is not exactly one that runs.
        """
        found = [
            pod
            for pod in self._items(list_path("v1", "Pod", OPERATOR_NAMESPACE))
            if pod["status"].get("containerStatuses") and "deletionTimestamp" not in pod["metadata"]
        ]
        if len(found) != 1:
            message = f"{len(found)} operator pods run in {OPERATOR_NAMESPACE}, one is wanted"
            raise DemoError(message)
        return found[0]

    def tunings(self) -> list[dict[str, Any]]:
        """Return the tunings as they stand."""
        return self._items(list_path(API_VERSION, KIND, NAMESPACE))

    def series(self, histograms: int) -> int:
        """Return how many target pods Prometheus has a histogram of."""
        counts = (
            f'count(idle_request_seconds_{number:03d}_count{{namespace="{NAMESPACE}",code="200"}})'
            for number in range(histograms)
        )
        return sum(int(value) for text in counts for value in self.ask(text))

    def ask(self, query: str, at: float | None = None) -> list[float]:
        """Return the values of an instant query to Prometheus."""
        moment = {} if at is None else {"time": f"{at:.3f}"}
        answer = self.place.cluster.prometheus("/api/v1/query", {"query": query, **moment})
        return [float(one["value"][1]) for one in answer["data"]["result"]]

    def page(self, path: str) -> str:
        """Return a metrics page, asked through the API server."""
        return self.connection.send_for_text(Request("GET", path))

    def remove(self) -> None:
        """Delete the targets and tunings; operator and Prometheus stay."""
        if self.place.cluster.find("namespace", NAMESPACE) is None:
            return
        self.console.say(f"removing namespace {NAMESPACE}")
        scope = ("--ignore-not-found", "--wait=true", "--timeout=240s")
        self.place.cluster.run("delete", "namespace", NAMESPACE, *scope, timeout_seconds=260)

    def _scale(self, replicas: int) -> None:
        scope = f"--namespace={OPERATOR_NAMESPACE}"
        self.place.cluster.run("scale", f"deployment/{RELEASE}", scope, f"--replicas={replicas}")

    def _installed_key(self) -> str:
        found = self.place.cluster.find("deployment", RELEASE, OPERATOR_NAMESPACE)
        if found is None:
            return ""
        annotations = found["spec"]["template"]["metadata"].get("annotations") or {}
        return str(annotations.get(KEY_ANNOTATION, ""))

    def _items(self, path: str) -> list[dict[str, Any]]:
        return list(self.connection.get(path)["items"])


def stable(tunings: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the tunings that rest."""
    return (one for one in tunings if one.get("status", {}).get("state") == "Stable")


def watched(tunings: list[dict[str, Any]]) -> int:
    """Return how many tunings are stable and carry live figures of their one pod."""
    return sum(
        (one["status"].get("live") or {}).get("pods") == 1
        and one["status"]["live"]["requestRate"].get("value") is not None
        for one in stable(tunings)
    )
