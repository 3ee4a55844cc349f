"""The cluster port over a real API server.

Role: each method is one or a few requests. Must not know: when it is called, or why. Trade-off:
reads go to the API server every time; what may be remembered between ticks is the runtime's affair,
except the API groups served, the results of finished probe pods, which do not change, and what the
revisions of a StatefulSet refer to, which changes with its version.
"""

import logging
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import quote

from infertune.adapters.kube import jobs as job_reading
from infertune.adapters.kube import targets
from infertune.adapters.kube.connection import JSON_PATCH, MERGE_PATCH, Connection, Request
from infertune.adapters.kube.device_looks import newest_look
from infertune.adapters.kube.errors import NotServed
from infertune.adapters.kube.paths import list_path, object_path
from infertune.adapters.kube.probe_results import ProbeResults
from infertune.adapters.kube.revisions import Histories
from infertune.adapters.kube.writes import KubeWriter
from infertune.api.annotations import ABORT
from infertune.api.v1alpha1 import API_VERSION, KIND
from infertune.core.garbage import OwnObject
from infertune.core.manifests.config_copy import LABEL_COPY
from infertune.core.manifests.device_containers import WATCH
from infertune.core.manifests.naming import FINALIZER, LABEL_TUNING_UID
from infertune.core.ownership import FIELD_MANAGER
from infertune.core.plan import Event
from infertune.core.snapshot import (
    CopyView,
    JobRole,
    JobView,
    Key,
    ProbeFailure,
    RawObject,
    Selector,
    TargetView,
)
from infertune.ports import Clock, ClusterError, Conflict, Forbidden, Gone, Refused
from infertune_probes.contract.load import Envelope

LOG_BYTES = 8 * 1024 * 1024
LOG_LINES = 60_000
# Some envelopes of the watch beside a trial's server; one has about a hundred lines.
WATCH_LINES = 3000
# A Job that has no pod after this long has a reason for it, told by its events.
PODLESS_SECONDS = 3.0
GROUPS_KEPT_SECONDS = 300.0
_MONITORING = "monitoring.coreos.com/v1"
_log = logging.getLogger(__name__)


