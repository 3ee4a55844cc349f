"""The stage of the stories on a real API server: real objects, real adapter, simulated controllers.

Role: ``RealStore`` gives the simulated node and the stories the same few verbs over an API server
that ``ObjectStore`` gives them in memory; the operator talks through ``KubeCluster``. Must not
be used on a cluster where something else works: it expects an API server without controllers, and
clears the namespace before each story. Trade-off: without a kubelet there is no log to read, so the
results of probes are handed over in memory, and the ages of Jobs follow the story's clock.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from infertune.adapters.kube.cluster import KubeCluster
from infertune.adapters.kube.connection import Connection, Request
from infertune.adapters.kube.paths import list_path, object_path
from infertune.api.v1alpha1 import API_VERSION, KIND
from infertune.core.snapshot import JobView, ProbeFailure, RawObject
from infertune.ports import AlreadyExists, Conflict, Gone
from infertune_probes.contract.load import Envelope
from tests.fakes.cases import NAMESPACE
from tests.fakes.clock import FakeClock
from tests.fakes.controllers import SimulatedNode
from tests.fakes.copies import copied
from tests.scenario.book import Story
from tests.scenario.stories import Stage

KINDS = {
    KIND: API_VERSION,
    "Deployment": "apps/v1",
    "StatefulSet": "apps/v1",
    "ReplicaSet": "apps/v1",
    "HorizontalPodAutoscaler": "autoscaling/v2",
    "Job": "batch/v1",
    "Pod": "v1",
    "Service": "v1",
    "ConfigMap": "v1",
}
Raw = dict[str, Any]


class RealStore:
    """The verbs of ``ObjectStore`` over an API server."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.listeners: list[Callable[[str, Raw], None]] = []
        self._last: dict[tuple[str, str, str], Raw] = {}

    def clear(self) -> None:
        """Delete everything that a story may have made; finalizers are taken off first."""
        for kind in KINDS:
            for raw in self.look_at_all(kind, NAMESPACE):
                name = raw["metadata"]["name"]
                with suppress(Gone):
                    if raw["metadata"].get("finalizers"):
                        self.edit(
                            kind, NAMESPACE, name, lambda one: one["metadata"].update(finalizers=[])
                        )
                    self.delete(kind, NAMESPACE, name)
        self._last.clear()

    def add(self, raw: Mapping[str, Any], manager: str = "kubectl-client-side-apply") -> Raw:
        """Create an object."""
        path = list_path(KINDS[raw["kind"]], raw["kind"], raw["metadata"]["namespace"])
        body = {**raw, "apiVersion": KINDS[raw["kind"]]}
        return self._sent("POST", path, body, manager, raw["kind"])

    def look(self, kind: str, namespace: str, name: str) -> Raw | None:
        """Return an object, or None."""
        with suppress(Gone):
            found = self.connection.get(object_path(KINDS[kind], kind, namespace, name))
            return {**found, "kind": kind}
        return None

    def read(self, kind: str, namespace: str, name: str) -> Raw:
        """Return an object that is there."""
        found = self.look(kind, namespace, name)
        if found is None:
            msg = f"{kind} {name!r} not found"
            raise Gone(msg)
        return found

    def look_at_all(self, kind: str, namespace: str | None = None) -> list[Raw]:
        """Return all objects of a kind in the one namespace, by name."""
        if kind not in KINDS:
            return []
        answer = self.connection.get(list_path(KINDS[kind], kind, namespace or NAMESPACE))
        found = [{**raw, "kind": kind, "apiVersion": KINDS[kind]} for raw in answer["items"]]
        return sorted(found, key=lambda raw: str(raw["metadata"]["name"]))

    all = look_at_all
    find = look

    def replace(self, raw: Mapping[str, Any], *, status_only: bool = False) -> Raw:
        """Write an object that was read before."""
        path = self._path(raw) + ("/status" if status_only else "")
        return self._sent("PUT", path, raw, "kube-controller-manager", raw["kind"])

    def edit(
        self,
        kind: str,
        namespace: str,
        name: str,
        change: Callable[[Raw], None],
        manager: str = "kubectl-edit",
    ) -> Raw:
        """Change an object by somebody else's hand."""
        while True:
            live = copied(self.read(kind, namespace, name))
            change(live)
            with suppress(Conflict):
                return self._sent("PUT", self._path(live), live, manager, kind)

    def delete(self, kind: str, namespace: str, name: str, uid: str | None = None) -> None:
        """Delete an object at once; with finalizers it only begins to go."""
        body: Raw = {"gracePeriodSeconds": 0, "propagationPolicy": "Background"}
        if uid is not None:
            body["preconditions"] = {"uid": uid}
        path = object_path(KINDS[kind], kind, namespace, name)
        self.connection.send(Request("DELETE", path, (), body))

    def collect_garbage(self) -> None:
        """Delete what names only owners that are gone."""
        while True:
            every = [raw for kind in KINDS for raw in self.look_at_all(kind)]
            uids = {raw["metadata"]["uid"] for raw in every}
            orphans = [raw for raw in every if _owners(raw) and not _owners(raw) & uids]
            for raw in orphans:
                with suppress(Gone):
                    self.delete(raw["kind"], NAMESPACE, raw["metadata"]["name"])
            if not orphans:
                return

    def tell(self) -> None:
        """Tell the listeners what is new since the last time, as watches do."""
        found = {
            (kind, NAMESPACE, raw["metadata"]["name"]): raw
            for kind in KINDS
            for raw in self.look_at_all(kind)
        }
        for place, raw in found.items():
            old = self._last.get(place)
            if old is None or _version(old) != _version(raw):
                self._deliver("ADDED" if old is None else "MODIFIED", raw)
        for place in set(self._last) - set(found):
            self._deliver("DELETED", self._last[place])
        self._last = found

    def _deliver(self, event: str, raw: Raw) -> None:
        for listener in self.listeners:
            listener(event, raw)

    def _path(self, raw: Mapping[str, Any]) -> str:
        metadata = raw["metadata"]
        kind = raw["kind"]
        return object_path(KINDS[kind], kind, metadata["namespace"], metadata["name"])

    def _sent(self, method: str, path: str, raw: Mapping[str, Any], manager: str, kind: str) -> Raw:
        body = {**raw, "apiVersion": KINDS[kind]}
        query = (("fieldManager", manager),)
        return {**self.connection.send(Request(method, path, query, body)), "kind": kind}


