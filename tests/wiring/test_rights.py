"""The rights of the chart, held against what an API server has noted of the operator.

An operator runs with a token of the chart's own account, and every method of the cluster port is
called with it. What the audit log shows was used is exactly what the chart grants: a right too few
is a refusal in the log, one too many is never in it.
"""

import copy
import inspect
import json
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from infertune.adapters.clock import SystemClock
from infertune.adapters.kube.cluster import PODLESS_SECONDS, KubeCluster
from infertune.adapters.kube.connection import Connection, Request, load_configuration
from infertune.adapters.kube.paths import object_path
from infertune.api.v1alpha1 import API_VERSION, KIND
from infertune.core.manifests.naming import LABEL_ROLE, LABEL_TUNING_UID
from infertune.core.plan import (
    ApplyFields,
    DeleteObject,
    Event,
    FieldExpectation,
    ReleaseFields,
    ScaleWorkload,
)
from infertune.core.snapshot import Key
from infertune.ports import Cluster, ClusterError, Gone
from tests.fakes import cases
from tests.wiring.conftest import Operators
from tests.wiring.plane import SYSTEM, Plane, eventually, rendered, written_by
from tests.wiring.scenery import MERGE_PATCH, NODE, Scenery, StubPrometheus, scenery

pytestmark = [pytest.mark.real_api, pytest.mark.timeout(180)]
Right = tuple[str, str, str]
MANAGER = "infertune"
LEASE = "infertune"
JOBS = ("batch/v1", "Job")
# Vouches for a payload in the log of a pod that never ran.
SUMMARY = {
    "schema": "infertune.io/probe-summary/v1",
    "probe": "gpu",
    "node": NODE,
    "finishedAt": "2026-03-01T12:00:00Z",
    "verdict": "pass",
    "partial": False,
    "sha256": "0" * 64,
    "payloadBytes": 1,
    "findings": [],
    "findingsOmitted": 0,
}


def granted() -> set[Right]:
    """Return group, resource and verb of everything that the chart allows the operator."""
    roles = [raw for raw in rendered() if raw["kind"] in {"ClusterRole", "Role"}]
    return {
        (group, resource, verb)
        for role in roles
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def right_of(line: dict[str, Any]) -> Right:
    reference = line["objectRef"]
    sub = reference.get("subresource")
    name = f"{reference['resource']}/{sub}" if sub else reference["resource"]
    return (reference.get("apiGroup", ""), name, line["verb"])


def serve_pod_monitors(plane: Plane) -> None:
    """Install the least of a CRD that makes the group be served."""
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    body = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": "podmonitors.monitoring.coreos.com",
            # The group is another project's; the API server asks for a word about that for k8s.io
            # only, and this one is served for the length of a test.
        },
        "spec": {
            "group": "monitoring.coreos.com",
            "names": {"plural": "podmonitors", "singular": "podmonitor", "kind": "PodMonitor"},
            "scope": "Namespaced",
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
        },
    }
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    plane.admin.send(Request("POST", path, (), body))

    def served() -> bool:
        try:
            plane.admin.get("/apis/monitoring.coreos.com/v1/podmonitors")
        except ClusterError:
            return False
        return True

    eventually(served, "PodMonitors are served")


def forget_lease(plane: Plane) -> None:
    """Let the operator make its Lease anew; one that an earlier operator left is only renewed."""
    with suppress(Gone):
        path = object_path("coordination.k8s.io/v1", "Lease", SYSTEM, LEASE)
        plane.admin.send(Request("DELETE", path))


