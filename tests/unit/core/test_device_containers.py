"""Gate and watch in the pod of a trial server: what they may, what they take, who gets them."""

from typing import Any

import pytest

from infertune.api.status import TemplateValues
from infertune.core.manifests.trial_server import Setting, server_job
from infertune.core.resolve import Resolved, resolve
from tests.builders import (
    INSTALLATION,
    container_of,
    deployment_of,
    snapshot_of,
    spec_of,
    target_of,
    tuning_of,
)


def resolved_of(container: dict[str, Any], **pod: Any) -> Resolved:
    raw = deployment_of(container, pod=pod)
    found = resolve(snapshot_of(target=target_of(raw)), spec_of())
    assert isinstance(found, Resolved)
    return found


GPU = {"nvidia.com/gpu": "2"}


def pod_of(resources: dict[str, Any], gpu_check: str = "WhenPresent", **pod: Any) -> dict[str, Any]:
    resolved = resolved_of(container_of(resources=resources), **pod)
    spec = spec_of(probes={"gpuCheck": gpu_check})
    setting = Setting(INSTALLATION)
    made = server_job(tuning_of(), spec, "trial-1", TemplateValues(), resolved, setting)
    found: dict[str, Any] = made["spec"]["template"]["spec"]
    return found


def ours(pod: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    gate, watch, *_ = pod["initContainers"]
    assert (gate["name"], watch["name"]) == ("infertune-gate", "infertune-watch")
    return gate, watch


def test_the_gate_comes_first_and_asks_for_the_servers_devices_and_the_watch_for_none() -> None:
    first = {"name": "fetch-model", "image": "fetch:1"}
    pod = pod_of({"limits": GPU}, initContainers=[first])
    gate, watch = ours(pod)
    assert [c["name"] for c in pod["initContainers"]][2:] == ["fetch-model"]
    assert gate["args"][:3] == ["infertune_probes.gpu.gate", "--asked", "2"]
    assert gate["resources"]["limits"]["nvidia.com/gpu"] == "2"
    assert "restartPolicy" not in gate
    assert watch["restartPolicy"] == "Always"
    assert "nvidia.com/gpu" not in watch["resources"]["limits"]
    assert {"name": "NVIDIA_VISIBLE_DEVICES", "value": "all"} in watch["env"]
    assert all(e["name"] != "NVIDIA_VISIBLE_DEVICES" for e in gate["env"])


def test_both_are_nobody_without_a_right_and_share_a_folder_that_only_the_gate_writes() -> None:
    pod = pod_of({"limits": GPU})
    gate, watch = ours(pod)
    for container in (gate, watch):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "runAsGroup": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        }
        assert container["args"][-2:] == ["--devices", "/infertune/devices/devices.json"]
    folder = {"name": "infertune-gate", "mountPath": "/infertune/devices"}
    assert gate["volumeMounts"] == [folder]
    assert watch["volumeMounts"] == [{**folder, "readOnly": True}]
    assert pod["volumes"] == [{"name": "infertune-gate", "emptyDir": {"sizeLimit": "1Mi"}}]
    assert pod["automountServiceAccountToken"] is False


@pytest.mark.parametrize(
    ("resources", "equal"),
    [
        pytest.param({"limits": {**GPU, "cpu": "4", "memory": "8Gi"}}, True, id="guaranteed"),
        pytest.param(
            {"limits": {**GPU, "cpu": "4", "memory": "8Gi"}, "requests": {"cpu": "1"}},
            False,
            id="burstable",
        ),
        pytest.param({"limits": GPU}, False, id="nothing-is-said"),
    ],
)
def test_they_leave_the_pod_in_its_class_of_service(resources: dict[str, Any], equal: bool) -> None:
    for container in ours(pod_of(resources)):
        wanted = container["resources"]["requests"]
        limits = container["resources"]["limits"]
        same = all(limits[name] == wanted[name] for name in ("cpu", "memory"))
        assert same is equal


@pytest.mark.parametrize(
    ("resources", "gpu_check"),
    [
        pytest.param({"limits": {"cpu": "4"}}, "Required", id="no-gpu-is-asked-for"),
        pytest.param({"limits": GPU}, "Disabled", id="switched-off"),
    ],
)
def test_who_gets_neither(resources: dict[str, Any], gpu_check: str) -> None:
    pod = pod_of(resources, gpu_check)
    assert "initContainers" not in pod
    assert "volumes" not in pod


def test_a_required_check_is_required_of_the_gate() -> None:
    gate, _ = ours(pod_of({"limits": GPU}, "Required"))
    assert "--require" in gate["args"]