class RealCluster(KubeCluster):
    """The real adapter over a store that stories share, with what a kubelet would know."""

    def __init__(self, connection: Connection, clock: FakeClock) -> None:
        super().__init__(connection, clock)
        self.clock = clock
        self.store = RealStore(connection)
        self.results: dict[str, Envelope | ProbeFailure] = {}
        self._born: dict[str, datetime] = {}

    def list_jobs(self, namespace: str, tuning_uid: str) -> tuple[JobView, ...]:
        """Return the Jobs, born when the story's clock says."""
        found = super().list_jobs(namespace, tuning_uid)
        for view in found:
            self._born.setdefault(view.uid, self.clock.now())
        return tuple(replace(view, created_at=self._born[view.uid]) for view in found)

    def _result(self, pod: RawObject | None) -> Envelope | ProbeFailure | None:
        return None if pod is None else self.results.get(pod["metadata"]["uid"])


def make_ready(connection: Connection) -> None:
    """Give the namespace the account that a controller would, and without which no pod is made."""
    path = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts"
    body = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
    with suppress(AlreadyExists):
        connection.send(Request("POST", path, (), body))


def _owners(raw: Raw) -> set[str]:
    return {owner["uid"] for owner in raw["metadata"].get("ownerReferences") or ()}


def _version(raw: Raw) -> str:
    return str(raw["metadata"]["resourceVersion"])


class RealNode(SimulatedNode):
    """The simulated node, with what an API server insists on."""

    def tick(self) -> None:
        """Move everything one step, and let the operator hear of it."""
        super().tick()
        self.cluster.store.tell()

    def _end_job(self, job: Raw, name: str, reason: str) -> None:
        stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        first = "SuccessCriteriaMet" if name == "Complete" else "FailureTarget"
        conditions = [
            {
                "type": kind,
                "status": "True",
                "reason": reason or "Done",
                "lastTransitionTime": stamp,
            }
            for kind in (first, name)
        ]
        ended: Raw = {"startTime": stamp, "conditions": conditions}
        ended |= {"completionTime": stamp, "succeeded": 1} if name == "Complete" else {"failed": 1}
        self._set_status("Job", job, ended)


def on_the_real_server(story: Story, connection: Connection) -> Story:
    """Return the story, played on an API server; its namespace is cleared first."""

    def stage() -> Stage:
        RealStore(connection).clear()
        fake = Stage.make_cluster
        Stage.make_cluster = lambda clock: RealCluster(connection, clock)
        try:
            made = story.stage()
        finally:
            Stage.make_cluster = fake
        made.harness.node = RealNode(made.cluster, made.world)
        return made

    return replace(story, stage=stage)
