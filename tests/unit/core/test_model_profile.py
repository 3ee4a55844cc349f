"""A profile of the model in the target's own image: its Job, its refusals, its place in Probing."""

from typing import Any

import pytest

from infertune.core.manifests.naming import probe_job_name
from infertune.core.manifests.target_probe import profiler_job
from infertune.core.needs import needs
from infertune.core.plan import CreateObject
from infertune.core.resolve import Resolved, resolve
from infertune.core.snapshot import Selector
from infertune_probes.contract.load import Envelope
from infertune_probes.profiler.judgement import Facts, result_section
from infertune_probes.profiler.reading import Reading
from tests.builders import (
    IMAGE,
    INSTALLATION,
    NOW,
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

ONLY: dict[str, Any] = {"gpuCheck": "Disabled", "benchmark": "Disabled"}
PROFILER: dict[str, Any] = {"entry": "server.model:predict", "input": "server.model:sample"}
PROBES: dict[str, Any] = {**ONLY, "profiler": PROFILER}
NAME = probe_job_name(tuning_of(), "profiler", "node-1")


def resolved_of(container: dict[str, Any] | None = None, **pod: Any) -> Resolved:
    raw = deployment_of(container or container_of(), pod=pod)
    spec = spec_of(targetRef={"name": "resnet", "container": "server"})
    found = resolve(snapshot_of(target=target_of(raw)), spec)
    assert isinstance(found, Resolved)
    return found


def made(container: dict[str, Any] | None = None, **pod: Any) -> Any:
    resolved = resolved_of(container, **pod)
    return profiler_job(tuning_of(), spec_of(probes=PROBES), resolved, "node-1", INSTALLATION)


def pod_of(manifest: Any) -> Any:
    return manifest["spec"]["template"]["spec"]


def test_the_targets_own_image_runs_the_bundle_of_the_probe_image() -> None:
    pod = pod_of(made())
    (container,) = pod["containers"]
    (layer,) = pod["initContainers"]
    assert container["image"] == IMAGE
    assert container["command"] == [
        *("python3", "/infertune/bundle", "profiler"),
        *("--entry", "server.model:predict", "--mode", "basic"),
        *("--input", "server.model:sample", "--warmup", "3", "--active", "5"),
        *("--deadline-seconds", "900"),
    ]
    assert "args" not in container
    assert layer["image"] == INSTALLATION.probe_image
    assert [*layer["command"], *layer["args"]] == [
        *("python", "-m", "infertune_probes.bundle", "--output", "/infertune/bundle")
    ]
    assert layer["volumeMounts"] == [{"name": "infertune-bundle", "mountPath": "/infertune/bundle"}]
    assert layer["securityContext"]["runAsNonRoot"] is True
    assert [volume["name"] for volume in pod["volumes"]] == ["infertune-bundle", "infertune-work"]


def test_what_decides_how_the_model_runs_is_kept_and_the_server_is_not() -> None:
    gpu = {"limits": {"nvidia.com/gpu": "1", "memory": "8Gi", "cpu": "2"}}
    serving = container_of(
        resources=gpu,
        envFrom=[{"configMapRef": {"name": "model"}}],
        volumeMounts=[{"name": "weights", "mountPath": "/weights"}],
        workingDir="/srv",
        lifecycle={"preStop": {"exec": {"command": ["sleep", "9"]}}},
        livenessProbe={"httpGet": {"path": "/", "port": 8080}},
        command=["python3", "-m", "server"],
        args=["--port", "8080"],
    )
    sidecar = {"name": "proxy", "image": "proxy:1"}
    weights = {"name": "weights", "configMap": {"name": "weights"}}
    pod = pod_of(
        made(
            serving,
            containers=[sidecar, serving],
            volumes=[weights],
            runtimeClassName="nvidia",
            topologySpreadConstraints=[{"maxSkew": 1}],
            affinity={"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": []}},
        )
    )
    (container,) = pod["containers"]
    assert container["name"] == "probe"
    assert container["resources"]["limits"] == gpu["limits"]
    assert container["envFrom"] == [{"configMapRef": {"name": "model"}}]
    assert container["workingDir"] == "/srv"
    assert container["volumeMounts"][0] == {"name": "weights", "mountPath": "/weights"}
    assert {"name": "LOG_LEVEL", "value": "info"} in container["env"]
    assert {"name": "TMPDIR", "value": "/infertune/work"} in container["env"]
    assert not {"lifecycle", "livenessProbe", "readinessProbe", "ports"} & set(container)
    assert pod["runtimeClassName"] == "nvidia"
    assert "topologySpreadConstraints" not in pod
    assert set(pod["affinity"]) == {"nodeAffinity"}
    assert "node-1" in str(pod["affinity"])
    assert pod["automountServiceAccountToken"] is False
    assert pod["priorityClassName"] == "infertune-trial"


