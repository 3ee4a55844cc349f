"""The workload and the pods that are really its own.

Role: pure pieces of reading a target: selector text, ownership, revision. Must not know: requests.
Trade-off: a pod counts only when its owner chain leads to the workload, so a foreign pod with the
same labels is never taken for live traffic.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from infertune.adapters.kube.jobs import image_ids, is_ready
from infertune.core.config_copies import references
from infertune.core.selection import selector_of
from infertune.core.snapshot import CopyView, LivePod, RawObject, Selector

DEPLOYMENT_HASH = "pod-template-hash"
STATEFULSET_HASH = "controller-revision-hash"
REVISION_ANNOTATION = "deployment.kubernetes.io/revision"
# Everything in a namespace that picks pods by label, with its API version.
SELECTING = (
    ("v1", "Service"),
    ("v1", "ReplicationController"),
    ("policy/v1", "PodDisruptionBudget"),
)
SCALED = (("apps/v1", "Deployment"), ("apps/v1", "StatefulSet"), ("apps/v1", "ReplicaSet"))
# What holds earlier templates of a workload.
REVISIONS = {"Deployment": "ReplicaSet", "StatefulSet": "ControllerRevision"}
PLAIN_SELECTORS = frozenset({"Service", "ReplicationController"})
EMPTY_PICKS_ALL = frozenset({"PodDisruptionBudget", "PodMonitor"})
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
            no_room=_no_room(pod),
            image_ids=image_ids(pod),
        )
        for pod in pods
        if "deletionTimestamp" not in pod["metadata"]
        and pod.get("status", {}).get("phase") not in {"Succeeded", "Failed"}
    ]
    return tuple(sorted(found, key=lambda pod: pod.name))


def config_maps_of(revisions: Iterable[RawObject]) -> frozenset[str]:
    """Return the ConfigMaps that the templates of these revisions refer to.

    A ReplicaSet holds its template itself; a ControllerRevision of a StatefulSet in its data.
    """
    contents = (raw.get("data") or raw for raw in revisions)
    found = (references((raw.get("spec") or {}).get("template") or {}) for raw in contents)
    return frozenset[str]().union(*found)


def copies(config_maps: Iterable[RawObject]) -> tuple[CopyView, ...]:
    """Return copies that are there to stay, with their owners."""
    return tuple(
        CopyView(
            name=raw["metadata"]["name"],
            uid=raw["metadata"]["uid"],
            owner_uids=frozenset(
                str(owner["uid"]) for owner in raw["metadata"].get("ownerReferences") or ()
            ),
        )
        for raw in config_maps
        if "deletionTimestamp" not in raw["metadata"]
    )


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


def scaling(autoscalers: Iterable[RawObject], kind: str, name: str) -> tuple[RawObject, ...]:
    """Return the autoscalers whose target is this workload, by name."""
    found = []
    for raw in autoscalers:
        reference = raw["spec"]["scaleTargetRef"]
        group = str(reference.get("apiVersion", "")).partition("/")[0]
        if (group, reference.get("kind"), reference.get("name")) == ("apps", kind, name):
            found.append(raw)
    return tuple(sorted(found, key=lambda raw: str(raw["metadata"]["name"])))


def selector_in(kind: str, raw: RawObject) -> Selector | None:
    """Return what an object of this kind picks, read as its own API says; None for nothing.

    Services and ReplicationControllers hold a plain map, and an empty one picks nothing. An empty
    selector of a disruption budget or a PodMonitor picks every pod of the namespace. (What a
    ServiceMonitor scrapes is picked by Services.)
    """
    selector, name = raw.get("spec", {}).get("selector"), raw["metadata"]["name"]
    if kind in PLAIN_SELECTORS:
        selector = {"matchLabels": selector} if selector else None
    empty_picks_all = kind in EMPTY_PICKS_ALL
    return selector_of(kind, name, selector, empty_picks_all=empty_picks_all)


def autoscaler_selector(
    autoscaler: RawObject, workloads: Iterable[tuple[str, RawObject]]
) -> Selector | None:
    """Return what an autoscaler counts: every pod with the labels that its target selects.

    None for a target of another kind than ``workloads``; its pods are told from ours by nobody.
    """
    reference = autoscaler["spec"]["scaleTargetRef"]
    for kind, raw in workloads:
        if (kind, raw["metadata"]["name"]) == (reference.get("kind"), reference.get("name")):
            picked = selector_in(kind, raw)
            name = autoscaler["metadata"]["name"]
            return picked and replace(picked, kind="HorizontalPodAutoscaler", name=name)
    return None


def _no_room(pod: RawObject) -> str:
    """Return the scheduler's sentence while it finds no node for the pod, else nothing."""
    for condition in pod.get("status", {}).get("conditions") or ():
        if condition.get("reason") == "Unschedulable" and condition.get("status") == "False":
            return str(condition.get("message") or "no node has room")
    return ""


def _revision(pod: RawObject) -> str:
    labels = pod["metadata"].get("labels", {})
    return str(labels.get(DEPLOYMENT_HASH) or labels.get(STATEFULSET_HASH) or "")
