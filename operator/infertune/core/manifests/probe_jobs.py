"""Jobs that measure: checks of a node, and the load on a trial server.

Role: our own pods. They carry no API token, run as nobody, and change nothing on the node. Must not
know: what the result means. Trade-off: a read-only check requests no GPU, so it never waits for
one; a benchmark asks for the device it loads.
"""

from collections.abc import Mapping
from typing import Any

from infertune.api.spec import TuningSpec
from infertune.core.manifests.load_arguments import header_variable
from infertune.core.manifests.lost_nodes import leaving_lost_nodes
from infertune.core.manifests.naming import (
    LABEL_ROLE,
    LABEL_TRIAL,
    labels,
    object_metadata,
    probe_job_name,
)
from infertune.core.manifests.trial_pod import NO_MESH, mesh_annotations, mesh_labels
from infertune.core.resolve import GPU_RESOURCE, Resolved
from infertune.core.snapshot import Installation, JobRole, RawObject, TuningView

KEEP_FINISHED_SECONDS = 600
PROBE_DEADLINE_SECONDS = 300
BENCHMARK_SECONDS = 10

RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
_NOBODY = {
    "runAsNonRoot": True,
    "runAsUser": 65532,
    "runAsGroup": 65532,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def gpu_check_job(
    tuning: TuningView, spec: TuningSpec, resolved: Resolved, node: str, installation: Installation
) -> RawObject:
    """Return the Job that asks one node for its GPUs; it requests none itself."""
    required = ["--require"] if spec.probes.gpu_check == "Required" else []
    container = probe_container(
        resolved.probe_image(installation), ["infertune_probes.gpu", *required], "200m"
    )
    container["env"] += [
        {"name": "NVIDIA_VISIBLE_DEVICES", "value": "all"},
        {"name": "NVIDIA_DRIVER_CAPABILITIES", "value": "utility"},
    ]
    pod = _on_the_targets_node(container, installation, node, resolved)
    name = probe_job_name(tuning, "gpu", node)
    return job(tuning, name, "gpu", pod, deadline_seconds=PROBE_DEADLINE_SECONDS)


def benchmark_job(
    tuning: TuningView, resolved: Resolved, node: str, installation: Installation
) -> RawObject:
    """Return the Job that multiplies matrices on the device in use on one node."""
    container = probe_container(
        resolved.probe_image(installation),
        ["infertune_probes.benchmark", "--seconds", str(BENCHMARK_SECONDS)],
        "500m",
    )
    if resolved.gpus:
        container["resources"]["limits"][GPU_RESOURCE] = "1"
    pod = _on_the_targets_node(container, installation, node, resolved)
    name = probe_job_name(tuning, "benchmark", node)
    return job(tuning, name, "benchmark", pod, deadline_seconds=PROBE_DEADLINE_SECONDS)


def versions_job(
    tuning: TuningView, resolved: Resolved, node: str, installation: Installation
) -> RawObject:
    """Return the Job that reads driver and GPUs of one node; it requests and uses none itself."""
    arguments = ["infertune_probes.versions", "--host-only"]
    container = probe_container(resolved.probe_image(installation), arguments, "200m")
    container["env"] += [
        {"name": "NVIDIA_VISIBLE_DEVICES", "value": "all"},
        {"name": "NVIDIA_DRIVER_CAPABILITIES", "value": "utility"},
    ]
    pod = _on_the_targets_node(container, installation, node, resolved)
    name = probe_job_name(tuning, "versions", node)
    return job(tuning, name, "versions", pod, deadline_seconds=PROBE_DEADLINE_SECONDS)


def system_job(
    tuning: TuningView, resolved: Resolved, node: str, installation: Installation
) -> RawObject:
    """Return the Job that looks at one node for a while; it changes nothing there."""
    container = probe_container(installation.probe_image, ["infertune_probes.system"], "200m")
    pod = _on_the_targets_node(container, installation, node, resolved)
    name = probe_job_name(tuning, "system", node)
    return job(tuning, name, "system", pod, deadline_seconds=PROBE_DEADLINE_SECONDS)


def load_job(
    tuning: TuningView,
    trial: str,
    arguments: list[str],
    spec: TuningSpec,
    template: RawObject,
    installation: Installation,
) -> RawObject:
    """Return the Job that offers load to a trial server; ``arguments`` are the load probe's.

    It runs off the server's node where it can, and in the mesh of the target's ``template`` where
    the spec says so.
    """
    container = probe_container(
        installation.probe_image, ["infertune_probes.load", *arguments], "1"
    )
    # A client that waits for its turn on a busy node sends late, and its trial is void.
    container["resources"]["requests"]["cpu"] = "250m"
    container["env"] += _private_headers(spec)
    volumes: list[dict[str, Any]] = []
    if spec.load.payload_ref is not None:
        reference = spec.load.payload_ref
        _mount(container, volumes, "payload", reference.config_map)
    if spec.quality is not None:
        _mount(container, volumes, "golden", spec.quality.golden_config_map)
    pod = probe_pod(container, installation, node=None, runtime_class=None)
    pod["spec"]["volumes"] = volumes
    pod["spec"]["affinity"] = {"podAntiAffinity": _off_the_node_of(trial)}
    pod["metadata"] = {
        "annotations": mesh_annotations(template, spec),
        "labels": mesh_labels(template, spec),
    }
    rules = spec.trial
    seconds = (
        rules.scheduling_timeout_seconds
        + rules.startup_timeout_seconds
        + rules.max_rates * (rules.seconds_per_rate + rules.warmup_seconds)
        + PROBE_DEADLINE_SECONDS
    )
    return job(tuning, f"{trial}-load", "load", pod, deadline_seconds=seconds, trial=trial)


def job(
    tuning: TuningView,
    name: str,
    role: JobRole,
    pod: Mapping[str, Any],
    *,
    deadline_seconds: int,
    trial: str = "",
) -> RawObject:
    """Return a Job that runs once, ends by itself and cleans up after itself.

    Its pod has our labels, what the pod's own metadata says, and no mesh where that says nothing.
    """
    ours = labels(tuning, role, trial)
    metadata = pod.get("metadata", {})
    template = dict(pod)
    template["metadata"] = {
        "labels": {**metadata.get("labels", {}), **ours},
        "annotations": metadata.get("annotations", dict(NO_MESH)),
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": object_metadata(tuning, name, ours),
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": deadline_seconds,
            "ttlSecondsAfterFinished": KEEP_FINISHED_SECONDS,
            "template": template,
        },
    }


