"""Workloads that real controllers roll out, on a control plane without a node.

Role: make a workload, change its template, and play the kubelet: a pod is ready when the test says
so. Must not know: what ought to happen. Trade-off: a pod without a node never runs a container, but
Deployments, StatefulSets, quotas and budgets look only at what is said of its readiness.
"""

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from infertune.adapters.kube.connection import Request
from infertune.adapters.kube.paths import list_path, object_path
from infertune.api.spec import Rollout
from infertune.api.status import BatchPlace, RolloutIntent, TemplateValues
from infertune.core.feasibility import Change, Infeasible, why_infeasible
from infertune.core.snapshot import RawObject
from infertune.ports import Gone
from tests.conformance.stages import Raw, RealStage

MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
# Controllers that have nothing to do any more leave everything as it is for this long.
QUIET_SECONDS = 1.0
DEADLINE_SECONDS = 30.0
OLD, NEW = "1", "16"


class Ground(RealStage):
    """A namespace, and the hand that plays the kubelet of its pods."""

    def __init__(self, kubeconfig: Path) -> None:
        super().__init__(kubeconfig)
        self.kubeconfig = kubeconfig

    def workload(self, name: str, replicas: int, kind: str = "Deployment", **spec: Any) -> None:
        """Create a workload and let all its pods serve."""
        self.add(workload(kind, name, replicas, **spec))
        self.until(lambda: self._serve(name) == replicas)
        self.until(lambda: settled(self.live(name, kind), replicas))

    def send(self, request: Request) -> Any:
        """Ask the API server for something that no port knows."""
        return self._connection.send(request)

    def live(self, name: str, kind: str = "Deployment") -> Raw:
        """Return the workload as it stands."""
        return dict(self._connection.get(object_path("apps/v1", kind, self.namespace, name)))

    def patch(self, name: str, body: Mapping[str, Any], kind: str = "Deployment") -> None:
        """Change the workload by another hand."""
        path = object_path("apps/v1", kind, self.namespace, name)
        self._connection.send(Request("PATCH", path, (), body, MERGE))

    def turn(self, name: str, kind: str = "Deployment") -> None:
        """Write the new value into the template, whatever anybody thinks of it."""
        entry = {"name": "MAX_BATCH_SIZE", "value": NEW}
        spec = {"containers": [{"name": "server", "env": [entry]}]}
        path = object_path("apps/v1", kind, self.namespace, name)
        body = {"spec": {"template": {"spec": spec}}}
        self._connection.send(Request("PATCH", path, (), body, STRATEGIC))

    def pods(self, name: str) -> list[Raw]:
        """Return the pods of a workload that are not on their way out."""
        items = self._connection.get(list_path("v1", "Pod", self.namespace))["items"]
        return [
            pod
            for pod in items
            if pod["metadata"]["labels"].get("app") == name
            and "deletionTimestamp" not in pod["metadata"]
        ]

    def serve_one(self, name: str) -> bool:
        """Let one pod that waits become ready; return whether one waited."""
        waiting = [pod for pod in self.pods(name) if not ready(pod)]
        return bool(waiting) and self._becomes_ready(waiting[0])

    def quiet(self) -> None:
        """Wait until the controllers leave the namespace's pods and workloads alone."""
        ends, since, before = time.monotonic() + DEADLINE_SECONDS, time.monotonic(), ""
        while time.monotonic() - since < QUIET_SECONDS:
            assert time.monotonic() < ends, "the controllers do not come to rest"
            found = self._versions()
            if found != before:
                since, before = time.monotonic(), found
            time.sleep(0.1)

    def quota(self, **hard: str) -> None:
        """Limit the namespace, and wait until it is counted what is used."""
        raw = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "team"}}
        stored = self.add({**raw, "spec": {"hard": hard}})
        self.until(lambda: (self.read(stored) or {}).get("status", {}).get("used") is not None)

    def quotas(self) -> tuple[RawObject, ...]:
        """Return the quotas as the operator reads them."""
        return self.cluster.list_quotas(self.namespace)

    def answer(
        self,
        name: str,
        kind: str = "Deployment",
        *,
        startup: float | None = None,
        needed: int | None = 1,
        intent: RolloutIntent | None = None,
        rules: Rollout | None = None,
    ) -> Infeasible | None:
        """Return what is said of turning this workload as it stands now."""
        return why_infeasible(
            Change(
                workload=self.live(name, kind),
                intent=intent or turning(),
                rules=rules or Rollout(),
                quotas=self.quotas(),
                startup_seconds=startup,
                needed_replicas=needed,
            )
        )

    def _serve(self, name: str) -> int:
        while self.serve_one(name):
            pass
        return sum(ready(pod) for pod in self.pods(name))

    def _becomes_ready(self, pod: RawObject) -> bool:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        said = {"type": "Ready", "status": "True", "lastTransitionTime": now}
        body = {"status": {"phase": "Running", "startTime": now, "conditions": [said]}}
        path = object_path("v1", "Pod", self.namespace, pod["metadata"]["name"])
        try:
            self._connection.send(Request("PATCH", f"{path}/status", (), body, STRATEGIC))
        except Gone:
            return False
        return True

    def _versions(self) -> str:
        found: list[str] = []
        for version, kind in (
            ("v1", "Pod"),
            ("apps/v1", "ReplicaSet"),
            ("apps/v1", "Deployment"),
            ("apps/v1", "StatefulSet"),
        ):
            items = self._connection.get(list_path(version, kind, self.namespace))["items"]
            found += [f"{kind}/{one['metadata']['name']}@{revision(one)}" for one in items]
        return " ".join(sorted(found))


def workload(kind: str, name: str, replicas: int, **spec: Any) -> Raw:
    """Return a Deployment or StatefulSet with one container and the old value."""
    container = {
        "name": "server",
        "image": "server:1",
        "env": [{"name": "MAX_BATCH_SIZE", "value": OLD}],
        "resources": {"requests": {"cpu": "100m"}, "limits": {"cpu": "100m"}},
    }
    labels = {"app": name}
    own = {"serviceName": name} if kind == "StatefulSet" else {}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
            **own,
            **spec,
        },
    }


def turning(**changes: Any) -> RolloutIntent:
    """Return the intent to write the new value."""
    return RolloutIntent(
        place=BatchPlace(env="MAX_BATCH_SIZE"),
        before=TemplateValues(batch_value=OLD),
        after=TemplateValues(batch_value=NEW),
    ).model_copy(update=changes)


def ready(pod: RawObject) -> bool:
    """Return whether a pod is ready."""
    conditions = pod.get("status", {}).get("conditions") or ()
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def value_of(pod: RawObject) -> str:
    """Return the value that a pod runs with."""
    env = pod["spec"]["containers"][0]["env"]
    return next(str(entry["value"]) for entry in env if entry["name"] == "MAX_BATCH_SIZE")


def settled(raw: RawObject, replicas: int) -> bool:
    """Return whether the controller has seen that all replicas serve."""
    return int(raw.get("status", {}).get("availableReplicas", 0)) == replicas


def revision(raw: RawObject) -> str:
    """Return what changes with each write to an object."""
    return str(raw["metadata"]["resourceVersion"])


def never(seconds: float, happens: Callable[[], bool]) -> None:
    """Assert that something does not happen for a while."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        assert not happens()
        time.sleep(0.2)
