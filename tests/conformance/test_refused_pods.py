"""A real API server and its Job controller refuse a trial's pod: each kind gets its own word.

No node is needed: quota, LimitRange, Pod Security and policies speak before a pod exists.
"""

import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from infertune.adapters.kube.connection import Request
from infertune.api.status import TemplateValues
from infertune.core.manifests.trial_server import Setting, server_job
from infertune.core.resolve import Resolved, resolve
from infertune.core.snapshot import JobView, Key
from infertune.core.trial_result import Ending
from infertune.core.trials import TrialJobs, next_step
from tests.builders import (
    INSTALLATION,
    after,
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


class Refusing:
    """A namespace of its own on the real server, with something in it that refuses pods."""

    def __init__(self, kubeconfig: Path) -> None:
        self.stage = RealStage(kubeconfig)
        self._made: list[str] = []

    def send(self, method: str, path: str, body: dict[str, Any] | None = None) -> None:
        self.stage._connection.send(Request(method, path, (), body))

    def quota(self) -> None:
        self._add("resourcequotas", "ResourceQuota", {"hard": {"pods": "0"}})

    def limit_range(self) -> None:
        limits = [{"type": "Container", "max": {"cpu": "100m"}}]
        self._add("limitranges", "LimitRange", {"limits": limits})

    def pod_security(self) -> None:
        name = self.stage.namespace
        path = f"/api/v1/namespaces/{name}"
        level = {"pod-security.kubernetes.io/enforce": "restricted"}
        live = dict(self.stage._connection.get(path))
        live["metadata"] = {**live["metadata"], "labels": {**live["metadata"]["labels"], **level}}
        self.send("PUT", path, live)

    def policy(self) -> None:
        name = f"no-trials-{uuid.uuid4().hex[:8]}"
        root = "/apis/admissionregistration.k8s.io/v1"
        pods = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}
        rules = [{**pods, "operations": ["CREATE"]}]
        where = {"matchLabels": {"kubernetes.io/metadata.name": self.stage.namespace}}
        policy = {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingAdmissionPolicy",
            "metadata": {"name": name},
            "spec": {
                "matchConstraints": {"resourceRules": rules, "namespaceSelector": where},
                "validations": [{"expression": "false", "message": "no pods here"}],
            },
        }
        binding = {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": {"name": name},
            "spec": {"policyName": name, "validationActions": ["Deny"]},
        }
        for plural, body in (
            ("validatingadmissionpolicies", policy),
            ("validatingadmissionpolicybindings", binding),
        ):
            self.send("POST", f"{root}/{plural}", body)
            self._made.append(f"{root}/{plural}/{name}")
        # A policy begins to count some moments after it was made.
        time.sleep(3)

    def close(self) -> None:
        for path in reversed(self._made):
            self.send("DELETE", path)
        self.stage.close()

    def _add(self, plural: str, kind: str, spec: dict[str, Any]) -> None:
        body = {"apiVersion": "v1", "kind": kind, "metadata": {"name": "small"}, "spec": spec}
        self.send("POST", f"/api/v1/namespaces/{self.stage.namespace}/{plural}", body)


@pytest.fixture
def refusing(kubeconfig: Path) -> Iterator[Refusing]:
    made = Refusing(kubeconfig)
    try:
        yield made
    finally:
        made.close()


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        ("quota", "QuotaExceeded"),
        ("limit_range", "LimitRange"),
        ("pod_security", "PodSecurity"),
        ("policy", "PolicyDenied"),
    ],
)
def test_a_pod_that_is_not_let_in_ends_the_trial_with_the_word_for_it(
    refusing: Refusing, kind: str, word: str
) -> None:
    getattr(refusing, kind)()
    stage = refusing.stage
    owner = stage.add(cases.tuning())
    view = replace(tuning_of(key=Key(stage.namespace, "demo")), uid=owner["metadata"]["uid"])
    resources = {"limits": {"cpu": "200m", "memory": "64Mi"}}
    target = target_of(deployment_of(container_of(resources=resources)))
    resolved = resolve(snapshot_of(target=target), spec_of())
    assert isinstance(resolved, Resolved)
    plain = replace(INSTALLATION, trial_priority_class="")
    values = TemplateValues(batch_value="4")
    stage.cluster.create_object(server_job(view, spec_of(), "t", values, resolved, Setting(plain)))
    job = _refused(stage, view.uid)
    found = next_step(TrialJobs(job, None), resolved, spec_of(), after(5))
    assert isinstance(found, Ending)
    assert (found.phase, found.reason) == ("Failed", word), job.failure_message


def _refused(stage: RealStage, uid: str) -> JobView:
    ends = time.monotonic() + DEADLINE_SECONDS
    while True:
        (job,) = stage.cluster.list_jobs(stage.namespace, uid)
        if job.failure_reason is not None:
            return job
        assert time.monotonic() < ends, "the Job's pod was not refused"
        time.sleep(0.3)
