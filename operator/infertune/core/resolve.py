"""From a snapshot to what the spec really points at, or the first problem on the way.

Role: container, port, today's configuration, autoscaler. Must not know: what to do about it.
Trade-off: the first problem ends the look; a user mends one thing at a time anyway.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from infertune.api.conditions import ConditionType
from infertune.api.spec import TuningSpec
from infertune.api.status import Bounds, Configuration
from infertune.core.autoscaling import Owner, ambiguous, owner_of
from infertune.core.knobs import KnobProblem, duplicate_env, find_container, read_batch
from infertune.core.snapshot import Installation, RawObject, Snapshot, TargetView
from infertune.core.space import Candidate, settings_of
from infertune.core.turning import Stand, read_setting

GPU_RESOURCE = "nvidia.com/gpu"
MAX_PROBED_NODES = 3


@dataclass(frozen=True, slots=True)
class Problem:
    """Why the tuning cannot go on, as the condition that says so."""

    condition: ConditionType
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Resolved:
    """The target as it stands now. ``replicas`` is what the workload asks for."""

    uid: str
    template: RawObject
    container: RawObject
    port: int
    ready_path: str | None
    ready_port: int
    batch_size: int | None
    autoscaler: str | None
    autoscaler_uid: str | None
    bounds: Bounds | None
    bounds_owner: Owner | None
    replicas: int
    nodes: tuple[str, ...]
    gpus: int
    runtime_class: str | None
    managed_fields: tuple[RawObject, ...]
    settings: Mapping[str, str]
    sources: Mapping[str, RawObject]

    @property
    def image(self) -> str:
        """Image of the serving container."""
        return str(self.container.get("image", ""))

    @property
    def writable_bounds(self) -> Bounds | None:
        """Today's bounds where they may be written; None without an autoscaler of one's own."""
        return None if self.bounds_owner is not None else self.bounds

    @property
    def configuration(self) -> Configuration:
        """Today's setting of all knobs."""
        low, high = (
            (self.bounds.min_replicas, self.bounds.max_replicas)
            if self.bounds
            else (self.replicas, self.replicas)
        )
        return Configuration(
            batch_size=self.batch_size,
            image=self.image,
            min_replicas=low,
            max_replicas=high,
            settings=dict(self.settings) or None,
        )

    @property
    def incumbent(self) -> Candidate:
        """Return today's configuration as a candidate."""
        return Candidate(self.image, self.batch_size, settings_of(self.settings))

    @property
    def stand(self) -> Stand:
        """Return the template as it stands, with the ConfigMaps it refers to."""
        return Stand(self.template, self.container, self.sources)

    def probe_image(self, installation: Installation) -> str:
        """Return the probe image that fits the target: the one with torch where GPUs are asked."""
        if self.gpus and installation.gpu_probe_image:
            return installation.gpu_probe_image
        return installation.probe_image


def resolve(snapshot: Snapshot, spec: TuningSpec) -> Resolved | Problem:
    """Return the resolved target, or the condition that tells why it cannot be resolved."""
    missing = _not_one(snapshot, spec)
    if missing is not None:
        return missing
    assert snapshot.target is not None
    reference, raw, autoscaler = spec.target_ref, snapshot.target.raw, snapshot.autoscaler
    template: RawObject = raw["spec"]["template"]
    container = find_container(template, reference.container)
    if isinstance(container, KnobProblem):
        return Problem("TargetAvailable", container.reason, container.message)
    knobs = _read_knobs(Stand(template, container, snapshot.sources), spec)
    if isinstance(knobs, Problem):
        return knobs
    port = _port(container, spec)
    if port is None:
        words = f"container {container.get('name')!r} declares no port: set spec.load.port"
        return Problem("TargetAvailable", "PortUnknown", words)
    return Resolved(
        uid=str(raw["metadata"]["uid"]),
        template=template,
        container=container,
        port=port,
        ready_path=_ready_path(container, spec),
        ready_port=_ready_port(container, spec) or port,
        batch_size=knobs[0],
        autoscaler=autoscaler["metadata"]["name"] if autoscaler else None,
        autoscaler_uid=autoscaler["metadata"]["uid"] if autoscaler else None,
        bounds=bounds_of(autoscaler),
        bounds_owner=owner_of(autoscaler),
        replicas=int(raw["spec"].get("replicas", 1)),
        nodes=_nodes(snapshot.target),
        gpus=_gpus(container),
        runtime_class=template.get("spec", {}).get("runtimeClassName"),
        managed_fields=tuple(raw["metadata"].get("managedFields", ())),
        settings=knobs[1],
        sources=snapshot.sources,
    )