class KubeCluster(KubeWriter):
    """Tunings, their namespaces and writes, over one connection."""

    def __init__(
        self, connection: Connection, clock: Clock, namespaces: tuple[str, ...] = ()
    ) -> None:
        super().__init__(connection)
        self._clock = clock
        self._namespaces = namespaces
        self._results = ProbeResults()
        self._histories = Histories()
        self._monitoring: tuple[float, bool] | None = None

    def fetch_tuning(self, key: Key) -> RawObject | None:
        """Return the raw tuning, or None when it is gone."""
        return self._get(API_VERSION, KIND, key.namespace, key.name)

    def list_tunings(self) -> Mapping[Key, str]:
        """Return all tunings in the watched namespaces, with their resource versions."""
        scopes: tuple[str | None, ...] = self._namespaces or (None,)
        found: dict[Key, str] = {}
        for scope in scopes:
            for raw in self._list(list_path(API_VERSION, KIND, scope)):
                metadata = raw["metadata"]
                key = Key(metadata["namespace"], metadata["name"])
                found[key] = metadata["resourceVersion"]
        return found

    def record_status(
        self, key: Key, status: Mapping[str, Any], resource_version: str
    ) -> RawObject:
        """Replace the status and return the tuning as it then stands."""
        body = {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": {
                "namespace": key.namespace,
                "name": key.name,
                "resourceVersion": resource_version,
            },
            "status": status,
        }
        path = object_path(API_VERSION, KIND, key.namespace, key.name) + "/status"
        query = (("fieldManager", FIELD_MANAGER),)
        return self._connection.send(Request("PUT", path, query, body))

    def set_finalizer(self, key: Key, resource_version: str, *, present: bool) -> str:
        """Add or remove our finalizer; return the resource version afterwards."""
        raw = self.fetch_tuning(key)
        if raw is None:
            message = f"tuning {key} is gone"
            raise Gone(message)
        metadata = raw["metadata"]
        finalizers: list[str] = metadata.get("finalizers") or []
        if (FINALIZER in finalizers) == present:
            return str(metadata["resourceVersion"])
        wanted = [*finalizers, FINALIZER] if present else [f for f in finalizers if f != FINALIZER]
        body: list[Mapping[str, Any]] = [
            {"op": "test", "path": "/metadata/resourceVersion", "value": resource_version},
            {"op": "add", "path": "/metadata/finalizers", "value": wanted},
        ]
        path = object_path(API_VERSION, KIND, key.namespace, key.name)
        query = (("fieldManager", FIELD_MANAGER),)
        try:
            after = self._connection.send(Request("PATCH", path, query, body, JSON_PATCH))
        except Refused as error:
            # The only operation of this patch that can fail on a valid object is its test.
            raise Conflict(str(error)) from error
        return str(after["metadata"]["resourceVersion"])

    def ask_to_abort(self, key: Key, word: str) -> None:
        """Annotate the tuning with the abort; Gone when it vanished."""
        path = object_path(API_VERSION, KIND, key.namespace, key.name)
        body = {"metadata": {"annotations": {ABORT: word}}}
        query = (("fieldManager", FIELD_MANAGER),)
        self._connection.send(Request("PATCH", path, query, body, MERGE_PATCH))

    def post_event(self, key: Key, uid: str, event: Event) -> None:
        """Post a Kubernetes Event; a failure is logged, never raised."""
        now = self._clock.now()
        stamp = now.strftime("%Y-%m-%dT%H:%M:%SZ")
        body = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {
                "namespace": key.namespace,
                "name": f"{key.name[:200]}.{int(now.timestamp() * 1_000_000):x}",
            },
            "involvedObject": {
                "apiVersion": API_VERSION,
                "kind": KIND,
                "namespace": key.namespace,
                "name": key.name,
                "uid": uid,
            },
            "type": event.type,
            "reason": event.reason,
            "message": event.message[:1024],
            "source": {"component": FIELD_MANAGER},
            "reportingComponent": f"{FIELD_MANAGER}.io/operator",
            "firstTimestamp": stamp,
            "lastTimestamp": stamp,
            "count": 1,
        }
        try:
            path = list_path("v1", "Event", key.namespace)
            self._connection.send(Request("POST", path, (), body))
        except ClusterError as error:
            _log.warning("event not posted", extra={"tuning": str(key), "error": str(error)})

    def fetch_target(self, namespace: str, kind: str, name: str) -> TargetView | None:
        """Return the workload and its live pods, or None when it does not exist."""
        workload = self._get("apps/v1", kind, namespace, name)
        if workload is None:
            return None
        workload = {"apiVersion": "apps/v1", "kind": kind, **workload}
        chosen = ("labelSelector", targets.selector_text(workload["spec"]["selector"]))
        owners = frozenset({workload["metadata"]["uid"]})

        def list_revisions() -> list[RawObject]:
            path = list_path("apps/v1", targets.REVISIONS[kind], namespace)
            return targets.owned_by(self._list(path, chosen), owners)

        # The pods of a StatefulSet are told without its revisions, which are read for history only.
        replica_sets = list_revisions() if kind == "Deployment" else []
        history = (
            targets.config_maps_of(replica_sets)
            if kind == "Deployment"
            else self._histories.of(workload, lambda: targets.config_maps_of(list_revisions()))
        )
        controllers = frozenset(raw["metadata"]["uid"] for raw in replica_sets) or owners
        pods = self._list(list_path("v1", "Pod", namespace), chosen)
        return TargetView(
            raw=workload,
            pods=targets.live_pods(targets.owned_by(pods, controllers)),
            revision=targets.current_revision(workload, replica_sets),
            history=history,
        )

    def list_autoscalers(self, namespace: str, kind: str, name: str) -> tuple[RawObject, ...]:
        """Return the HorizontalPodAutoscalers of this workload, by name; two are a fault."""
        path = list_path("autoscaling/v2", "HorizontalPodAutoscaler", namespace)
        return targets.scaling(self._list(path), kind, name)

    def list_jobs(self, namespace: str, tuning_uid: str) -> tuple[JobView, ...]:
        """Return the Jobs this tuning owns, with pod states; results of finished probe pods."""
        chosen = ("labelSelector", f"{LABEL_TUNING_UID}={tuning_uid}")
        found = self._list(list_path("batch/v1", "Job", namespace), chosen)
        if not found:
            return ()
        pods = self._list(list_path("v1", "Pod", namespace), chosen)
        views = [
            self._view(job, role, job_reading.newest_pod(job, pods))
            for job in found
            if (role := job_reading.role_of(job)) is not None
            and "deletionTimestamp" not in job["metadata"]
        ]
        return tuple(sorted(views, key=lambda view: view.name))

    def fetch_device_watch(
        self, namespace: str, pod: str, pod_uid: str
    ) -> Envelope | ProbeFailure | None:
        """Return what the watch beside a trial's server said last; None when the pod is gone."""
        path = object_path("v1", "Pod", namespace, pod) + "/log"
        query = (("container", WATCH), ("tailLines", str(WATCH_LINES)))
        try:
            log = self._connection.send_for_text(Request("GET", path, query))
        except Gone:
            return None
        except Refused as error:
            return ProbeFailure("NoResult", str(error))
        return newest_look(pod_uid, log)

    def list_selectors(self, namespace: str) -> tuple[Selector, ...]:
        """Return what picks pods by label here: Services, budgets, monitors, workloads, scalers."""
        kinds = list(targets.SELECTING)
        if self._monitors_are_served():
            kinds.append((_MONITORING, "PodMonitor"))
        found = [
            targets.selector_in(kind, raw)
            for version, kind in kinds
            for raw in self._list(list_path(version, kind, namespace))
        ]
        workloads = [
            (kind, raw)
            for version, kind in targets.SCALED
            for raw in self._list(list_path(version, kind, namespace))
        ]
        found += [targets.selector_in(kind, raw) for kind, raw in workloads]
        scalers = self._list(list_path("autoscaling/v2", "HorizontalPodAutoscaler", namespace))
        found += [targets.autoscaler_selector(raw, workloads) for raw in scalers]
        return tuple(selector for selector in found if selector is not None)

    def list_quotas(self, namespace: str) -> tuple[RawObject, ...]:
        """Return the ResourceQuotas of a namespace."""
        return tuple(self._list(list_path("v1", "ResourceQuota", namespace)))

    def list_budgets(self, namespace: str) -> tuple[RawObject, ...]:
        """Return the PodDisruptionBudgets of a namespace."""
        return tuple(self._list(list_path("policy/v1", "PodDisruptionBudget", namespace)))

    def list_owned(self) -> tuple[OwnObject, ...]:
        """Return every Job and ConfigMap with our labels, in all namespaces that are watched."""
        scopes: tuple[str | None, ...] = self._namespaces or (None,)
        ours = ("labelSelector", LABEL_TUNING_UID)
        return tuple(
            job_reading.own_object(version, kind, raw)
            for version, kind in (("batch/v1", "Job"), ("v1", "ConfigMap"))
            for scope in scopes
            for raw in self._list(list_path(version, kind, scope), ours)
        )

    def fetch_node_labels(self, names: tuple[str, ...]) -> Mapping[str, Mapping[str, str]]:
        """Return the labels of these nodes; one that is gone or may not be read is absent.

        Nodes belong to no namespace: an operator with rights in some namespaces reads none.
        """
        found: dict[str, Mapping[str, str]] = {}
        for name in names:
            with suppress(Gone, Forbidden):
                node = self._connection.get(f"{list_path('v1', 'Node', None)}/{quote(name)}")
                found[name] = dict(node["metadata"].get("labels") or {})
        return found

    def fetch_access_modes(
        self, namespace: str, claims: tuple[str, ...]
    ) -> Mapping[str, tuple[str, ...]]:
        """Return the access modes of these PersistentVolumeClaims; a missing one is absent."""
        found = {name: self._get("v1", "PersistentVolumeClaim", namespace, name) for name in claims}
        return {
            name: tuple(raw.get("spec", {}).get("accessModes") or ())
            for name, raw in found.items()
            if raw is not None
        }

    def fetch_config_map(self, namespace: str, name: str) -> Mapping[str, str] | None:
        """Return the data of a ConfigMap, or None."""
        raw = self._get("v1", "ConfigMap", namespace, name)
        return None if raw is None else dict(raw.get("data") or {})

    def fetch_whole_config_map(self, namespace: str, name: str) -> RawObject | None:
        """Return a ConfigMap with all it holds, binary data too, or None."""
        return self._get("v1", "ConfigMap", namespace, name)

    def list_copies(self, namespace: str) -> tuple[CopyView, ...]:
        """Return the copies of ConfigMaps that were made for knobs, by whichever tuning."""
        path = list_path("v1", "ConfigMap", namespace)
        return targets.copies(self._list(path, ("labelSelector", f"{LABEL_COPY}=true")))

    def _view(self, job: RawObject, role: JobRole, pod: RawObject | None) -> JobView:
        created_failure = None
        if pod is None:
            created = job_reading.parse_time(job["metadata"]["creationTimestamp"])
            if (self._clock.now() - created).total_seconds() > PODLESS_SECONDS:
                created_failure = self._never_created(job)
        result = self._result(pod) if role != "server" else None
        return job_reading.job_view(job, role, pod, created_failure, result)

    def _result(self, pod: RawObject | None) -> Envelope | ProbeFailure | None:
        if pod is None or not job_reading.pod_finished(pod):
            return None
        metadata = pod["metadata"]
        path = object_path("v1", "Pod", metadata["namespace"], metadata["name"]) + "/log"
        container = next(iter(pod["spec"]["containers"]))["name"]
        names = {c["name"] for c in pod["spec"]["containers"]}
        if job_reading.PROBE_CONTAINER in names:
            container = job_reading.PROBE_CONTAINER
        # The result stands last: what was said before it must not push it out.
        tail = ("tailLines", str(LOG_LINES))
        query = (("container", container), tail, ("limitBytes", str(LOG_BYTES)))
        message = job_reading.termination_message(pod)

        def read_log() -> str:
            try:
                return self._connection.send_for_text(Request("GET", path, query))
            except (Gone, Refused):
                return ""  # pod or log vanished between the list and now: the payload is lost

        return self._results.result_of(metadata["uid"], message, read_log)

    def _never_created(self, job: RawObject) -> job_reading.Reason | None:
        metadata = job["metadata"]
        fields = f"involvedObject.uid={metadata['uid']},reason=FailedCreate"
        path = list_path("v1", "Event", metadata["namespace"])
        events = list(self._list(path, ("fieldSelector", fields)))
        newest = max(events, key=lambda raw: str(raw.get("lastTimestamp") or ""), default=None)
        return None if newest is None else job_reading.never_created(newest)

    def _monitors_are_served(self) -> bool:
        now = self._clock.now().timestamp()
        if self._monitoring is None or now - self._monitoring[0] > GROUPS_KEPT_SECONDS:
            self._monitoring = (now, self._serves_pod_monitors())
        return self._monitoring[1]

    def _serves_pod_monitors(self) -> bool:
        try:
            served = self._connection.get(f"/apis/{_MONITORING}").get("resources") or ()
        except NotServed:
            return False
        return any(resource.get("name") == "podmonitors" for resource in served)

    def _get(self, api_version: str, kind: str, namespace: str, name: str) -> RawObject | None:
        try:
            return self._connection.get(object_path(api_version, kind, namespace, name))
        except Gone:
            return None

    def _list(self, path: str, *query: tuple[str, str]) -> Iterable[RawObject]:
        items: list[RawObject] = []
        page: tuple[tuple[str, str], ...] = (("limit", "500"), *query)
        while True:
            answer = self._connection.get(path, *page)
            items += answer.get("items") or ()
            more = answer.get("metadata", {}).get("continue")
            if not more:
                return items
            page = (("limit", "500"), ("continue", more), *query)
