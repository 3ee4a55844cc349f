"""The few doors between the shell and the world.

Role: what the runtime asks of a cluster, a metrics source and a clock. Must not know: any client
library. Trade-off: objects cross this door as plain mappings; only what decisions need is typed.
Every method either returns, or raises one of the errors below: the type says who acts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from infertune.core.evidence import NoData
from infertune.core.garbage import OwnObject
from infertune.core.plan import ApplyFields, DeleteObject, Event, ReleaseFields, ScaleWorkload
from infertune.core.snapshot import (
    CopyView,
    JobView,
    Key,
    LiveEvidence,
    ProbeFailure,
    RawObject,
    Selector,
    TargetView,
)
from infertune_probes.contract.load import Envelope


class ClusterError(Exception):
    """Base of what a cluster may answer instead of a result."""


class Unavailable(ClusterError):
    """The API server cannot be reached, is overloaded or timed out: we try again."""


class Forbidden(ClusterError):
    """RBAC or an admission policy says no: a human must act."""


class Conflict(ClusterError):
    """Somebody else changed the object: read again."""


class Gone(ClusterError):
    """The object, or the object with that UID, does not exist."""


class Refused(ClusterError):
    """The API server finds the object invalid, or a quota or policy refuses it."""


class FieldTaken(ClusterError):
    """A field we were to write holds a foreign value or belongs to another manager."""

    def __init__(self, field: str, owner: str, message: str) -> None:
        super().__init__(message)
        self.field = field
        self.owner = owner


class AlreadyExists(ClusterError):
    """An object of that name exists and is not ours."""


class TuningSource(Protocol):
    """Tunings: read, and record their status."""

    def fetch_tuning(self, key: Key) -> RawObject | None:
        """Return the raw tuning, or None when it is gone."""
        ...

    def list_tunings(self) -> Mapping[Key, str]:
        """Return all tunings in the watched namespaces, with their resource versions."""
        ...

    def record_status(
        self, key: Key, status: Mapping[str, Any], resource_version: str
    ) -> RawObject:
        """Replace the status and return the tuning as it then stands.

        Conflict when the object moved on, Gone when it vanished.
        """
        ...

    def set_finalizer(self, key: Key, resource_version: str, *, present: bool) -> str:
        """Add or remove our finalizer; no write when it is as wanted.

        Returns the resource version afterwards, for the status write of the same tick.
        """
        ...

    def post_event(self, key: Key, uid: str, event: Event) -> None:
        """Post a Kubernetes Event; a failure is logged, never raised."""
        ...


class Steering(Protocol):
    """What a human may say to a tuning, said by an uninstallation."""

    def ask_to_abort(self, key: Key, word: str) -> None:
        """Annotate the tuning with the abort; Gone when it vanished."""
        ...


class Namespace(Protocol):
    """What a tuning sees of its namespace."""

    def fetch_target(self, namespace: str, kind: str, name: str) -> TargetView | None:
        """Return the workload and its live pods, or None when it does not exist."""
        ...

    def list_autoscalers(self, namespace: str, kind: str, name: str) -> tuple[RawObject, ...]:
        """Return the HorizontalPodAutoscalers of this workload, by name; two are a fault."""
        ...

    def list_jobs(self, namespace: str, tuning_uid: str) -> tuple[JobView, ...]:
        """Return the Jobs this tuning owns, with pod states; results of finished probe pods."""
        ...

    def fetch_device_watch(
        self, namespace: str, pod: str, pod_uid: str
    ) -> Envelope | ProbeFailure | None:
        """Return what the watch beside a trial's server said last; None when the pod is gone.

        A log that cannot be read, or names another pod, is a ProbeFailure.
        """
        ...

    def list_selectors(self, namespace: str) -> tuple[Selector, ...]:
        """Return what picks pods by label here: Services, budgets, monitors, workloads, scalers."""
        ...

    def list_quotas(self, namespace: str) -> tuple[RawObject, ...]:
        """Return the ResourceQuotas of a namespace."""
        ...

    def list_budgets(self, namespace: str) -> tuple[RawObject, ...]:
        """Return the PodDisruptionBudgets of a namespace."""
        ...

    def fetch_config_map(self, namespace: str, name: str) -> Mapping[str, str] | None:
        """Return the data of a ConfigMap, or None."""
        ...

    def fetch_whole_config_map(self, namespace: str, name: str) -> RawObject | None:
        """Return a ConfigMap with all it holds, binary data too, or None."""
        ...

    def list_copies(self, namespace: str) -> tuple[CopyView, ...]:
        """Return the copies of ConfigMaps that were made for knobs, by whichever tuning."""
        ...


class OwnObjects(Protocol):
    """What we have made, wherever it is."""

    def list_owned(self) -> tuple[OwnObject, ...]:
        """Return every Job and ConfigMap with our labels, in all namespaces that are watched."""
        ...


class Surroundings(Protocol):
    """What a trial has to fit into: nodes and volumes."""

    def fetch_node_labels(self, names: tuple[str, ...]) -> Mapping[str, Mapping[str, str]]:
        """Return the labels of these nodes; one that is gone or may not be read is absent.

        They hardly ever change: an answer may be a few minutes old.
        """
        ...

    def fetch_access_modes(
        self, namespace: str, claims: tuple[str, ...]
    ) -> Mapping[str, tuple[str, ...]]:
        """Return the access modes of these PersistentVolumeClaims; a missing one is absent."""
        ...


class Scene(Namespace, Surroundings, Protocol):
    """All that a tuning sees around it."""


class Writer(Protocol):
    """Writes, each idempotent and preconditioned."""

    def create_object(self, manifest: RawObject) -> None:
        """Create; an existing object with the same owner UID is success, else AlreadyExists."""
        ...

    def delete_object(self, effect: DeleteObject) -> None:
        """Delete by UID, dependents too; gone already is success."""
        ...

    def apply_fields(self, effect: ApplyFields) -> None:
        """Read fresh, check the expectations, apply; FieldTaken when a field is foreign."""
        ...

    def release_fields(self, effect: ReleaseFields) -> None:
        """Read fresh and give up what is ours there, values untouched; gone already is success."""
        ...


class Scaler(Protocol):
    """The one exception to the rule that replicas are never written."""

    def scale_workload(self, effect: ScaleWorkload) -> None:
        """Read the scale fresh, check UID and replicas, write; FieldTaken for a foreign value."""
        ...


class Cluster(TuningSource, Scene, OwnObjects, Writer, Scaler, Protocol):
    """Everything the runtime asks of a Kubernetes cluster."""


@dataclass(frozen=True, slots=True)
class LiveQuery:
    """A question to the metrics source about the target's pods over a window that ends now."""

    url: str
    histogram: str
    unit_milliseconds: float
    match_labels: tuple[tuple[str, str], ...]
    error_label: str
    error_pattern: str
    namespace: str
    container: str
    pods: tuple[str, ...]
    window_start: datetime
    window_end: datetime
    slo_milliseconds: int
    scrape_interval_seconds: int
    block_requests: int