class Calls:
    """One way to call each method of the port, for real."""

    def __init__(self, cluster: KubeCluster, place: Scenery, owner: dict[str, Any]) -> None:
        self.cluster = cluster
        self.place = place
        self.owner = owner
        self.key = Key(place.namespace, owner["metadata"]["name"])
        self.uid = owner["metadata"]["uid"]

    def all(self) -> dict[str, Callable[[], object]]:
        """Return a call by method; a method that is missing here fails the test."""
        space, cluster = self.place.namespace, self.cluster
        return {
            "fetch_tuning": lambda: cluster.fetch_tuning(self.key),
            "list_tunings": cluster.list_tunings,
            "record_status": lambda: cluster.record_status(self.key, {}, self._version()),
            "set_finalizer": self._finalizer,
            "post_event": lambda: cluster.post_event(
                self.key, self.uid, Event("Normal", "Test", "a word")
            ),
            "fetch_target": lambda: [
                cluster.fetch_target(space, kind, "server")
                for kind in ("Deployment", "StatefulSet")
            ],
            "list_autoscalers": lambda: cluster.list_autoscalers(space, "Deployment", "server"),
            "list_jobs": self._jobs,
            "fetch_device_watch": lambda: cluster.fetch_device_watch(space, "none", "uid"),
            "list_owned": cluster.list_owned,
            "list_selectors": lambda: cluster.list_selectors(space),
            "list_quotas": lambda: cluster.list_quotas(space),
            "list_budgets": lambda: cluster.list_budgets(space),
            "fetch_config_map": lambda: cluster.fetch_config_map(space, "none"),
            "fetch_whole_config_map": lambda: cluster.fetch_whole_config_map(space, "none"),
            "list_copies": lambda: cluster.list_copies(space),
            "fetch_node_labels": lambda: cluster.fetch_node_labels((NODE,)),
            "fetch_access_modes": lambda: cluster.fetch_access_modes(space, ("none",)),
            "create_object": lambda: [self._create(*kind) for kind in (JOBS, ("v1", "ConfigMap"))],
            "delete_object": lambda: [self._delete(*kind) for kind in (JOBS, ("v1", "ConfigMap"))],
            "apply_fields": self._apply,
            "release_fields": self._release,
            "scale_workload": self._scale,
        }

    def _version(self) -> str:
        found = self.cluster.fetch_tuning(self.key)
        assert found is not None
        return str(found["metadata"]["resourceVersion"])

    def _finalizer(self) -> None:
        version = self.cluster.set_finalizer(self.key, self._version(), present=True)
        self.cluster.set_finalizer(self.key, version, present=False)

    def _manifest(self, version: str, kind: str, name: str = "made") -> dict[str, Any]:
        reference = {"apiVersion": API_VERSION, "kind": KIND, "name": self.key.name}
        raw: dict[str, Any] = {
            "apiVersion": version,
            "kind": kind,
            "metadata": {
                "namespace": self.place.namespace,
                "name": name,
                "labels": {LABEL_TUNING_UID: self.uid, LABEL_ROLE: "gpu"},
                "ownerReferences": [{**reference, "uid": self.uid, "controller": True}],
            },
        }
        if kind == "Job":
            containers = [{"name": "probe", "image": "probes:test"}]
            template = {
                "metadata": {"labels": raw["metadata"]["labels"]},
                "spec": {"restartPolicy": "Never", "containers": containers},
            }
            raw["spec"] = {"backoffLimit": 0, "template": template}
        return raw

    def _create(self, version: str, kind: str) -> None:
        # The second time it exists, and is looked at.
        for _ in range(2):
            self.cluster.create_object(self._manifest(version, kind))

    def _delete(self, version: str, kind: str) -> None:
        path = object_path(version, kind, self.place.namespace, "made")
        uid = self.place.plane.admin.get(path)["metadata"]["uid"]
        self.cluster.delete_object(DeleteObject(version, kind, self.place.namespace, "made", uid))

    def _jobs(self) -> None:
        """One Job whose pod has ended, for its log, and one without a pod, for its events."""
        idle = self._manifest(*JOBS, name="idle")
        idle["spec"]["suspend"] = True
        self.cluster.create_object(idle)
        self.cluster.create_object(self._manifest(*JOBS, name="ended"))
        terminated = {"exitCode": 0, "message": json.dumps(SUMMARY)}
        container = {"name": "probe", "image": "x", "imageID": "x", "restartCount": 0}
        container |= {"ready": False, "state": {"terminated": terminated}}
        ended = {"status": {"phase": "Succeeded", "containerStatuses": [container]}}
        eventually(lambda: bool(self._pods("ended")), "the Job has its pod")
        path = object_path("v1", "Pod", self.place.namespace, self._pods("ended")[0])
        admin = self.place.plane.admin
        admin.send(Request("PATCH", f"{path}/status", (), ended, MERGE_PATCH))
        time.sleep(PODLESS_SECONDS + 1)
        with suppress(ClusterError):  # there is no kubelet to ask for the log
            self.cluster.list_jobs(self.place.namespace, self.uid)

    def _pods(self, job: str) -> list[str]:
        names = [pod["metadata"]["name"] for pod in self.place.pods()]
        return [name for name in names if name.startswith(f"{job}-")]

    def _targets(self) -> list[tuple[str, str, str]]:
        return [
            ("apps/v1", "Deployment", "server"),
            ("apps/v1", "StatefulSet", "server"),
            ("autoscaling/v2", "HorizontalPodAutoscaler", "server"),
        ]

    def _apply(self) -> None:
        for version, kind, name in self._targets():
            path = object_path(version, kind, self.place.namespace, name)
            live = self.place.plane.admin.get(path)
            metadata = {key: live["metadata"][key] for key in ("namespace", "name", "uid")}
            annotations = {"infertune.io/last-good": "{}"}
            document = {
                "apiVersion": version,
                "kind": kind,
                "metadata": {**metadata, "annotations": annotations},
            }
            expected = FieldExpectation(
                ("metadata", "annotations", "infertune.io/last-good"), None, "{}"
            )
            self.cluster.apply_fields(ApplyFields(document, (expected,), adopt=True))

    def _scale(self) -> None:
        """Lend a replica and give it back, of each kind that has replicas."""
        for version, kind, name in self._targets()[:2]:
            path = object_path(version, kind, self.place.namespace, name)
            live = self.place.plane.admin.get(path)
            uid, found = live["metadata"]["uid"], live["spec"]["replicas"]
            where = (version, kind, self.place.namespace, name, uid)
            self.cluster.scale_workload(ScaleWorkload(*where, found, found + 1))
            self.cluster.scale_workload(ScaleWorkload(*where, found + 1, found))

    def _release(self) -> None:
        for version, kind, name in self._targets():
            path = object_path(version, kind, self.place.namespace, name)
            uid = self.place.plane.admin.get(path)["metadata"]["uid"]
            release = ReleaseFields(version, kind, self.place.namespace, name, uid, self.key.name)
            self.cluster.release_fields(release)