def test_variables_of_ours_are_said_once() -> None:
    own = container_of(env=[{"name": "TMPDIR", "value": "/cache"}, {"name": "NODE_NAME"}])
    names = [entry["name"] for entry in pod_of(made(own))["containers"][0]["env"]]
    assert sorted(names) == ["INFERTUNE_IMAGE", "INFERTUNE_POD_UID", "NODE_NAME", "TMPDIR"]


def test_a_model_is_profiled_on_one_node_only() -> None:
    status = status_of("Probing")
    nodes = status.target.model_copy(update={"nodes": ("node-1", "node-2")})
    found = decide(
        status.model_copy(update={"target": nodes}),
        spec_of(probes=PROBES),
        target=target_of(nodes=("node-1", "node-2")),
    )
    created = [
        one.manifest["metadata"]["name"] for one in found.effects if isinstance(one, CreateObject)
    ]
    assert created == [NAME]
    assert decide(status, spec_of(probes=ONLY)).effects == ()


def profiled(bound: str) -> Envelope:
    reading = Reading(1000.0, 5, True, None, bound, "high", "as told")
    section = result_section(reading, Facts("basic", "server.model:predict"), (), [])
    verdict = [envelopes.finding("LAUNCH_BOUND", "warn", "the device waits for the host")]
    return envelopes.envelope("profiler", "node-1", NOW, verdict, section)


def test_what_holds_the_model_back_is_recorded_as_a_word_and_quoted() -> None:
    spec = spec_of(probes=PROBES)
    found = decide(
        status_of("Probing"), spec, jobs=(ended_job(NAME, "profiler", profiled("launch")),)
    )
    (summary,) = found.status.probes
    assert (summary.probe, summary.verdict, summary.bound) == ("profiler", "warn", "launch")
    assert "LAUNCH_BOUND: the device waits for the host" in found.decision
    assert decide(found.status, spec).status.state == "Searching"


def test_a_profile_that_failed_stops_nothing() -> None:
    spec = spec_of(probes=PROBES)
    broken = envelopes.envelope(
        "profiler", "node-1", NOW, [envelopes.finding("PROFILE_NOT_CAPTURED", "unknown")]
    )
    found = decide(status_of("Probing"), spec, jobs=(ended_job(NAME, "profiler", broken),))
    (summary,) = found.status.probes
    assert (summary.verdict, summary.bound) == ("unknown", None)
    assert decide(found.status, spec).status.state == "Searching"


@pytest.mark.parametrize(
    ("world", "words"),
    [
        ({"target": target_of(deployment_of(pod={"hostNetwork": True}))}, "hostNetwork"),
        (
            {"selectors": (Selector("Service", "all", {}, empty_picks_all=True),)},
            "Service 'all' selects the labels of our pods",
        ),
    ],
    ids=["the host's network", "a Service that picks everything"],
)
def test_a_pod_that_may_not_be_copied_is_not_profiled_and_says_why(
    world: dict[str, Any], words: str
) -> None:
    found = decide(status_of("Probing"), spec_of(probes=PROBES), **world)
    assert not [one for one in found.effects if isinstance(one, CreateObject)]
    (summary,) = found.status.probes
    assert (summary.probe, summary.verdict) == ("profiler", "unknown")
    assert summary.summary.startswith("not profiled: ")
    assert words in summary.summary


def test_what_a_copy_needs_to_know_is_read_only_where_one_is_asked_for() -> None:
    status = status_of("Probing")
    assert needs(tuning_of(status, spec_of(probes=PROBES)), NOW).selectors is True
    assert needs(tuning_of(status, spec_of(probes=ONLY)), NOW).selectors is False
