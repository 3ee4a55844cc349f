"""What the pods of probes take over from the target, and the probe of the system."""

from typing import Any

import pytest

from infertune.core.manifests.naming import probe_job_name
from infertune.core.manifests.probe_jobs import (
    benchmark_job,
    gpu_check_job,
    system_job,
    versions_job,
)
from infertune.core.plan import CreateObject
from infertune.core.resolve import Resolved, resolve
from tests.builders import (
    INSTALLATION,
    container_of,
    decide,
    deployment_of,
    ended_job,
    snapshot_of,
    spec_of,
    status_of,
    target_of,
    tuning_of,
)
from tests.fakes import envelopes
from tests.fakes.clock import FakeClock

RESERVED = {"key": "team", "operator": "Equal", "value": "ml", "effect": "NoExecute"}


def resolved_of(**pod: Any) -> Resolved:
    found = resolve(
        snapshot_of(target=target_of(deployment_of(container_of(), pod=pod))), spec_of()
    )
    assert isinstance(found, Resolved)
    return found


def pod_of(probe: str, resolved: Resolved) -> dict[str, Any]:
    tuning, node = tuning_of(), "node-1"
    if probe == "gpu":
        made = gpu_check_job(tuning, spec_of(), resolved, node, INSTALLATION)
    else:
        make = {"benchmark": benchmark_job, "versions": versions_job, "system": system_job}[probe]
        made = make(tuning, resolved, node, INSTALLATION)
    found: dict[str, Any] = made["spec"]["template"]["spec"]
    return found


@pytest.mark.parametrize("probe", ["gpu", "benchmark", "versions", "system"])
def test_a_probe_stays_where_the_targets_pods_may_stay(probe: str) -> None:
    plain = pod_of(probe, resolved_of())
    pod = pod_of(probe, resolved_of(tolerations=[RESERVED], runtimeClassName="nvidia"))
    assert pod["tolerations"] == [*plain["tolerations"], RESERVED]
    assert (pod["runtimeClassName"], plain.get("runtimeClassName")) == ("nvidia", None)


def test_the_system_is_looked_at_only_when_asked_for_and_stops_nothing() -> None:
    name = probe_job_name(tuning_of(), "system", "node-1")
    probes = {"gpuCheck": "Disabled", "benchmark": "Disabled"}
    quiet = decide(status_of("Probing"), spec_of(probes=probes))
    assert not any(isinstance(effect, CreateObject) for effect in quiet.effects)
    spec = spec_of(probes={**probes, "system": "Enabled"})
    (made,) = [
        effect.manifest
        for effect in decide(status_of("Probing"), spec).effects
        if isinstance(effect, CreateObject)
    ]
    assert made["metadata"]["name"] == name
    pod = made["spec"]["template"]["spec"]
    assert pod["containers"][0]["args"] == ["infertune_probes.system"]
    assert pod["automountServiceAccountToken"] is False
    bad = envelopes.envelope(
        "system", "node-1", FakeClock().now(), [envelopes.finding("SWAPPING", "fail", "much swap")]
    )
    jobs = (ended_job(name, "system", bad),)
    recorded = decide(status_of("Probing"), spec, jobs=jobs).status
    assert [(s.probe, s.verdict, s.summary) for s in recorded.probes] == [
        ("system", "fail", "SWAPPING: much swap")
    ]
    assert decide(recorded, spec, jobs=jobs).status.state == "Searching"