def stateful_set() -> dict[str, Any]:
    raw = copy.deepcopy(cases.deployment(replicas=0))
    raw["kind"] = "StatefulSet"
    raw["spec"]["serviceName"] = "server"
    return raw


def test_the_chart_grants_what_is_called_and_nothing_else(
    plane: Plane, operators: Operators, prometheus: StubPrometheus
) -> None:
    serve_pod_monitors(plane)
    forget_lease(plane)
    place = scenery(plane, f"rights-{uuid.uuid4().hex[:6]}", prometheus.url)
    place.add(stateful_set())
    operator = operators.start("operator")
    eventually(operator.leads, "it leads", 40.0)
    place.add_tuning()
    eventually(lambda: place.state() == "Probing", "it works")
    operator.end()

    place.name = "called"
    owner = place.add(place.tuning())
    kubeconfig, caller = plane.account_kubeconfig("calls")
    connection = Connection(load_configuration(str(kubeconfig)))
    calls = Calls(KubeCluster(connection, SystemClock()), place, owner).all()
    try:
        methods = inspect.getmembers(Cluster, inspect.isfunction)
        assert set(calls) == {name for name, _ in methods if not name.startswith("_")}
        for call in calls.values():
            call()
    finally:
        connection.close()

    lines = [line for line in plane.audited() if written_by(line) in {caller, operator.token_id}]
    asked = [line for line in lines if "resource" in (line.get("objectRef") or {})]
    refused = {
        right_of(line)
        for line in asked
        if line["annotations"].get("authorization.k8s.io/decision") != "allow"
    }
    assert refused == set(), "a right too few"
    assert granted() - {right_of(line) for line in asked} == set(), "a right that nobody uses"
    assert {right_of(line) for line in asked} == granted()
