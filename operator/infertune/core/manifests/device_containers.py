"""Our two containers in the pod of a trial server that asks for a GPU: the gate and the watch.

Role: the gate runs before everything else, with the server's own devices, and keeps a sick or a
shared one from being measured; the watch stays beside the server and says in its log what happens
to these devices. Must not know: what they find. Trade-off: they live in the server's pod, because
only there it is the same device; they take as little of it as a Python needs.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from infertune.api.spec import TuningSpec
from infertune.core.manifests.probe_jobs import RESTRICTED, probe_container
from infertune.core.resolve import GPU_RESOURCE, Resolved
from infertune.core.snapshot import Installation

GATE = "infertune-gate"
WATCH = "infertune-watch"
OUR_CONTAINERS = frozenset({GATE, WATCH})
WATCH_SECONDS = 10
_FOLDER = "/infertune/devices"
_FILE = f"{_FOLDER}/devices.json"
# What probes ask for everywhere, so that a LimitRange that lets them in lets these in too.
_LITTLE = {"cpu": "50m", "memory": "64Mi"}
_MOST = {"cpu": "200m", "memory": "256Mi"}
_EQUAL = {"cpu": "100m", "memory": "192Mi"}
_NOBODY = {
    "runAsNonRoot": True,
    "runAsUser": 65532,
    "runAsGroup": 65532,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def with_device_containers(
    pod: Mapping[str, Any], spec: TuningSpec, resolved: Resolved, installation: Installation
) -> dict[str, Any]:
    """Return the pod with gate and watch where its server asks for GPUs and they are checked."""
    if not resolved.gpus or spec.probes.gpu_check == "Disabled":
        return dict(pod)
    guaranteed = _is_guaranteed(pod)
    required = ["--require"] if spec.probes.gpu_check == "Required" else []
    gate = ["infertune_probes.gpu.gate", "--asked", str(resolved.gpus), *required]
    watch = ["infertune_probes.gpu.beside", "--every", str(WATCH_SECONDS)]
    ours = [
        _gate(installation.probe_image, gate, resolved.gpus, guaranteed=guaranteed),
        _watch(installation.probe_image, watch, guaranteed=guaranteed),
    ]
    folder = {"name": GATE, "emptyDir": {"sizeLimit": "1Mi"}}
    return {
        **pod,
        "initContainers": [*ours, *pod.get("initContainers", ())],
        "volumes": [*pod.get("volumes", ()), folder],
    }


# The kubelet gives the devices of an init container that has ended to the containers after it:
# ManagerImpl.Allocate in pkg/kubelet/cm/devicemanager/manager.go of Kubernetes allocates what
# ``addContainerAllocatedResources`` put into ``devicesToReuse`` first. So the gate looks at the
# very devices of the server, and the pod asks for no more of them than before.
def _gate(image: str, module: list[str], gpus: int, *, guaranteed: bool) -> dict[str, Any]:
    container = _small(image, GATE, module, guaranteed=guaranteed)
    container["resources"]["limits"][GPU_RESOURCE] = str(gpus)
    # Which devices are visible is for the device plugin to say.
    container["env"].append({"name": "NVIDIA_DRIVER_CAPABILITIES", "value": "utility"})
    return container


# A sidecar's devices would be its own for good, so the watch asks for none. As an init container
# with restartPolicy Always (on by default since Kubernetes 1.29; the chart asks for a later one)
# it ends with the server and never keeps a Job alive.
def _watch(image: str, module: list[str], *, guaranteed: bool) -> dict[str, Any]:
    container = _small(image, WATCH, module, guaranteed=guaranteed)
    container["restartPolicy"] = "Always"
    container["volumeMounts"][0]["readOnly"] = True
    container["env"] += [
        {"name": "NVIDIA_VISIBLE_DEVICES", "value": "all"},
        {"name": "NVIDIA_DRIVER_CAPABILITIES", "value": "utility"},
    ]
    return container


def _small(image: str, name: str, module: list[str], *, guaranteed: bool) -> dict[str, Any]:
    container = probe_container(image, [*module, "--devices", _FILE], "")
    # A pod is Guaranteed only when every container's requests are its limits. Ours must not take
    # that from it: pinned cores and the place in the line of evictions hang on it.
    resources: dict[str, Any] = (
        {"requests": dict(_EQUAL), "limits": dict(_EQUAL)}
        if guaranteed
        else {"requests": dict(_LITTLE), "limits": dict(_MOST)}
    )
    return {
        **container,
        "name": name,
        "resources": resources,
        # The target's pod may say nothing of it; the rules of a namespace ask every container.
        "securityContext": {**RESTRICTED, **_NOBODY},
        "volumeMounts": [{"name": GATE, "mountPath": _FOLDER}],
    }


def _is_guaranteed(pod: Mapping[str, Any]) -> bool:
    """Return whether all containers of the pod have limits that equal their requests."""
    containers = [*pod.get("initContainers", ()), *pod["containers"]]
    return all(_equal(container) for container in containers)


def _equal(container: Mapping[str, Any]) -> bool:
    resources: Mapping[str, Any] = container.get("resources") or {}
    limits: Mapping[str, Any] = resources.get("limits") or {}
    # A request that is not there is the limit.
    requests: Mapping[str, Any] = {**limits, **(resources.get("requests") or {})}
    names: Sequence[str] = ("cpu", "memory")
    return all(name in limits and str(limits[name]) == str(requests[name]) for name in names)
