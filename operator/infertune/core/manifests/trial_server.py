"""The trial server: a copy of the target's pod template that matches nothing and ends by itself.

Role: one server start of one candidate, as a Job. Must not know: rates, results. Trade-off: a Job
and not a Deployment, so that a dead operator never leaves a ghost that holds a GPU.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from infertune.api.spec import TuningSpec
from infertune.api.status import TemplateValues
from infertune.core.manifests.naming import labels
from infertune.core.manifests.probe_jobs import PROBE_DEADLINE_SECONDS, job
from infertune.core.resolve import Resolved
from infertune.core.selection import first_picking
from infertune.core.snapshot import Installation, RawObject, Selector, TuningView

_GRACE_SECONDS = 5
_SCRAPE_PREFIX = "prometheus.io/"


def server_job(
    tuning: TuningView,
    spec: TuningSpec,
    trial: str,
    values: TemplateValues,
    resolved: Resolved,
    installation: Installation,
) -> RawObject:
    """Return the Job that starts the server with the candidate's values."""
    pod_spec = dict(resolved.template.get("spec", {}))
    pod_spec["containers"] = [
        _with_values(container, values, spec)
        if container.get("name") == resolved.container.get("name")
        else container
        for container in pod_spec.get("containers", ())
    ]
    pod_spec |= {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": _GRACE_SECONDS,
        "automountServiceAccountToken": False,
    }
    for key in ("nodeName", "priority", "preemptionPolicy", "priorityClassName"):
        pod_spec.pop(key, None)
    if installation.trial_priority_class:
        pod_spec["priorityClassName"] = installation.trial_priority_class
    annotations = resolved.template.get("metadata", {}).get("annotations", {})
    kept = {k: v for k, v in annotations.items() if not k.startswith(_SCRAPE_PREFIX)}
    pod = {"metadata": {"annotations": kept}, "spec": pod_spec}
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


def selected_by(tuning: TuningView, trial: str, selectors: tuple[Selector, ...]) -> Selector | None:
    """Return something in the namespace that would pick the trial's pods, or None as it should be.

    A pod that a Service picks would get live traffic, one that an autoscaler or a disruption
    budget counts would change live decisions.
    """
    return first_picking(selectors, labels(tuning, "server", trial))


def _with_values(
    container: Mapping[str, Any], values: TemplateValues, spec: TuningSpec
) -> dict[str, Any]:
    changed = dict(container)
    if values.image is not None:
        changed["image"] = values.image
    knob = spec.knobs.batch_size
    if knob is None:
        return changed
    if knob.argument is not None:
        if values.args is not None:
            changed["args"] = list(values.args)
        return changed
    changed["env"] = _env_with(container.get("env", ()), str(knob.env), values.batch_value)
    return changed


def _env_with(
    entries: Sequence[Mapping[str, Any]], name: str, value: str | None
) -> list[Mapping[str, Any]]:
    """Return the entries with one set in its place: later ones may refer to it as $(NAME)."""
    fresh = [] if value is None else [{"name": name, "value": value}]
    names = [entry.get("name") for entry in entries]
    at = names.index(name) if name in names else len(names)
    return [*entries[:at], *fresh, *entries[at + 1 :]]
