"""The frozen world that one tick decides about.

Role: everything ``plan`` may read, gathered once. Must not know: how it is fetched. Trade-off: the
target is kept as the raw object (read-only by convention), because a trial is a copy of its pod
template, with every field that any future API version may add.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from infertune.api.annotations import Wishes
from infertune.api.spec import TuningSpec
from infertune.api.status import TuningStatus
from infertune.api.v1alpha1 import SpecError
from infertune.core.evidence import Evidence, NoData, SloBound
from infertune_probes.contract.load import Envelope, Summary

RawObject = Mapping[str, Any]
JobRole = Literal["gpu", "benchmark", "versions", "system", "profiler", "server", "load"]
Operator = Literal["In", "NotIn", "Exists", "DoesNotExist"]
PodPhase = Literal["Pending", "Running", "Succeeded", "Failed", "Unknown"]


@dataclass(frozen=True, slots=True)
class Key:
    """Namespace and name of a tuning."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class TuningView:
    """The tuning itself."""

    key: Key
    uid: str
    generation: int
    resource_version: str
    spec: TuningSpec | SpecError
    status: TuningStatus
    deleting: bool
    finalizers: tuple[str, ...]
    wishes: Wishes = field(default_factory=Wishes)
    created_at: str = ""


@dataclass(frozen=True, slots=True)
class Rival:
    """Another tuning of the same target, which came first."""

    key: Key
    created_at: str


@dataclass(frozen=True, slots=True)
class TargetView:
    """The workload: the raw object as read, and where its live pods run.

    ``revision`` is the template hash of the current template; empty when it is not known yet.
    ``history`` names the ConfigMaps that earlier revisions refer to, to which somebody may go back;
    None when the revisions were not read.
    """

    raw: RawObject
    pods: tuple["LivePod", ...]
    revision: str = ""
    history: frozenset[str] | None = None


# What is seen of live traffic where there is no target any more.
TARGET_GONE = NoData("Missing", "the target does not exist any more")


@dataclass(frozen=True, slots=True)
class WatchedObjects:
    """Target and autoscaler as last seen: what a resting tuning is checked by.

    Without status, but for what an autoscaler says of its metric.
    """

    target: RawObject | None
    autoscaler: RawObject | None


@dataclass(frozen=True, slots=True)
class LivePod:
    """A pod that the target's selector picks. ``revision`` is its template hash.

    ``no_room`` is the scheduler's sentence while it finds no node for the pod, else empty;
    ``image_ids`` what its containers really run, by container name, as far as they have started.
    """

    name: str
    node: str
    revision: str
    ready: bool
    no_room: str = ""
    image_ids: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ProbeFailure:
    """A finished probe pod whose result cannot be used, and why."""

    reason: Literal["PayloadLost", "PayloadAltered", "PayloadInvalid", "PayloadForeign", "NoResult"]
    message: str


@dataclass(frozen=True, slots=True)
class DeviceLook:
    """What our containers in a trial server's pod have said of its devices.

    ``gate`` is None while it has not ended; ``blocked`` says why one of our containers, and so the
    server behind it, could not start; empty when nothing is wrong with them.
    """

    pod_uid: str
    gate: Summary | ProbeFailure | None = None
    blocked: str = ""


@dataclass(frozen=True, slots=True)
class PodTimes:
    """When a pod was scheduled and became Ready, and its containers started; None: not told."""

    scheduled: datetime | None
    ready: datetime | None
    started: Mapping[str, datetime]


@dataclass(frozen=True, slots=True)
class JobView:
    """One of our Jobs with its pod, if it has one.

    ``failure_reason`` is the most telling of: the pod's container state (OOMKilled,
    CrashLoopBackOff, ErrImagePull, InvalidImageName, CreateContainerConfigError), the pod's
    Unschedulable condition, the Job's own FailedCreate event or DeadlineExceeded condition.
    ``result`` is read only once, for a finished probe pod. ``devices`` is None where the pod has
    no containers that look at its devices.
    """

    name: str
    uid: str
    role: JobRole
    owner_uid: str
    created_at: datetime
    finished: bool
    succeeded: bool
    pod_name: str | None
    pod_phase: PodPhase | None
    pod_ip: str | None
    pod_ready: bool
    node: str | None
    image_id: str | None
    restarts: int
    failure_reason: str | None
    failure_message: str
    result: Envelope | ProbeFailure | None
    image_ids: Mapping[str, str] = field(default_factory=dict)
    devices: DeviceLook | None = None
    times: PodTimes | None = None


