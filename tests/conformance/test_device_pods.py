"""The pod of a trial on a GPU on a real API server, in a namespace of the strictest kind.

No node is needed: what is not allowed, or not known, is refused or dropped before there is a pod.
"""

import time
import uuid
from dataclasses import replace
from pathlib import Path

import pytest

from infertune.adapters.kube.connection import Request
from infertune.api.status import TemplateValues
from infertune.core.manifests.trial_server import Setting, server_job
from infertune.core.resolve import Resolved, resolve
from infertune.core.snapshot import DeviceLook, Key
from tests.builders import (
    INSTALLATION,
    container_of,
    deployment_of,
    snapshot_of,
    spec_of,
    target_of,
    tuning_of,
)
from tests.conformance.stages import RealStage
from tests.fakes import cases

pytestmark = pytest.mark.real_api
DEADLINE_SECONDS = 30.0
STRICT = {
    "allowPrivilegeEscalation": False,
    "runAsNonRoot": True,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


def test_gate_and_watch_are_let_into_a_restricted_namespace(kubeconfig: Path) -> None:
    stage = RealStage(kubeconfig)
    restrict(stage)
    owner = stage.add(cases.tuning())
    view = replace(tuning_of(key=Key(stage.namespace, "demo")), uid=owner["metadata"]["uid"])
    resources = {"limits": {"cpu": "200m", "memory": "64Mi", "nvidia.com/gpu": "1"}}
    target = target_of(deployment_of(container_of(resources=resources, securityContext=STRICT)))
    resolved = resolve(snapshot_of(target=target), spec_of())
    assert isinstance(resolved, Resolved)
    setting = Setting(replace(INSTALLATION, trial_priority_class=""))
    values = TemplateValues(batch_value="4")
    name = f"t-{uuid.uuid4().hex[:6]}"
    stage.cluster.create_object(server_job(view, spec_of(), name, values, resolved, setting))
    ends = time.monotonic() + DEADLINE_SECONDS
    while (job := stage.cluster.list_jobs(stage.namespace, view.uid)[0]).pod_name is None:
        assert time.monotonic() < ends, job.failure_message
        time.sleep(0.3)
    place = f"/api/v1/namespaces/{stage.namespace}/pods/{job.pod_name}"
    pod = stage._connection.get(place)
    containers = {c["name"]: c for c in pod["spec"]["initContainers"]}
    assert list(containers) == ["infertune-gate", "infertune-watch"]
    assert containers["infertune-watch"]["restartPolicy"] == "Always"
    assert containers["infertune-gate"]["resources"]["requests"]["nvidia.com/gpu"] == "1"
    assert pod["status"]["qosClass"] == "Guaranteed"
    assert job.devices == DeviceLook(pod["metadata"]["uid"])


def restrict(stage: RealStage) -> None:
    path = f"/api/v1/namespaces/{stage.namespace}"
    live = dict(stage._connection.get(path))
    labels = {**live["metadata"]["labels"], "pod-security.kubernetes.io/enforce": "restricted"}
    changed = {**live, "metadata": {**live["metadata"], "labels": labels}}
    stage._connection.send(Request("PUT", path, (), changed))
