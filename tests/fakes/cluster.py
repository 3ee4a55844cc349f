"""A cluster in memory that keeps the promises of the ``Cluster`` port.

Role: what ``KubeCluster`` is over an API server, this is over ``ObjectStore``; both pass the same
conformance suite. Failures are injected by call: ``fail("apply_fields", Unavailable("down"))``.
Trade-off: the pure parts of the real adapter are used here as well, so that a Job reads the same.
"""

from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from infertune.adapters.kube import jobs as job_reading
from infertune.adapters.kube import targets
from infertune.adapters.kube.writes import refuse_foreign, refuse_other_object
from infertune.api.v1alpha1 import KIND
from infertune.core.garbage import OwnObject
from infertune.core.manifests.config_copy import LABEL_COPY
from infertune.core.manifests.naming import FINALIZER, LABEL_TUNING_UID, LENDING_MANAGER
from infertune.core.manifests.sent_document import sent_document
from infertune.core.ownership import FIELD_MANAGER
from infertune.core.plan import ApplyFields, DeleteObject, Event, ReleaseFields, ScaleWorkload
from infertune.core.preconditions import AlreadyDone, Violated, check
from infertune.core.release import release_patch
from infertune.core.snapshot import (
    CopyView,
    JobView,
    Key,
    ProbeFailure,
    RawObject,
    Selector,
    TargetView,
)
from infertune.ports import AlreadyExists, ClusterError, Conflict, FieldTaken, Gone
from tests.fakes.clock import FakeClock
from tests.fakes.copies import copied
from tests.fakes.store import ObjectStore

if TYPE_CHECKING:
    from infertune_probes.contract.load import Envelope

WRITES = frozenset(
    {
        "record_status",
        "set_finalizer",
        "create_object",
        "delete_object",
        "apply_fields",
        "release_fields",
        "scale_workload",
    }
)
Hook = Callable[[str], None]