def _not_one(snapshot: Snapshot, spec: TuningSpec) -> Problem | None:
    """Return why there is not exactly one target with at most one autoscaler, or None."""
    reference, autoscaler = spec.target_ref, snapshot.autoscaler
    if snapshot.target is None:
        words = f"spec.targetRef: no {reference.kind} {reference.name!r} in this namespace"
        return Problem("TargetAvailable", "TargetNotFound", words)
    if _replaced(snapshot, str(snapshot.target.raw["metadata"]["uid"])):
        words = f"spec.targetRef: another {reference.kind} took the name {reference.name!r}"
        return Problem("TargetAvailable", "TargetReplaced", f"{words}: starting anew with it")
    if autoscaler is not None and snapshot.other_autoscalers:
        names = (str(autoscaler["metadata"]["name"]), *snapshot.other_autoscalers)
        return Problem("TargetAvailable", "AutoscalerAmbiguous", ambiguous(names))
    return None


def _replaced(snapshot: Snapshot, uid: str) -> bool:
    """Whether what was measured so far belongs to an object of another UID.

    In Pending nothing is measured yet: there the target is taken as it stands.
    """
    status = snapshot.tuning.status
    return status.state != "Pending" and status.target.uid not in {"", uid}


def _nodes(target: TargetView) -> tuple[str, ...]:
    return tuple(sorted({pod.node for pod in target.pods if pod.node})[:MAX_PROBED_NODES])


def _read_knobs(stand: Stand, spec: TuningSpec) -> tuple[int | None, dict[str, str]] | Problem:
    """Return today's batch cap and settings, or the first knob that cannot be read or turned."""
    doubled = duplicate_env(stand.container)
    if doubled is not None:
        return Problem("TargetAvailable", doubled.reason, doubled.message)
    knob = spec.knobs.batch_size
    batch = None if knob is None else read_batch(stand.container, knob)
    if isinstance(batch, KnobProblem):
        words = f"spec.knobs.batchSize: {batch.message}"
        return Problem("TargetAvailable", batch.reason, words)
    settings: dict[str, str] = {}
    for setting in spec.knobs.settings:
        text = read_setting(stand, setting)
        if isinstance(text, KnobProblem):
            words = f"spec.knobs.settings[{setting.name}]: {text.message}"
            return Problem("TargetAvailable", text.reason, words)
        settings |= {} if text is None else {setting.name: text}
    return batch, settings


def bounds_of(autoscaler: RawObject | None) -> Bounds | None:
    """Return the replica bounds of an autoscaler; an absent minimum is 1, as in Kubernetes."""
    if autoscaler is None:
        return None
    spec = autoscaler["spec"]
    return Bounds(
        min_replicas=int(spec.get("minReplicas", 1)), max_replicas=int(spec["maxReplicas"])
    )


def _port(container: Mapping[str, Any], spec: TuningSpec) -> int | None:
    if spec.load.port is not None:
        return spec.load.port
    ports = container.get("ports", ())
    return int(ports[0]["containerPort"]) if ports else None


def _ready_path(container: Mapping[str, Any], spec: TuningSpec) -> str | None:
    if spec.load.ready_path is not None:
        return spec.load.ready_path
    probe = container.get("readinessProbe", {}).get("httpGet", {})
    # A certificate that only the kubelet accepts: the pod's own Ready is asked instead.
    path = probe.get("path") if probe.get("scheme", "HTTP") == "HTTP" else None
    return str(path) if path else None


def _ready_port(container: Mapping[str, Any], spec: TuningSpec) -> int | None:
    """Return the port of the readiness probe, which need not be the one that serves."""
    if spec.load.ready_path is not None:
        return None
    port = container.get("readinessProbe", {}).get("httpGet", {}).get("port")
    if isinstance(port, str):
        named = (p for p in container.get("ports", ()) if p.get("name") == port)
        port = next((p.get("containerPort") for p in named), None)
    return None if port is None else int(port)


def missing_config_map(snapshot: Snapshot, spec: TuningSpec) -> Problem | None:
    """Return the first ConfigMap the spec refers to that is absent or lacks its key."""
    wanted: list[tuple[str, str, str]] = []
    if spec.load.payload_ref is not None:
        payload = spec.load.payload_ref
        wanted.append(("spec.load.payloadRef", payload.config_map, payload.key))
    if spec.quality is not None:
        wanted.append(("spec.quality", spec.quality.golden_config_map, spec.quality.key))
    for field, name, key in wanted:
        content = snapshot.config_maps.get(name)
        if content is None:
            return Problem("TargetAvailable", "ConfigMapMissing", f"{field}: no ConfigMap {name!r}")
        if key not in content:
            held = ", ".join(sorted(content))
            return Problem(
                "TargetAvailable",
                "ConfigMapKeyMissing",
                f"{field}: ConfigMap {name!r} has no key {key!r}; it has {held}",
            )
    return None


def _gpus(container: Mapping[str, Any]) -> int:
    resources = container.get("resources", {})
    asked = resources.get("limits", {}).get(GPU_RESOURCE, 0)
    return int(asked)
