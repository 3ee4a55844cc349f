"""Every field of the spec says what an edit of it does, and the digests follow that table."""

from typing import Any

import pytest

from infertune.api.edits import EDITS, spec_paths, values_of
from infertune.api.spec import TuningSpec
from infertune.api.v1alpha1 import parse_spec
from infertune.core.resolve import Resolved, resolve
from infertune.core.trial_basis import spec_digest, trial_basis
from tests.builders import (
    container_of,
    deployment_of,
    raw_spec,
    snapshot_of,
    target_of,
    tuning_of,
)

# Everything is set, so that every field has a value to be changed.
FULL: dict[str, Any] = raw_spec(
    targetRef={"apiVersion": "apps/v1", "kind": "Deployment", "name": "resnet"},
    knobs={**raw_spec()["knobs"], "images": ["registry.test/resnet:int8"]},
    load={"port": 8080, "payloadRef": {"configMap": "body"}, "readyPath": "/ready"},
    rollout={"verificationSeconds": 600},
    cost={"replicaHourly": "1.5"},
    probes={"profiler": {"entry": "server.model:predict"}},
    quality={"goldenConfigMap": "golden"},
    trial={"borrowWindow": {"start": "22:00", "end": "05:00"}},
)
# Another valid value of each field. Where a value stands alone in its type, there is none.
ONLY_ONE = {"targetRef.apiVersion", "load.protocol"}
OTHERS: dict[str, Any] = {
    "targetRef.kind": "StatefulSet",
    "targetRef.name": "other",
    "targetRef.container": "server",
    "mode": "Recommend",
    "slo.percentile": 99,
    "slo.latencyMilliseconds": 201,
    "slo.maxErrorPercent": "2",
    "demand.peakRequestsPerSecond": 61,
    "demand.troughRequestsPerSecond": 11,
    "knobs.batchSize.env": "OTHER",
    "knobs.batchSize.values": [1, 4],
    "knobs.replicas.min": 2,
    "knobs.replicas.max": 7,
    "knobs.images": ["registry.test/other:1"],
    "knobs.imageVersions": [{"image": "registry.test/resnet:int8", "cuda": "12.6"}],
    "knobs.settings": [{"name": "threads", "env": "THREADS", "values": ["1"]}],
    "load.port": 8081,
    "load.path": "/other",
    "load.method": "GET",
    "load.contentType": "text/plain",
    "load.payloadRef.configMap": "other",
    "load.payloadRef.key": "other.json",
    "load.headersFrom": [{"name": "X-Key", "secret": "other", "key": "key"}],
    "load.readyPath": "/other",
    "load.requestTimeoutSeconds": 11,
    "load.mesh": "Inherit",
    "metrics.prometheusURL": "http://other.test:9090",
    "metrics.histogram": "other_seconds",
    "metrics.unit": "Milliseconds",
    "metrics.matchLabels": {"job": "other"},
    "metrics.errorLabel": "status",
    "metrics.errorPattern": "5..",
    "metrics.scrapeIntervalSeconds": 3,
    "probes.gpuCheck": "Disabled",
    "probes.benchmark": "Disabled",
    "probes.versions": "Disabled",
    "probes.system": "Enabled",
    "probes.profiler.entry": "server.model:other",
    "probes.profiler.input": "server.model:other_sample",
    "probes.profiler.mode": "Memory",
    "probes.profiler.warmupCalls": 4,
    "probes.profiler.activeCalls": 6,
    "rollout.applyTimeoutSeconds": 601,
    "rollout.warmupSeconds": 6,
    "rollout.verificationSeconds": 601,
    "rollout.onInconclusive": "Keep",
    "rollout.extendSeconds": 7200,
    "rollout.allowDowntime": True,
    "rollout.adoption": "Never",
    "rollout.gitOps": "Acknowledged",
    "cost.replicaHourly": "2",
    "cost.currency": "EUR",
    "trial.schedulingTimeoutSeconds": 301,
    "trial.startupTimeoutSeconds": 601,
    "trial.secondsPerRate": 31,
    "trial.warmupSeconds": 6,
    "trial.maxRates": 5,
    "trial.placement": "Borrow",
    "trial.borrowWindow.start": "23:00",
    "trial.borrowWindow.end": "06:00",
    "trial.allowDowntime": True,
    "trial.defaultLimits.cpu": "3",
    "trial.defaultLimits.memory": "3Gi",
    "trial.podTemplateOverride.dropInitContainers": ["migrate"],
    "trial.podTemplateOverride.env": {"OTHER": "1"},
    "trial.podTemplateOverride.serviceAccountName": "other",
    "trial.podTemplateOverride.emptyVolumes": ["other"],
    "quality.goldenConfigMap": "other",
    "quality.key": "other.json",
    "quality.maxQualityDropPercent": "3",
    "budget.maxTrials": 13,
    "budget.gpuHours": "3",
    "budget.wallClockSeconds": 7201,
    "suspend": True,
}
SPECIAL = {"knobs.batchSize.argument"}


def spec_with(path: str | None = None, value: Any = None) -> TuningSpec:
    """Return the full spec with one field changed."""
    raw: dict[str, Any] = {**FULL}
    if path is not None:
        *parents, last = path.split(".")
        node = raw
        for part in parents:
            node[part] = {**node.get(part, {})}
            node = node[part]
        node[last] = value
    found = parse_spec(raw)
    assert isinstance(found, TuningSpec), str(found)
    return found


def basis(spec: TuningSpec) -> str:
    target = target_of(deployment_of(container_of(args=["serve"])))
    resolved = resolve(snapshot_of(tuning_of(spec=spec), target=target), spec)
    assert isinstance(resolved, Resolved)
    return trial_basis(spec, resolved, {})


def test_every_field_of_the_spec_has_a_row_and_no_row_is_left_over() -> None:
    assert sorted(spec_paths()) == sorted(EDITS)


def test_every_field_is_edited_in_these_tests() -> None:
    assert set(OTHERS) | ONLY_ONE | SPECIAL == set(EDITS)


@pytest.mark.parametrize("path", OTHERS)
def test_an_edit_of_this_field_does_what_its_row_says(path: str) -> None:
    before, after = spec_with(), spec_with(path, OTHERS[path])
    effect = EDITS[path]
    assert (spec_digest(before) == spec_digest(after)) == (effect == "Live")
    assert (basis(before) == basis(after)) == (effect != "Trials")


def test_a_knob_that_moves_to_another_place_voids_trials() -> None:
    flag = {"argument": "--batch", "values": [1, 4, 16]}
    after = spec_with("knobs.batchSize", flag)
    assert basis(spec_with()) != basis(after)
    assert values_of(after, "Trials")["knobs.batchSize.argument"] == "--batch"


def test_a_section_that_is_absent_has_no_values() -> None:
    assert values_of(spec_with("cost", None), "Decision")["cost.currency"] is None
