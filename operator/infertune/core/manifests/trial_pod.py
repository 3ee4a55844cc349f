"""The pod of a trial server: the target's template, without what ties it to live traffic.

Role: what is left out, added or changed in the copy, whatever the candidate is. Must not know: the
candidate, Jobs. Trade-off: everything else stays as it is, fields of future API versions too, since
a copy that leaves out what it does not know would measure another server.
"""

import re
from collections.abc import Mapping
from typing import Any

from infertune.api.spec import TuningSpec
from infertune.api.trial_rules import DefaultLimits, PodTemplateOverride
from infertune.core.manifests.lost_nodes import leaving_lost_nodes
from infertune.core.placement import Pin, pinned
from infertune.core.quantities import larger

_GRACE_SECONDS = 5
_LIVE_ONLY = ("nodeName", "priority", "preemptionPolicy", "priorityClassName", "hostname")
_LEAST = {"cpu": "100m", "memory": "128Mi"}
# Who would scrape or watch a pod that says so: a trial's figures must not mix with live ones.
_SCRAPES = re.compile(
    r"^(prometheus\.io|prometheus\.istio\.io|k8s\.grafana\.com|ad\.datadoghq\.com|"
    r"co\.elastic\.(metrics|monitor)|sidecar\.(opentelemetry|jaegertracing)\.io|"
    r"instrumentation\.opentelemetry\.io|metrics\.dynatrace\.com)/|"
    r"(^|[/._-])scrape([/._-]|$)"
)
_MESH = re.compile(
    r"^((traffic\.)?sidecar\.istio\.io|proxy\.istio\.io|istio\.io|(config\.)?linkerd\.io|"
    r"consul\.hashicorp\.com|kuma\.io|appmesh\.k8s\.aws|openservicemesh\.io)/"
)
NO_MESH = {
    "sidecar.istio.io/inject": "false",
    "linkerd.io/inject": "disabled",
    "consul.hashicorp.com/connect-inject": "false",
    "kuma.io/sidecar-injection": "disabled",
}


def copied_pod(
    template: Mapping[str, Any], serving: str, spec: TuningSpec, pin: Pin | None
) -> dict[str, Any]:
    """Return the pod spec of a copy; ``serving`` is the container whose environment is overridden.

    Its init containers, volumes and ServiceAccount follow the override, its containers all have
    requests and limits, and it goes to a node like those of live pods.
    """
    rules = spec.trial
    override = rules.pod_template_override or PodTemplateOverride.model_validate({})
    pod = {name: part for name, part in template.get("spec", {}).items() if name not in _LIVE_ONLY}
    pod |= {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": _GRACE_SECONDS,
        "automountServiceAccountToken": False,
        "tolerations": leaving_lost_nodes(pod.get("tolerations") or ()),
        "containers": [
            _limited(_with_env(container, override, serving), rules.default_limits)
            for container in pod.get("containers") or ()
        ],
    }
    inits = [
        _limited(_with_env(container, override, serving), rules.default_limits)
        for container in pod.pop("initContainers", None) or ()
        if container.get("name") not in override.drop_init_containers
    ]
    if inits:
        pod["initContainers"] = inits
    volumes = _volumes(pod.pop("volumes", None) or (), override)
    if volumes:
        pod["volumes"] = volumes
    if override.service_account_name is not None:
        pod.pop("serviceAccount", None)
        pod["serviceAccountName"] = override.service_account_name
    affinity = pinned(pod.get("affinity"), pin)
    if affinity:
        pod["affinity"] = affinity
    return pod


def copied_annotations(template: Mapping[str, Any], spec: TuningSpec) -> dict[str, str]:
    """Return the annotations of a copy: nothing that scrapes it, and a mesh only when asked for."""
    found = template.get("metadata", {}).get("annotations") or {}
    kept = {name: value for name, value in found.items() if not _SCRAPES.search(name)}
    if spec.load.mesh == "Inherit":
        return kept
    return {name: value for name, value in kept.items() if not _MESH.search(name)} | NO_MESH


def mesh_annotations(template: Mapping[str, Any], spec: TuningSpec) -> dict[str, str]:
    """Return the annotations of the load probe: the target's own mesh, or none at all."""
    if spec.load.mesh != "Inherit":
        return dict(NO_MESH)
    return _of_mesh(template.get("metadata", {}).get("annotations") or {})


def mesh_labels(template: Mapping[str, Any], spec: TuningSpec) -> dict[str, str]:
    """Return the target's labels that only tell a mesh to inject: all that a copy may share."""
    if spec.load.mesh != "Inherit":
        return {}
    return _of_mesh(template.get("metadata", {}).get("labels") or {})


def _of_mesh(found: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in found.items() if _MESH.search(name)}


def _with_env(
    container: Mapping[str, Any], override: PodTemplateOverride, serving: str
) -> dict[str, Any]:
    """Return the container with the overridden entries in their places: later ones may use them."""
    entries = container.get("env") or ()
    known = {entry.get("name") for entry in entries}
    changed = [
        {"name": entry["name"], "value": override.env[entry["name"]]}
        if entry.get("name") in override.env
        else entry
        for entry in entries
    ]
    if container.get("name") == serving:
        changed += [
            {"name": name, "value": value}
            for name, value in sorted(override.env.items())
            if name not in known
        ]
    return {**container, "env": changed} if changed else dict(container)


def _limited(container: Mapping[str, Any], defaults: DefaultLimits) -> dict[str, Any]:
    """Return the container with requests and limits of CPU and memory.

    A missing request is the container's own limit, else little; a missing limit the default, or
    the request where that is larger.
    """
    resources = dict(container.get("resources") or {})
    limits = dict(resources.get("limits") or {})
    requests = dict(resources.get("requests") or {})
    for name, default in (("cpu", defaults.cpu), ("memory", defaults.memory)):
        requests.setdefault(name, limits.get(name, _LEAST[name]))
        limits.setdefault(name, larger(str(requests[name]), default))
    return {**container, "resources": {**resources, "requests": requests, "limits": limits}}


def _volumes(
    volumes: tuple[Mapping[str, Any], ...], override: PodTemplateOverride
) -> list[Mapping[str, Any]]:
    kept = [volume for volume in volumes if volume.get("name") not in override.empty_volumes]
    return [*kept, *({"name": name, "emptyDir": {}} for name in override.empty_volumes)]