@dataclass(frozen=True, slots=True)
class LabelRule:
    """One ``matchExpressions`` entry of a label selector."""

    key: str
    operator: Operator
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Selector:
    """Something in the namespace that picks pods by label: a Service, a PodDisruptionBudget...

    Without labels and rules it picks every pod where ``empty_picks_all`` says so, else none.
    """

    kind: str
    name: str
    match_labels: Mapping[str, str]
    rules: tuple[LabelRule, ...] = ()
    empty_picks_all: bool = False


@dataclass(frozen=True, slots=True)
class BlockSample:
    """One block of live traffic: how many requests were answered, how many broke the promise."""

    requests: float
    over: float
    seconds: float


@dataclass(frozen=True, slots=True)
class PodShare:
    """What one pod answered in a window, and how long it was seen; None: not counted, not known."""

    pod: str
    requests: float | None
    seconds: float | None


@dataclass(frozen=True, slots=True)
class LiveEvidence:
    """Live traffic of the target's current pods over one window that ends at ``observed_at``.

    ``blocks`` are in time order, each at least two scrapes long. Latencies in milliseconds.
    ``promise_bound`` is the bucket bound by which a request counts as slow; None: it is not known.
    ``shares`` are those of every pod that was asked for, over ``share_seconds``.
    """

    p50: Evidence
    p95: Evidence
    p99: Evidence
    request_rate: Evidence
    error_percent: Evidence
    over_slo_percent: Evidence
    cpu_cores: Evidence
    memory_bytes: Evidence
    blocks: tuple[BlockSample, ...]
    pods: int
    observed_at: datetime
    promise_bound: SloBound | None = None
    shares: tuple[PodShare, ...] = ()
    share_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Installation:
    """What the chart decided for this installation: images of our own pods, their priority.

    ``gpu_probe_image`` runs where the target asks for a GPU; empty means that none is installed.
    ``switches`` is the ConfigMap in which an admin may freeze all rollouts; None: there is none.
    """

    probe_image: str
    gpu_probe_image: str = ""
    trial_priority_class: str = ""
    switches: Key | None = None


@dataclass(frozen=True, slots=True)
class Slot:
    """Whether this tuning may run a trial beside those of others, or its place in the line.

    ``scope`` is what is full; until the running trials are ``counted`` nobody may start one.
    """

    granted: bool = False
    scope: Literal["cluster", "namespace"] = "cluster"
    running: int = 0
    limit: int = 0
    place: int = 0
    waiting: int = 0
    counted: bool = True


@dataclass(frozen=True, slots=True)
class CopyView:
    """A copy of a ConfigMap that we made, with its owners: the target, or a tuning for trials."""

    name: str
    uid: str
    owner_uids: frozenset[str]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that one tick knows. A part that this state does not need is None or empty.

    ``live`` is NoData when Prometheus was asked and could not answer, None when it was not asked.
    ``config_maps`` holds those that the spec refers to, by name; a missing one is absent.
    ``node_labels`` are those of nodes that live and trial pods run on, ``access_modes`` those of
    the claims that the target mounts; what may not be read, or is not there, is absent.
    ``slot`` is None where no trial is due. ``lender`` is the object that lends a replica to
    trials, None when it is gone or nothing is borrowed.
    ``rival`` is the tuning that has this target already; ``watched`` is filled in resting states.
    ``quotas`` and ``budgets`` are the namespace's ResourceQuotas and PodDisruptionBudgets;
    ``autoscaler`` is the first HorizontalPodAutoscaler of the target, ``other_autoscalers`` names
    the rest.
    ``frozen``: an admin has frozen all rollouts of this installation.
    ``sources`` holds, whole, those that the target's template refers to for a declared setting;
    ``copies`` those that we made.
    ``device_watch`` is what the watch beside a trial's server said last; it is read only once the
    load has ended, and None before and where there is none.
    """

    now: datetime
    tuning: TuningView
    target: TargetView | None
    autoscaler: RawObject | None
    jobs: tuple[JobView, ...]
    selectors: tuple[Selector, ...]
    config_maps: Mapping[str, Mapping[str, str]]
    live: LiveEvidence | NoData | None
    installation: Installation
    node_labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    access_modes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    slot: Slot | None = None
    lender: RawObject | None = None
    rival: Rival | None = None
    watched: WatchedObjects | None = None
    quotas: tuple[RawObject, ...] = ()
    budgets: tuple[RawObject, ...] = ()
    other_autoscalers: tuple[str, ...] = ()
    frozen: bool = False
    sources: Mapping[str, RawObject] = field(default_factory=dict)
    copies: tuple[CopyView, ...] = ()
    device_watch: Envelope | ProbeFailure | None = None
