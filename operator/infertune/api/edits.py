"""What an edit of each field of the spec does to a tuning that is under way.

Role: one row per field: is it read as it stands, decided about anew, or does it void trials. Must
not know: states, effects. Trade-off: every field has its own row, so that a new field cannot be
forgotten (a test compares the table with the models); a rule for whole sections would be shorter.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Literal, get_args

from pydantic import BaseModel

from infertune.api.spec import TuningSpec

EditEffect = Literal["Live", "Decision", "Candidates", "Trials"]

MEANINGS: Mapping[EditEffect, str] = {
    "Live": "Read as it stands at every look: nothing starts anew, an open rollout goes on.",
    "Decision": (
        "The tuning starts anew from `Pending`, with a new baseline, and keeps finished trials "
        "that still answer the question. An open rollout is rolled back first."
    ),
    "Candidates": (
        "As `Decision`; trials of candidates that are not named any more, and are not what ran "
        "before the tuning, are dropped."
    ),
    "Trials": (
        "As `Decision`, but the trials measured something else: all of them are dropped. The same "
        "holds when the target's pod template or the request body changed since."
    ),
}

EDITS: Mapping[str, EditEffect] = {
    "targetRef.apiVersion": "Trials",
    "targetRef.kind": "Trials",
    "targetRef.name": "Trials",
    "targetRef.container": "Trials",
    "mode": "Decision",
    "slo.percentile": "Trials",
    "slo.latencyMilliseconds": "Trials",
    "slo.maxErrorPercent": "Trials",
    "demand.peakRequestsPerSecond": "Decision",
    "demand.troughRequestsPerSecond": "Decision",
    "knobs.batchSize.env": "Trials",
    "knobs.batchSize.argument": "Trials",
    "knobs.batchSize.values": "Candidates",
    "knobs.replicas.min": "Decision",
    "knobs.replicas.max": "Decision",
    "knobs.images": "Candidates",
    "knobs.imageVersions": "Decision",
    "knobs.settings": "Trials",
    "load.protocol": "Trials",
    "load.port": "Trials",
    "load.path": "Trials",
    "load.method": "Trials",
    "load.contentType": "Trials",
    "load.payloadRef.configMap": "Trials",
    "load.payloadRef.key": "Trials",
    "load.headersFrom": "Trials",
    "load.readyPath": "Trials",
    "load.requestTimeoutSeconds": "Trials",
    "load.mesh": "Trials",
    "metrics.prometheusURL": "Decision",
    "metrics.histogram": "Decision",
    "metrics.unit": "Decision",
    "metrics.matchLabels": "Decision",
    "metrics.errorLabel": "Decision",
    "metrics.errorPattern": "Decision",
    "metrics.scrapeIntervalSeconds": "Decision",
    "probes.gpuCheck": "Decision",
    "probes.benchmark": "Decision",
    "probes.versions": "Decision",
    "probes.system": "Decision",
    "probes.profiler.entry": "Decision",
    "probes.profiler.input": "Decision",
    "probes.profiler.mode": "Decision",
    "probes.profiler.warmupCalls": "Decision",
    "probes.profiler.activeCalls": "Decision",
    "rollout.applyTimeoutSeconds": "Decision",
    "rollout.allowDowntime": "Live",
    "rollout.warmupSeconds": "Decision",
    "rollout.verificationSeconds": "Decision",
    "rollout.onInconclusive": "Decision",
    "rollout.adoption": "Decision",
    "rollout.gitOps": "Decision",
    "rollout.extendSeconds": "Live",
    "cost.replicaHourly": "Decision",
    "cost.currency": "Decision",
    "trial.schedulingTimeoutSeconds": "Decision",
    "trial.startupTimeoutSeconds": "Decision",
    "trial.secondsPerRate": "Trials",
    "trial.warmupSeconds": "Trials",
    "trial.maxRates": "Decision",
    "trial.placement": "Decision",
    "trial.borrowWindow.start": "Live",
    "trial.borrowWindow.end": "Live",
    "trial.allowDowntime": "Decision",
    "trial.defaultLimits.cpu": "Trials",
    "trial.defaultLimits.memory": "Trials",
    "trial.podTemplateOverride.dropInitContainers": "Trials",
    "trial.podTemplateOverride.env": "Trials",
    "trial.podTemplateOverride.serviceAccountName": "Trials",
    "trial.podTemplateOverride.emptyVolumes": "Trials",
    "quality.goldenConfigMap": "Trials",
    "quality.key": "Trials",
    "quality.maxQualityDropPercent": "Trials",
    "budget.maxTrials": "Decision",
    "budget.gpuHours": "Decision",
    "budget.wallClockSeconds": "Decision",
    "suspend": "Live",
}


def spec_paths(model: type[BaseModel] = TuningSpec, prefix: str = "") -> Iterator[str]:
    """Yield the path of every field of the spec that is not itself an object of fields."""
    for name, field in model.model_fields.items():
        path = f"{prefix}{field.alias or name}"
        inner = _model_in(field.annotation)
        if inner is None:
            yield path
        else:
            yield from spec_paths(inner, f"{path}.")


def values_of(spec: TuningSpec, *effects: EditEffect) -> dict[str, object]:
    """Return the values of all fields with one of these effects, by path."""
    dumped = spec.model_dump(mode="json", by_alias=True)
    return {path: _at(dumped, path) for path, effect in EDITS.items() if effect in effects}


def _at(dumped: Mapping[str, Any], path: str) -> object:
    node: object = dumped
    for part in path.split("."):
        node = node.get(part) if isinstance(node, Mapping) else None
    return node


def _model_in(annotation: object) -> type[BaseModel] | None:
    """Return the model that a field holds, or may hold; a list of models is a value."""
    candidates = (annotation, *get_args(annotation))
    is_list = getattr(annotation, "__origin__", None) in (tuple, list, dict)
    found = (c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel))
    return None if is_list else next(found, None)