@dataclass(frozen=True, slots=True)
class LeaseRecord:
    """A Lease as stored. ``holder`` is empty when nobody holds it.

    ``version`` changes with every write; ``since`` and ``transitions`` belong to the holder.
    """

    holder: str
    term_seconds: int
    version: str
    since: str = ""
    transitions: int = 0


class LeaseStore(Protocol):
    """The one Lease that operators of an installation share."""

    def fetch_lease(self) -> LeaseRecord | None:
        """Return the Lease, or None when there is none yet."""
        ...

    def create_lease(self, holder: str, term_seconds: int) -> LeaseRecord:
        """Create it; AlreadyExists when somebody was quicker."""
        ...

    def replace_lease(self, holder: str, term_seconds: int, old: LeaseRecord) -> LeaseRecord:
        """Write it anew with the present time; Conflict when it is no longer as ``old`` says."""
        ...


class MetricsSource(Protocol):
    """Where live traffic is read."""

    def fetch_live(self, query: LiveQuery) -> LiveEvidence | NoData:
        """Return what the pods served in the window, or why that cannot be said."""
        ...

    def fetch_watch(self, query: LiveQuery) -> LiveEvidence | NoData:
        """Return the same for many stable targets at the price of one query, a little older.

        No blocks, no CPU, no memory: enough to see that a promise still holds.
        """
        ...


class Clock(Protocol):
    """The time, in UTC."""

    def now(self) -> datetime:
        """Return the current time with its zone; it jumps when somebody sets the clock."""
        ...

    def steady(self) -> datetime:
        """Return a time that only ever counts up, for waiting; it is compared with itself alone."""
        ...
