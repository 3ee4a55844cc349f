"""Jobs of probes that a person asked for at a shell, without any tuning.

Role: the same pod as a tuning's probe, bound to one node, labelled with the run that it belongs to.
Must not know: who waits for it. Trade-off: no owner stands behind such a Job, so it ends and goes
by its own deadline and time to live, also when the shell that made it is gone.
"""

from dataclasses import dataclass
from typing import Any

from infertune.core.manifests.naming import LABEL_MANAGED_BY, LABEL_ROLE, MANAGED_BY
from infertune.core.manifests.probe_jobs import KEEP_FINISHED_SECONDS, probe_container, probe_pod
from infertune.core.manifests.trial_pod import NO_MESH
from infertune.core.resolve import GPU_RESOURCE
from infertune.core.snapshot import Installation, RawObject

LABEL_RUN = "infertune.io/probe-run"
ROLE = "shell-probe"
# They load a device, so they need one of their own; the others only look.
LOADS_A_DEVICE = frozenset({"benchmark", "profiler", "memory"})
_CPU_LIMIT = {"benchmark": "2", "profiler": "2"}


@dataclass(frozen=True, slots=True)
class Order:
    """What was asked for: one probe with its own flags, on any number of nodes."""

    run: str
    probe: str
    namespace: str
    image: str
    arguments: tuple[str, ...] = ()
    runtime_class: str | None = None
    deadline_seconds: int = 300


def shell_probe_job(order: Order, node: str, number: int, gpus: int) -> RawObject:
    """Return the Job for one node, the ``number``-th of the run; it offers so many ``gpus``."""
    module = f"infertune_probes.{order.probe}"
    limit = _CPU_LIMIT.get(order.probe, "500m")
    container = probe_container(order.image, [module, *order.arguments], limit)
    if gpus and order.probe in LOADS_A_DEVICE:
        container["resources"]["limits"][GPU_RESOURCE] = "1"
    elif gpus:
        container["env"] += [
            {"name": "NVIDIA_VISIBLE_DEVICES", "value": "all"},
            {"name": "NVIDIA_DRIVER_CAPABILITIES", "value": "utility,compute"},
        ]
    installation = Installation(probe_image=order.image)
    pod = probe_pod(container, installation, node=node, runtime_class=order.runtime_class)
    labels = {LABEL_MANAGED_BY: MANAGED_BY, LABEL_ROLE: ROLE, LABEL_RUN: order.run}
    template: dict[str, Any] = {
        **pod,
        "metadata": {"labels": labels, "annotations": dict(NO_MESH)},
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": f"infertune-{order.probe}-{order.run}-{number}",
            "namespace": order.namespace,
            "labels": labels,
        },
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": order.deadline_seconds,
            "ttlSecondsAfterFinished": KEEP_FINISHED_SECONDS,
            "template": template,
        },
    }
