"""What the target's autoscaler is good for: whose it is, and whether it sees the load.

Role: facts about a HorizontalPodAutoscaler that decide what may be written to it and what the
bounds have to carry. Must not know: states, effects. Trade-off: a custom or external metric is
taken to follow load, since nobody here can know; one that is all memory, or that the autoscaler
itself cannot read, is not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from infertune.api.conditions import Observation
from infertune.api.status import Bounds
from infertune.core.render import canonical_json
from infertune.core.snapshot import RawObject

SCALED_OBJECT = "ScaledObject"
SCALED_OBJECT_API = "keda.sh/v1alpha1"
SCALED_OBJECT_PATCH_KEY = "scaledobject-patch.json"
# An autoscaler of a workload scaled to zero does nothing on purpose.
_ON_PURPOSE = "ScalingDisabled"
BlindReason = Literal["MemoryOnly", "ScalingInactive"]


@dataclass(frozen=True, slots=True)
class Owner:
    """The controller that writes an autoscaler's spec; what we wrote there would not last."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name!r}"


@dataclass(frozen=True, slots=True)
class Blind:
    """Why an autoscaler does not follow the load: one word, and a sentence with the fix."""

    reason: BlindReason
    message: str


def owner_of(autoscaler: RawObject | None) -> Owner | None:
    """Return the controller that owns an autoscaler (KEDA's ScaledObject, say), or None."""
    if autoscaler is None:
        return None
    for reference in autoscaler["metadata"].get("ownerReferences") or ():
        if reference.get("controller"):
            return Owner(str(reference.get("kind")), str(reference.get("name")))
    return None


def not_ours(autoscaler: str, owner: Owner, bounds: Bounds) -> str:
    """Return the sentence that recommends bounds which somebody else has to write."""
    low, high = bounds.min_replicas, bounds.max_replicas
    where = (
        f"set minReplicaCount {low} and maxReplicaCount {high} there"
        if owner.kind == SCALED_OBJECT
        else f"have minReplicas {low} and maxReplicas {high} set there"
    )
    return (
        f"HorizontalPodAutoscaler {autoscaler!r} belongs to {owner}, which would set its bounds "
        f"back: replica bounds {low}-{high} are recommended only, {where}"
    )


def scaled_object_patch(owner: Owner | None, bounds: Bounds) -> dict[str, str]:
    """Return the patch of KEDA's object in place of the autoscaler's; nothing for other owners."""
    if owner is None or owner.kind != SCALED_OBJECT:
        return {}
    document = {
        "apiVersion": SCALED_OBJECT_API,
        "kind": SCALED_OBJECT,
        "metadata": {"name": owner.name},
        "spec": {"minReplicaCount": bounds.min_replicas, "maxReplicaCount": bounds.max_replicas},
    }
    return {SCALED_OBJECT_PATCH_KEY: canonical_json(document)}


def blindness(autoscaler: RawObject | None) -> Blind | None:
    """Return why the autoscaler cannot follow the load, or None: it does, or there is none."""
    if autoscaler is None:
        return None
    name = f"HorizontalPodAutoscaler {autoscaler['metadata']['name']!r}"
    carries = "the recommended lower bound carries the peak instead"
    metrics = autoscaler["spec"].get("metrics") or ()
    if metrics and all(_resource(metric) == "memory" for metric in metrics):
        words = (
            f"{name}: spec.metrics holds memory only, and a model server's memory does not follow "
            f"its load: scale on CPU, a queue or the request rate; {carries}"
        )
        return Blind("MemoryOnly", words)
    condition = scaling_active(autoscaler) or {}
    if condition.get("status") == "False" and condition.get("reason") != _ON_PURPOSE:
        words = (
            f"{name} does not scale ({condition.get('reason')}: "
            f"{str(condition.get('message'))[:400]}): mend its metric; {carries}"
        )
        return Blind("ScalingInactive", words)
    return None


def scaling_active(autoscaler: RawObject) -> RawObject | None:
    """Return what the autoscaler says of its own metric, or None while it has said nothing."""
    conditions: Sequence[RawObject] = autoscaler.get("status", {}).get("conditions") or ()
    return next((one for one in conditions if one.get("type") == "ScalingActive"), None)


def metric_observation(autoscaler: RawObject | None) -> Observation:
    """Return the condition that tells whether the autoscaler sees the load."""
    if autoscaler is None:
        words = "no HorizontalPodAutoscaler scales the target: replica bounds are recommended only"
        return Observation("HPAMetricBlind", "Unknown", "NoAutoscaler", words)
    found = blindness(autoscaler)
    if found is not None:
        return Observation("HPAMetricBlind", "True", found.reason, found.message)
    words = (
        f"HorizontalPodAutoscaler {autoscaler['metadata']['name']!r} is taken to follow the load"
    )
    return Observation("HPAMetricBlind", "False", "FollowsLoad", words)


def ambiguous(names: Sequence[str]) -> str:
    """Return the sentence about a target that several autoscalers scale at once."""
    shown = ", ".join(repr(name) for name in names)
    return (
        f"HorizontalPodAutoscalers {shown} scale the target at once, and Kubernetes lets none of "
        f"them work: keep one"
    )


def ours_first(autoscalers: tuple[RawObject, ...], written: str | None) -> tuple[RawObject, ...]:
    """Return the autoscalers with the one that an open rollout has written first."""
    return tuple(sorted(autoscalers, key=lambda raw: raw["metadata"]["name"] != written))


def _resource(metric: Mapping[str, Any]) -> str | None:
    source = {"Resource": "resource", "ContainerResource": "containerResource"}.get(
        str(metric.get("type"))
    )
    return None if source is None else (metric.get(source) or {}).get("name")
