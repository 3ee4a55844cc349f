"""Where each kind lives in the API.

Role: kind and name to path. Must not know: verbs. Trade-off: a short table instead of discovery;
what is not in it is never touched, so it doubles as the list that RBAC must allow.
"""

from collections.abc import Mapping
from urllib.parse import quote

from infertune.api.v1alpha1 import API_VERSION, KIND, PLURAL

PLURALS: Mapping[tuple[str, str], str] = {
    ("v1", "ConfigMap"): "configmaps",
    ("v1", "Event"): "events",
    ("v1", "Node"): "nodes",
    ("v1", "PersistentVolumeClaim"): "persistentvolumeclaims",
    ("v1", "Pod"): "pods",
    ("v1", "ReplicationController"): "replicationcontrollers",
    ("v1", "ResourceQuota"): "resourcequotas",
    ("v1", "Service"): "services",
    ("apps/v1", "ControllerRevision"): "controllerrevisions",
    ("apps/v1", "Deployment"): "deployments",
    ("apps/v1", "ReplicaSet"): "replicasets",
    ("apps/v1", "StatefulSet"): "statefulsets",
    ("autoscaling/v2", "HorizontalPodAutoscaler"): "horizontalpodautoscalers",
    ("batch/v1", "Job"): "jobs",
    ("coordination.k8s.io/v1", "Lease"): "leases",
    ("policy/v1", "PodDisruptionBudget"): "poddisruptionbudgets",
    ("monitoring.coreos.com/v1", "PodMonitor"): "podmonitors",
    (API_VERSION, KIND): PLURAL,
}


def list_path(api_version: str, kind: str, namespace: str | None) -> str:
    """Return the path of a collection; without a namespace, of all namespaces."""
    plural = PLURALS[(api_version, kind)]
    root = "/api/" if "/" not in api_version else "/apis/"
    scope = f"/namespaces/{quote(namespace, safe='')}" if namespace is not None else ""
    return f"{root}{api_version}{scope}/{plural}"


def object_path(api_version: str, kind: str, namespace: str, name: str) -> str:
    """Return the path of one object."""
    return f"{list_path(api_version, kind, namespace)}/{quote(name, safe='')}"