class FakeCluster:
    """The ``Cluster`` port over an ``ObjectStore``.

    ``before`` and ``after`` are called with the method's name around every call that writes: a
    test raises from them to end the operator at that point.
    """

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.store = ObjectStore(clock)
        self.calls: list[str] = []
        self.applied: list[str] = []
        self.events: list[tuple[Key, Event]] = []
        self.results: dict[str, Envelope | ProbeFailure] = {}
        self.watches: dict[str, Envelope | ProbeFailure] = {}
        self.before: Hook = lambda _: None
        self.after: Hook = lambda _: None
        self._failures: dict[str, deque[ClusterError]] = defaultdict(deque)

    def fail(self, method: str, error: ClusterError, times: int = 1) -> None:
        """Let the next calls of a method fail, before they do anything."""
        self._failures[method].extend([error] * times)

    @property
    def writes(self) -> list[str]:
        """The names of the calls that wrote, in order."""
        return [call for call in self.calls if call in WRITES]

    def fetch_tuning(self, key: Key) -> RawObject | None:
        self._called("fetch_tuning")
        return self.store.look(KIND, key.namespace, key.name)

    def list_tunings(self) -> Mapping[Key, str]:
        self._called("list_tunings")
        return {
            Key(raw["metadata"]["namespace"], raw["metadata"]["name"]): raw["metadata"][
                "resourceVersion"
            ]
            for raw in self.store.look_at_all(KIND)
        }

    def record_status(
        self, key: Key, status: Mapping[str, Any], resource_version: str
    ) -> RawObject:
        self._called("record_status")
        raw = self._tuning(key)
        metadata = {**raw["metadata"], "resourceVersion": resource_version}
        changed = {**raw, "metadata": metadata, "status": status}
        stored = self.store.replace(changed, status_only=True)
        self.after("record_status")
        return stored

    def set_finalizer(self, key: Key, resource_version: str, *, present: bool) -> str:
        self._called("set_finalizer")
        raw = copied(self._tuning(key))
        finalizers = list(raw["metadata"].get("finalizers") or ())
        if (FINALIZER in finalizers) == present:
            return str(raw["metadata"]["resourceVersion"])
        raw["metadata"]["resourceVersion"] = resource_version
        others = [name for name in finalizers if name != FINALIZER]
        raw["metadata"]["finalizers"] = [*others, FINALIZER] if present else others
        try:
            stored = self.store.replace(raw)
        except Gone:
            # The last finalizer of a tuning that is going: it went.
            stored = raw
        self.after("set_finalizer")
        return str(stored["metadata"]["resourceVersion"])

    def post_event(self, key: Key, uid: str, event: Event) -> None:
        self.calls.append("post_event")
        self.events.append((key, event))

    def fetch_target(self, namespace: str, kind: str, name: str) -> TargetView | None:
        self._called("fetch_target")
        workload = self.store.look(kind, namespace, name)
        if workload is None:
            return None
        wanted = workload["spec"]["selector"].get("matchLabels", {})
        sets = targets.owned_by(
            self.store.look_at_all(targets.REVISIONS[kind], namespace),
            frozenset({workload["metadata"]["uid"]}),
        )
        owners = frozenset(raw["metadata"]["uid"] for raw in sets)
        if kind == "StatefulSet":
            owners = frozenset({workload["metadata"]["uid"]})
        pods = [pod for pod in self.store.look_at_all("Pod", namespace) if _has_labels(pod, wanted)]
        return TargetView(
            raw=workload,
            pods=targets.live_pods(targets.owned_by(pods, owners)),
            revision=targets.current_revision(workload, sets),
            history=targets.config_maps_of(sets),
        )

    def list_autoscalers(self, namespace: str, kind: str, name: str) -> tuple[RawObject, ...]:
        self._called("list_autoscalers")
        return targets.scaling(self.store.all("HorizontalPodAutoscaler", namespace), kind, name)

    def list_jobs(self, namespace: str, tuning_uid: str) -> tuple[JobView, ...]:
        self._called("list_jobs")
        chosen = {LABEL_TUNING_UID: tuning_uid}
        pods = [pod for pod in self.store.look_at_all("Pod", namespace) if _has_labels(pod, chosen)]
        views: list[JobView] = []
        for job in self.store.look_at_all("Job", namespace):
            role = job_reading.role_of(job)
            if role is None or not _has_labels(job, chosen) or _is_going(job):
                continue
            pod = job_reading.newest_pod(job, pods)
            created_failure = self._never_created(job) if pod is None else None
            finished = role != "server" and job_reading.pod_finished(pod)
            result = self.results.get(pod["metadata"]["uid"]) if pod and finished else None
            views.append(job_reading.job_view(job, role, pod, created_failure, result))
        return tuple(views)

    def fetch_device_watch(
        self, namespace: str, pod: str, pod_uid: str
    ) -> "Envelope | ProbeFailure | None":
        self._called("fetch_device_watch")
        live = self.store.look("Pod", namespace, pod)
        same = live is not None and live["metadata"]["uid"] == pod_uid
        return self.watches.get(pod_uid) if same else None

    def list_selectors(self, namespace: str) -> tuple[Selector, ...]:
        self._called("list_selectors")
        kinds = [kind for _, kind in targets.SELECTING] + ["PodMonitor"]
        found = [
            targets.selector_in(kind, raw)
            for kind in kinds
            for raw in self.store.look_at_all(kind, namespace)
        ]
        workloads = [
            (kind, raw)
            for _, kind in targets.SCALED
            for raw in self.store.look_at_all(kind, namespace)
        ]
        found += [targets.selector_in(kind, raw) for kind, raw in workloads]
        scalers = self.store.look_at_all("HorizontalPodAutoscaler", namespace)
        found += [targets.autoscaler_selector(raw, workloads) for raw in scalers]
        return tuple(selector for selector in found if selector is not None)

    def list_quotas(self, namespace: str) -> tuple[RawObject, ...]:
        self._called("list_quotas")
        return tuple(self.store.all("ResourceQuota", namespace))

    def list_budgets(self, namespace: str) -> tuple[RawObject, ...]:
        self._called("list_budgets")
        return tuple(self.store.all("PodDisruptionBudget", namespace))

    def list_owned(self) -> tuple[OwnObject, ...]:
        self._called("list_owned")
        return tuple(
            job_reading.own_object(version, kind, raw)
            for version, kind in (("batch/v1", "Job"), ("v1", "ConfigMap"))
            for raw in self.store.look_at_all(kind)
            if LABEL_TUNING_UID in (raw["metadata"].get("labels") or {})
        )

    def fetch_node_labels(self, names: tuple[str, ...]) -> Mapping[str, Mapping[str, str]]:
        self._called("fetch_node_labels")
        found = {name: self.store.look("Node", "", name) for name in names}
        return {
            name: dict(raw["metadata"].get("labels") or {}) for name, raw in found.items() if raw
        }

    def fetch_access_modes(
        self, namespace: str, claims: tuple[str, ...]
    ) -> Mapping[str, tuple[str, ...]]:
        self._called("fetch_access_modes")
        kind = "PersistentVolumeClaim"
        found = {name: self.store.look(kind, namespace, name) for name in claims}
        return {name: tuple(raw["spec"]["accessModes"]) for name, raw in found.items() if raw}

    def fetch_config_map(self, namespace: str, name: str) -> Mapping[str, str] | None:
        self._called("fetch_config_map")
        raw = self.store.look("ConfigMap", namespace, name)
        return None if raw is None else dict(raw.get("data") or {})

    def fetch_whole_config_map(self, namespace: str, name: str) -> RawObject | None:
        self._called("fetch_whole_config_map")
        return self.store.look("ConfigMap", namespace, name)

    def list_copies(self, namespace: str) -> tuple[CopyView, ...]:
        self._called("list_copies")
        chosen = {LABEL_COPY: "true"}
        found = self.store.look_at_all("ConfigMap", namespace)
        return targets.copies(raw for raw in found if _has_labels(raw, chosen))

    def create_object(self, manifest: RawObject) -> None:
        self._called("create_object")
        try:
            self.store.add(manifest, FIELD_MANAGER)
        except AlreadyExists:
            metadata = manifest["metadata"]
            where = (manifest["kind"], metadata["namespace"], metadata["name"])
            refuse_foreign(self.store.look(*where) or {}, manifest)
        self.after("create_object")

    def delete_object(self, effect: DeleteObject) -> None:
        self._called("delete_object")
        try:
            self.store.delete(effect.kind, effect.namespace, effect.name, effect.uid)
            self.store.collect_garbage()
        except (Gone, Conflict):
            pass
        self.after("delete_object")

    def apply_fields(self, effect: ApplyFields) -> None:
        self._called("apply_fields")
        document = effect.document
        metadata = document["metadata"]
        live = self._live(document["kind"], metadata["namespace"], metadata["name"])
        refuse_other_object(live, metadata)
        match check(live, effect.expectations):
            case AlreadyDone():
                return
            case Violated(field, value, owners):
                raise FieldTaken(field, ", ".join(owners), f"holds {value}")
        sent = sent_document(effect, live)
        self.store.apply(sent, effect.manager, force=effect.adopt)
        self.applied.append(document["kind"])
        self.after("apply_fields")

    def scale_workload(self, effect: ScaleWorkload) -> None:
        self._called("scale_workload")
        live = self._live(effect.kind, effect.namespace, effect.name)
        if live["metadata"]["uid"] != effect.uid:
            msg = f"{effect.kind} {effect.name}: another object stands there"
            raise Gone(msg)
        found = int(live["spec"].get("replicas", 1))
        if found not in (effect.old, effect.new):
            raise FieldTaken("spec.replicas", "", f"holds {found}")
        if found != effect.new:
            place = (effect.kind, effect.namespace, effect.name)
            self.store.edit(
                *place, lambda raw: raw["spec"].update(replicas=effect.new), LENDING_MANAGER
            )
        self.after("scale_workload")

    def release_fields(self, effect: ReleaseFields) -> None:
        self._called("release_fields")
        place = (effect.kind, effect.namespace, effect.name)
        live = self.store.look(*place)
        patch = None if live is None else release_patch(live, effect)
        if patch is not None:
            self.store.patch_metadata(place, patch)
        self.after("release_fields")

    def _called(self, method: str) -> None:
        self.calls.append(method)
        if self._failures[method]:
            raise self._failures[method].popleft()
        if method in WRITES:
            self.before(method)

    def _tuning(self, key: Key) -> RawObject:
        return self._live(KIND, key.namespace, key.name)

    def _live(self, kind: str, namespace: str, name: str) -> RawObject:
        raw = self.store.look(kind, namespace, name)
        if raw is None:
            msg = f"{kind} {name!r} not found in {namespace!r}"
            raise Gone(msg)
        return raw

    def _never_created(self, job: RawObject) -> job_reading.Reason | None:
        for raw in self.store.look_at_all("Event", job["metadata"]["namespace"]):
            if raw["involvedObject"]["uid"] == job["metadata"]["uid"]:
                return job_reading.never_created(raw)
        return None


def _has_labels(raw: RawObject, wanted: Mapping[str, str]) -> bool:
    labels = raw["metadata"].get("labels") or {}
    return all(labels.get(name) == value for name, value in wanted.items())


def _is_going(raw: RawObject) -> bool:
    return "deletionTimestamp" in raw["metadata"]
