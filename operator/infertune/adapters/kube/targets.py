"""The workload and the pods that are really its own.

Role: pure pieces of reading a target: selector text, ownership, revision. Must not know: requests.
Trade-off: a pod counts only when its owner chain leads to the workload, so a foreign pod with the
same labels is never taken for live traffic.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from infertune.adapters.kube.jobs import is_ready
from infertune.core.snapshot import LivePod, RawObject, Selector

DEPLOYMENT_HASH = "pod-template-hash"
STATEFULSET_HASH = "controller-revision-hash"
REVISION_ANNOTATION = "deployment.kubernetes.io/revision"
_OPERATORS = {"In": "in", "NotIn": "notin"}


def selector_text(selector: Mapping[str, Any]) -> str:
    """Return a label selector in the form that a list request takes."""
    parts = [f"{key}={value}" for key, value in sorted(selector.get("matchLabels", {}).items())]
    for rule in selector.get("matchExpressions") or ():
        key, operator = rule["key"], rule["operator"]
        if operator in _OPERATORS:
            parts.append(f"{key} {_OPERATORS[operator]} ({','.join(rule['values'])})")
        else:
            parts.append(key if operator == "Exists" else f"!{key}")
    return ",".join(parts)


def owned_by(objects: Iterable[RawObject], owner_uids: frozenset[str]) -> list[RawObject]:
    """Return the objects whose controller is one of these."""
    return [
        raw
        for raw in objects
        if any(
            owner.get("controller") and owner.get("uid") in owner_uids
            for owner in raw["metadata"].get("ownerReferences") or ()
        )
    ]


def live_pods(pods: Iterable[RawObject]) -> tuple[LivePod, ...]:
    """Return the pods that serve or are about to; finished and leaving ones are left out."""
    found = [
        LivePod(
            name=pod["metadata"]["name"],
            node=pod.get("spec", {}).get("nodeName", ""),
            revision=_revision(pod),
            ready=is_ready(pod),
        )
        for pod in pods
        if "deletionTimestamp" not in pod["metadata"]
        and pod.get("status", {}).get("phase") not in {"Succeeded", "Failed"}
    ]
    return tuple(sorted(found, key=lambda pod: pod.name))


def current_revision(workload: RawObject, replica_sets: Iterable[RawObject]) -> str:
    """Return the hash that pods of today's template carry; empty when it is not known yet.

    A Deployment's newest ReplicaSet carries the same revision number as the Deployment itself.
    """
    status = workload.get("status", {})
    if status.get("observedGeneration") != workload["metadata"].get("generation"):
        return ""
    if workload["kind"] == "StatefulSet":
        return str(status.get("updateRevision", ""))
    number = workload["metadata"].get("annotations", {}).get(REVISION_ANNOTATION)
    for replica_set in replica_sets:
        annotations = replica_set["metadata"].get("annotations", {})
        if number is not None and annotations.get(REVISION_ANNOTATION) == number:
            return str(replica_set["metadata"].get("labels", {}).get(DEPLOYMENT_HASH, ""))
    return ""


def service_selector(service: RawObject) -> Selector | None:
    """Return what a Service picks; one without a selector picks nothing."""
    labels = service.get("spec", {}).get("selector")
    return Selector("Service", service["metadata"]["name"], labels) if labels else None


def rule_selector(kind: str, raw: RawObject) -> Selector | None:
    """Return what a disruption budget or a monitor picks.

    Rules beyond equality are left out: the result then picks more than the original, never less.
    """
    labels = raw.get("spec", {}).get("selector", {}).get("matchLabels")
    return Selector(kind, raw["metadata"]["name"], labels) if labels else None


def _revision(pod: RawObject) -> str:
    labels = pod["metadata"].get("labels", {})
    return str(labels.get(DEPLOYMENT_HASH) or labels.get(STATEFULSET_HASH) or "")
