"""The trial server: a copy of the target's pod template that matches nothing and ends by itself.

Role: one server start of one candidate, as a Job. Must not know: rates, results. Trade-off: a Job
and not a Deployment, so that a dead operator never leaves a ghost that holds a GPU.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from infertune.api.spec import TuningSpec
from infertune.api.status import TemplateValues
from infertune.core.manifests.device_containers import with_device_containers
from infertune.core.manifests.naming import labels
from infertune.core.manifests.probe_jobs import PROBE_DEADLINE_SECONDS, job
from infertune.core.manifests.template_fields import only_variables, pod_with
from infertune.core.manifests.trial_pod import copied_annotations, copied_pod, mesh_labels
from infertune.core.placement import Pin
from infertune.core.resolve import Resolved
from infertune.core.selection import first_picking
from infertune.core.snapshot import Installation, RawObject, Selector, TuningView


@dataclass(frozen=True, slots=True)
class Setting:
    """Where trials run: this installation, and the nodes that count."""

    installation: Installation
    pin: Pin | None = None


def server_job(
    tuning: TuningView,
    spec: TuningSpec,
    trial: str,
    values: TemplateValues,
    resolved: Resolved,
    setting: Setting,
) -> RawObject:
    """Return the Job that starts the server with the candidate's values, on nodes like ``pin``."""
    serving, knob = str(resolved.container.get("name")), spec.knobs.batch_size
    # Limits that a copy needs follow the candidate's resources, and no override its variables.
    template = {
        **resolved.template,
        "spec": pod_with(resolved.template.get("spec", {}), serving, knob, values),
    }
    pod_spec = copied_pod(template, serving, spec, setting.pin)
    pod_spec = pod_with(pod_spec, serving, knob, only_variables(values))
    pod_spec = with_device_containers(pod_spec, spec, resolved, setting.installation)
    if setting.installation.trial_priority_class:
        pod_spec["priorityClassName"] = setting.installation.trial_priority_class
    metadata = {
        "annotations": copied_annotations(template, spec),
        "labels": mesh_labels(template, spec),
    }
    pod = {"metadata": metadata, "spec": pod_spec}
    seconds = deadline_seconds(spec)
    return job(tuning, f"{trial}-server", "server", pod, deadline_seconds=seconds, trial=trial)


def deadline_seconds(spec: TuningSpec) -> int:
    """Return the longest time a trial server may live: it ends even when the operator is dead."""
    rules = spec.trial
    ladder = rules.max_rates * (rules.seconds_per_rate + rules.warmup_seconds)
    return (
        rules.scheduling_timeout_seconds
        + rules.startup_timeout_seconds
        + ladder
        + PROBE_DEADLINE_SECONDS
    )


def selected_by(
    tuning: TuningView,
    trial: str,
    selectors: tuple[Selector, ...],
    more_labels: Mapping[str, str] | None = None,
) -> Selector | None:
    """Return something in the namespace that would pick the trial's pods, or None as it should be.

    A pod that a Service picks would get live traffic, one that an autoscaler or a disruption
    budget counts would change live decisions.
    """
    for role in ("server", "load"):
        ours = {**(more_labels or {}), **labels(tuning, role, trial)}
        picked = first_picking(selectors, ours)
        if picked is not None:
            return picked
    return None