def probe_container(image: str, module: list[str], cpu_limit: str) -> dict[str, Any]:
    """Return the container of a probe: it may do nothing but measure and tell."""
    return {
        "name": "probe",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", "-m"],
        "args": module,
        "env": [
            {"name": "NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
            {"name": "INFERTUNE_IMAGE", "value": image},
            {
                "name": "INFERTUNE_POD_UID",
                "valueFrom": {"fieldRef": {"fieldPath": "metadata.uid"}},
            },
        ],
        "resources": {
            "requests": {"cpu": "50m", "memory": "64Mi"},
            "limits": {"cpu": cpu_limit, "memory": "512Mi"},
        },
        "securityContext": dict(RESTRICTED),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [],
    }


def _on_the_targets_node(
    container: dict[str, Any], installation: Installation, node: str, resolved: Resolved
) -> dict[str, Any]:
    """Return the probe's pod with the target's run time class and with what its pods tolerate.

    A taint that evicts would end the probe where the target's own pods stay.
    """
    pod = probe_pod(container, installation, node=node, runtime_class=resolved.runtime_class)
    tolerated = resolved.template.get("spec", {}).get("tolerations") or ()
    ours = [one for one in pod["spec"]["tolerations"] if one not in tolerated]
    pod["spec"]["tolerations"] = [*ours, *tolerated]
    return pod


def probe_pod(
    container: dict[str, Any],
    installation: Installation,
    *,
    node: str | None,
    runtime_class: str | None,
) -> dict[str, Any]:
    """Return the pod around it: no token, nobody's user, on the node when one is named."""
    anywhere = [{"operator": "Exists", "effect": "NoSchedule"}] if node is not None else []
    spec: dict[str, Any] = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 5,
        "securityContext": dict(_NOBODY),
        "containers": [container],
        "tolerations": leaving_lost_nodes(anywhere),
    }
    if runtime_class:
        spec["runtimeClassName"] = runtime_class
    if installation.trial_priority_class:
        spec["priorityClassName"] = installation.trial_priority_class
    if node is not None:
        spec["affinity"] = {"nodeAffinity": _on_node(node)}
    return {"spec": spec}


def _on_node(node: str) -> dict[str, Any]:
    field = {"key": "metadata.name", "operator": "In", "values": [node]}
    terms = {"nodeSelectorTerms": [{"matchFields": [field]}]}
    return {"requiredDuringSchedulingIgnoredDuringExecution": terms}


def _off_the_node_of(trial: str) -> dict[str, Any]:
    """Return the wish for another node than the server's: its load must not take its CPU."""
    server = {LABEL_TRIAL: trial, LABEL_ROLE: "server"}
    term = {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": server}}
    wish = {"weight": 100, "podAffinityTerm": term}
    return {"preferredDuringSchedulingIgnoredDuringExecution": [wish]}


def _private_headers(spec: TuningSpec) -> list[dict[str, Any]]:
    """Return the variables that the kubelet fills from Secrets; nothing here knows a value.

    A variable and not a file: a Secret that is missing then stands in the container's status.
    """
    return [
        {
            "name": header_variable(number),
            "valueFrom": {"secretKeyRef": {"name": header.secret, "key": header.key}},
        }
        for number, header in enumerate(spec.load.headers_from)
    ]


def _mount(
    container: dict[str, Any], volumes: list[dict[str, Any]], name: str, config_map: str
) -> None:
    container["volumeMounts"].append({"name": name, "mountPath": f"/{name}", "readOnly": True})
    volumes.append({"name": name, "configMap": {"name": config_map}})
