"""A probe that runs in the target's own image: its Python and torch are what is measured.

Role: the target's pod as a trial would copy it, with our command in the serving container and an
init container of the probe image that lays the bundle into a shared volume. Must not know: what
the probe finds. Trade-off: `python3` has to be in the image; the container keeps the target's
resources, so a GPU is taken like a trial's, for some minutes.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from infertune.api.spec import TuningSpec
from infertune.core.manifests.naming import probe_job_name
from infertune.core.manifests.probe_jobs import PROBE_DEADLINE_SECONDS, job, probe_container
from infertune.core.manifests.trial_pod import copied_pod
from infertune.core.placement import OneOf
from infertune.core.resolve import Resolved
from infertune.core.snapshot import Installation, JobRole, RawObject, TuningView

BUNDLE_PATH = "/infertune/bundle"
WORK_PATH = "/infertune/work"
_BUNDLE = "infertune-bundle"
_WORK = "infertune-work"
# What of the serving container decides whether its model loads and how fast it runs.
_KEPT = (
    "image",
    "imagePullPolicy",
    "env",
    "envFrom",
    "volumeMounts",
    "volumeDevices",
    "resources",
    "securityContext",
    "workingDir",
)


def profiler_job(
    tuning: TuningView, spec: TuningSpec, resolved: Resolved, node: str, installation: Installation
) -> RawObject:
    """Return the Job that profiles the model on one node; the spec has to ask for it."""
    rules = spec.probes.profiler
    assert rules is not None
    # The model is loaded in the probe's child, as slowly as the server loads it.
    seconds = spec.trial.startup_timeout_seconds + PROBE_DEADLINE_SECONDS
    arguments = ["--entry", rules.entry, "--mode", rules.mode.lower()]
    arguments += [] if rules.input is None else ["--input", rules.input]
    arguments += ["--warmup", str(rules.warmup_calls), "--active", str(rules.active_calls)]
    arguments += ["--deadline-seconds", str(seconds)]
    pod = _pod(spec, resolved, node, installation, ["profiler", *arguments])
    return job(
        tuning,
        probe_job_name(tuning, _ROLE, node),
        _ROLE,
        {"spec": pod},
        deadline_seconds=spec.trial.scheduling_timeout_seconds + seconds + _START_SECONDS,
    )


_ROLE: JobRole = "profiler"
# Pulling the two images and writing the bundle.
_START_SECONDS = 300


def _pod(
    spec: TuningSpec,
    resolved: Resolved,
    node: str,
    installation: Installation,
    command: Sequence[str],
) -> dict[str, Any]:
    serving = str(resolved.container.get("name"))
    pod = copied_pod(resolved.template, serving, spec, OneOf((node,)))
    container = next(one for one in pod["containers"] if one.get("name") == serving)
    pod["containers"] = [_measured(container, command)]
    pod["initContainers"] = [*pod.get("initContainers", ()), _layer(installation.probe_image)]
    volumes = [{"name": name, "emptyDir": {"sizeLimit": "1Gi"}} for name in (_BUNDLE, _WORK)]
    pod["volumes"] = [*pod.get("volumes", ()), *volumes]
    # It goes to one node and is one pod: where its siblings are says nothing about it.
    for rule in ("topologySpreadConstraints", "readinessGates"):
        pod.pop(rule, None)
    pod["affinity"] = {"nodeAffinity": pod["affinity"]["nodeAffinity"]}
    if installation.trial_priority_class:
        pod["priorityClassName"] = installation.trial_priority_class
    return pod


def _measured(container: Mapping[str, Any], command: Sequence[str]) -> dict[str, Any]:
    """Return the serving container with the probe in place of the server, and its own results."""
    ours = probe_container(str(container.get("image", "")), [], "")
    kept = {name: container[name] for name in _KEPT if name in container}
    told = {entry["name"] for entry in ours["env"]} | {"TMPDIR"}
    env = [entry for entry in container.get("env") or () if entry.get("name") not in told]
    mounts = [
        {"name": _BUNDLE, "mountPath": BUNDLE_PATH, "readOnly": True},
        {"name": _WORK, "mountPath": WORK_PATH},
    ]
    return {
        **kept,
        "name": ours["name"],
        "command": ["python3", BUNDLE_PATH, *command],
        # The image's root may be read-only; traces and settings of the child are written here.
        "env": [*env, *ours["env"], {"name": "TMPDIR", "value": WORK_PATH}],
        "volumeMounts": [*(container.get("volumeMounts") or ()), *mounts],
        "terminationMessagePolicy": ours["terminationMessagePolicy"],
    }


def _layer(probe_image: str) -> dict[str, Any]:
    """Return the init container that writes the bundle and ends."""
    layer = probe_container(
        probe_image, ["infertune_probes.bundle", "--output", BUNDLE_PATH], "500m"
    )
    # The pod's own security is the target's and may say nothing; this container says all itself.
    nobody = {
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "runAsGroup": 65532,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    return {
        **layer,
        "name": _BUNDLE,
        "securityContext": {**layer["securityContext"], **nobody},
        "volumeMounts": [{"name": _BUNDLE, "mountPath": BUNDLE_PATH}],
    }
