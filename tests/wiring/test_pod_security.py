"""Every pod of ours passes Pod Security `restricted`, as a real API server enforces it.

A trial is a copy of the target: it needs what the target's own template needs and nothing more.
"""

import copy
import uuid
from typing import Any

import pytest

from infertune.adapters.kube.connection import Request
from infertune.api.status import TemplateValues
from infertune.core.manifests.probe_jobs import (
    benchmark_job,
    gpu_check_job,
    load_job,
    versions_job,
)
from infertune.core.manifests.target_probe import profiler_job
from infertune.core.manifests.trial_server import Setting, server_job
from infertune.core.resolve import Resolved, resolve
from infertune.core.snapshot import Key, RawObject
from infertune.ports import Refused
from tests.builders import (
    IMAGE,
    INSTALLATION,
    container_of,
    deployment_of,
    snapshot_of,
    spec_of,
    target_of,
    tuning_of,
)
from tests.wiring.plane import Plane, eventually

pytestmark = [pytest.mark.real_api, pytest.mark.timeout(120)]
LOCKED = {
    "allowPrivilegeEscalation": False,
    "runAsNonRoot": True,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


@pytest.fixture
def restricted(plane: Plane) -> str:
    name = f"restricted-{uuid.uuid4().hex[:6]}"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    namespace = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "labels": labels},
    }
    plane.create(namespace)
    accounts = f"/api/v1/namespaces/{name}/serviceaccounts"
    eventually(lambda: bool(plane.admin.get(accounts)["items"]), "the namespace has its account")
    return name


def resolved_of(security: dict[str, Any] | None) -> Resolved:
    container = container_of("1")
    if security is not None:
        container["securityContext"] = security
    found = resolve(snapshot_of(target=target_of(deployment_of(container))), spec_of())
    assert isinstance(found, Resolved)
    return found


def server(security: dict[str, Any] | None) -> RawObject:
    tuning, values = tuning_of(), TemplateValues(image=IMAGE)
    resolved = resolved_of(security)
    return server_job(tuning, spec_of(), "t", values, resolved, Setting(INSTALLATION))


def profiler(security: dict[str, Any] | None) -> RawObject:
    asked = {"profiler": {"entry": "server.model:predict"}}
    spec, resolved = spec_of(probes=asked), resolved_of(security)
    return profiler_job(tuning_of(), spec, resolved, "node-1", INSTALLATION)


def admit(plane: Plane, namespace: str, job: RawObject) -> RawObject:
    """Ask the server to admit the Job's pod, without making it."""
    template = copy.deepcopy(dict(job["spec"]["template"]))
    pod = {"apiVersion": "v1", "kind": "Pod", **template}
    pod["metadata"] |= {"name": "asked", "namespace": namespace}
    # The class is the chart's, and another admission's business.
    pod["spec"].pop("priorityClassName", None)
    path = f"/api/v1/namespaces/{namespace}/pods"
    return plane.admin.send(Request("POST", path, (("dryRun", "All"),), pod))


def probes() -> dict[str, RawObject]:
    tuning = tuning_of(key=Key("serving", "resnet"))
    resolved = resolved_of(None)
    header = {"name": "Authorization", "secret": "client", "key": "token"}
    payload = {"payloadRef": {"configMap": "body"}, "headersFrom": [header]}
    return {
        "gpu": gpu_check_job(tuning, spec_of(), resolved, "node-1", INSTALLATION),
        "benchmark": benchmark_job(tuning, resolved, "node-1", INSTALLATION),
        "versions": versions_job(tuning, resolved, "node-1", INSTALLATION),
        "load": load_job(
            tuning, "t", ["--url", "x"], spec_of(load=payload), resolved.template, INSTALLATION
        ),
    }


@pytest.mark.parametrize("name", ["gpu", "benchmark", "versions", "load"])
def test_a_probe_is_admitted_where_only_restricted_pods_are(
    plane: Plane, restricted: str, name: str
) -> None:
    admitted = admit(plane, restricted, probes()[name])["spec"]
    (container,) = admitted["containers"]
    assert admitted["automountServiceAccountToken"] is False
    assert [v for v in admitted.get("volumes", ()) if "projected" in v or "secret" in v] == []
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert admitted["securityContext"]["runAsNonRoot"] is True
    assert admitted["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}


def test_a_trial_of_a_locked_down_target_is_admitted_and_gets_no_token(
    plane: Plane, restricted: str
) -> None:
    admitted = admit(plane, restricted, server(LOCKED))["spec"]
    assert admitted["automountServiceAccountToken"] is False
    assert [v for v in admitted.get("volumes", ()) if "projected" in v] == []
    assert admitted["containers"][0]["securityContext"] == LOCKED


def test_a_trial_needs_no_more_and_no_less_than_its_target(plane: Plane, restricted: str) -> None:
    """A target that could not start there is refused as a trial as well, by name of the rule."""
    with pytest.raises(Refused, match='violates PodSecurity "restricted'):
        admit(plane, restricted, server(None))


def test_a_profile_of_a_locked_target_is_admitted_where_only_restricted_pods_are(
    plane: Plane, restricted: str
) -> None:
    admitted = admit(plane, restricted, profiler(LOCKED))["spec"]
    (layer,) = admitted["initContainers"]
    (container,) = admitted["containers"]
    assert admitted["automountServiceAccountToken"] is False
    assert container["securityContext"] == LOCKED
    assert layer["securityContext"]["readOnlyRootFilesystem"] is True


def test_a_profile_of_a_careless_target_is_refused_there_like_the_target_itself(
    plane: Plane, restricted: str
) -> None:
    with pytest.raises(Refused, match="violates PodSecurity"):
        admit(plane, restricted, profiler(None))
