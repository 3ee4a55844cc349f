"""From inside the pods that the operator makes there is no way out; from a careless pod there is.

Each pod is the template of the operator's own Job, by the functions that it makes them with; only
its command is another: ``attempts.py`` tries what an intruder would. A pod of the same image with a
token and rights succeeds where ours fail, so that every attempt is known to work.
"""

import json
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from demo.image_set import PROBES
from demo.install import OPERATOR_NAMESPACE, RELEASE
from demo.kubectl import manifests
from demo.workload import server_documents
from infertune.adapters.kube.connection import Connection, Request
from infertune.adapters.kube.jobs import job_view
from infertune.adapters.kube.paths import list_path, object_path
from infertune.api.spec import TuningSpec
from infertune.api.status import TemplateValues
from infertune.api.v1alpha1 import parse_spec
from infertune.core.load_access import SECRET_GRACE_SECONDS, secret_missing
from infertune.core.manifests.load_arguments import load_arguments
from infertune.core.manifests.probe_jobs import benchmark_job, gpu_check_job, load_job
from infertune.core.manifests.trial_server import Setting, server_job
from infertune.core.resolve import Resolved, resolve
from infertune.core.snapshot import Installation, RawObject
from tests.builders import NOW, snapshot_of, target_of, trial_of, tuning_of
from tests.e2e.node import Node
from tests.e2e.tunings import tuning

pytestmark = [pytest.mark.e2e, pytest.mark.ci, pytest.mark.timeout(300, func_only=True)]
ATTEMPTS = (Path(__file__).parent / "attempts.py").read_text()
OURS = ("gpu", "benchmark", "load", "server")
CONTROL = "careless"
HEADER = "Bearer canary-e2e-51f0"
SERVER_URL = "https://kubernetes.default.svc"
DONE_SECONDS = 120.0
NOBODY = "0000000000000000"
Raw = dict[str, Any]


class Cell:
    """A namespace with the pods in it, and what each of them found."""

    def __init__(self, node: Node) -> None:
        self.namespace = f"e2e-inside-{uuid.uuid4().hex[:6]}"
        self.node = node
        self.cluster = node.place.cluster
        self.api: Connection = node.connection
        (first, *_) = self.api.get("/api/v1/nodes")["items"]
        self.machine = str(first["metadata"]["name"])
        addresses = first["status"]["addresses"]
        self.host = next(str(a["address"]) for a in addresses if a["type"] == "InternalIP")
        self.reports: dict[str, Raw] = {}

    def open(self) -> None:
        """Make the pods and wait for what they say."""
        labels = {"pod-security.kubernetes.io/enforce": "privileged"}
        space = {"apiVersion": "v1", "kind": "Namespace"}
        space |= {"metadata": {"name": self.namespace, "labels": labels}}
        secret = self.named("v1", "Secret", "client") | {"stringData": {"token": HEADER}}
        requests = [d for d in server_documents(self.node.images, self.namespace)
                    if d["kind"] == "ConfigMap"]  # fmt: skip
        self.cluster.apply(manifests([space, secret, *requests, *self.might()]), manager="kubectl")
        wanted = self.templates()
        pods = [self.pod(name, template) for name, template in wanted.items()]
        pods.append(self.careless())
        for pod in pods:
            self.api.send(Request("POST", list_path("v1", "Pod", self.namespace), (), pod))
        for pod in pods:
            self.reports[pod["metadata"]["name"]] = self.report(pod["metadata"]["name"])

    def close(self) -> None:
        """Delete the namespace and the careless pod's rights."""
        for kind in ("clusterrolebinding", "clusterrole"):
            self.cluster.delete(kind, self.namespace)
        self.cluster.delete("namespace", self.namespace)

    def named(self, version: str, kind: str, name: str) -> Raw:
        metadata = {"name": name, "namespace": self.namespace}
        return {"apiVersion": version, "kind": kind, "metadata": metadata}

    def templates(self, secret: str = "client") -> dict[str, RawObject]:  # a name
        """Return the pod templates of every Job that the operator makes."""
        spec = self.spec(secret)
        resolved = self.resolved(spec)
        view, mine = tuning_of(spec=spec), self.installation()
        record = trial_of(1, name="t", rates=(1.0,))
        arguments = load_arguments(record, spec, resolved, "10.0.0.9")
        values = TemplateValues(image=resolved.image)
        jobs = {
            "gpu": gpu_check_job(view, spec, resolved, self.machine, mine),
            "benchmark": benchmark_job(view, resolved, self.machine, mine),
            "load": load_job(view, "t", arguments, spec, resolved.template, mine),
            "server": server_job(view, spec, "t", values, resolved, Setting(mine)),
        }
        return {name: job["spec"]["template"] for name, job in jobs.items()}

    def spec(self, secret: str) -> TuningSpec:
        header = {"name": "Authorization", "secret": secret, "key": "token"}
        raw = tuning(self.namespace, "Recommend", load={"headersFrom": [header]})
        found = parse_spec(raw["spec"])
        assert isinstance(found, TuningSpec), str(found)
        return found

    def resolved(self, spec: TuningSpec) -> Resolved:
        """Return what the operator sees of the demo's server as it is deployed."""
        documents = list(server_documents(self.node.images, self.namespace))
        (deployment,) = (d for d in documents if d["kind"] == "Deployment")
        deployment["metadata"] |= {"uid": "u", "generation": 1}
        deployment["spec"]["replicas"] = 1
        maps = {d["metadata"]["name"]: d["data"] for d in documents if d["kind"] == "ConfigMap"}
        seen = snapshot_of(tuning_of(spec=spec), target=target_of(deployment), config_maps=maps)
        found = resolve(replace(seen, autoscaler=None), spec)
        assert isinstance(found, Resolved), str(found)
        return found

    def installation(self) -> Installation:
        """Return how the operator that runs here is set up."""
        path = object_path("apps/v1", "Deployment", OPERATOR_NAMESPACE, RELEASE)
        (container,) = self.api.get(path)["spec"]["template"]["spec"]["containers"]
        told = {entry["name"]: entry.get("value", "") for entry in container["env"]}
        assert told["INFERTUNE_PRIORITY_CLASS"], "the chart sets it"
        return Installation(
            probe_image=told["INFERTUNE_PROBE_IMAGE"],
            trial_priority_class=told["INFERTUNE_PRIORITY_CLASS"],
        )

    def pod(self, name: str, template: RawObject) -> Raw:
        """Return a pod by a template of the operator's, with the intruder's command."""
        made = json.loads(json.dumps({"apiVersion": "v1", "kind": "Pod", **template}))
        made["metadata"] |= {"name": name, "namespace": self.namespace}
        (container,) = made["spec"]["containers"]
        container |= {"command": ["python", "-c", ATTEMPTS], "args": self.arguments()}
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            container.pop(probe, None)
        return dict(made)

    def arguments(self) -> list[str]:
        return [SERVER_URL, self.host, self.namespace]

    def careless(self) -> Raw:
        """Return a pod as root with a token, which may read Secrets and ask kubelets."""
        container = {
            "name": "probe",
            "image": self.node.images[PROBES],
            "imagePullPolicy": "IfNotPresent",
            "command": ["python", "-c", ATTEMPTS],
            "args": self.arguments(),
            "securityContext": {"runAsUser": 0, "seccompProfile": {"type": "Unconfined"}},
        }
        spec = {"restartPolicy": "Never", "serviceAccountName": CONTROL, "containers": [container]}
        return self.named("v1", "Pod", CONTROL) | {"spec": spec}

    def might(self) -> list[Raw]:
        """Return an account with rights that no pod of ours has."""
        group = "rbac.authorization.k8s.io"
        rules = [
            {"apiGroups": [""], "resources": ["secrets", "pods", "nodes"], "verbs": ["list"]},
            {"apiGroups": [""], "resources": ["nodes/proxy", "nodes/metrics"], "verbs": ["get"]},
            {"apiGroups": ["infertune.io"], "resources": ["*"], "verbs": ["list"]},
        ]
        metadata = {"metadata": {"name": self.namespace}}
        version = f"{group}/v1"
        role = {"apiVersion": version, "kind": "ClusterRole", **metadata, "rules": rules}
        reference = {"apiGroup": group, "kind": "ClusterRole", "name": self.namespace}
        who = {"kind": "ServiceAccount", "name": CONTROL, "namespace": self.namespace}
        binding = {"apiVersion": version, "kind": "ClusterRoleBinding", **metadata}
        binding |= {"roleRef": reference, "subjects": [who]}
        return [self.named("v1", "ServiceAccount", CONTROL), role, binding]

    def report(self, name: str) -> Raw:
        """Return what a pod found, once it has ended."""
        found = self.until(name, lambda pod: pod["status"]["phase"] in {"Succeeded", "Failed"})
        text = self.cluster.run("logs", name, f"--namespace={self.namespace}")
        assert found["status"]["phase"] == "Succeeded", text
        return dict(json.loads(text.splitlines()[-1]))

    def until(self, name: str, reached: Any) -> RawObject:
        """Wait for something about a pod."""
        path = object_path("v1", "Pod", self.namespace, name)
        ends = time.monotonic() + DONE_SECONDS
        while not reached(pod := self.api.get(path)):
            assert time.monotonic() < ends, f"{name}: {json.dumps(pod['status'])}"
            time.sleep(0.5)
        return pod


@pytest.fixture(scope="module")
def cell(node: Node) -> Iterator[Cell]:
    made = Cell(node)
    try:
        made.open()
        yield made
    finally:
        made.close()


@pytest.mark.parametrize("name", OURS)
def test_a_pod_of_ours_has_no_token_and_is_let_in_nowhere(cell: Cell, name: str) -> None:
    """Without a name the API server says 403 and the kubelet 401; its open port is closed."""
    found = cell.reports[name]
    assert (found["tokens"], found["account folder"]) == ([], False)
    assert found["with token"] == {}
    assert found["bare"] == {
        "own Secrets": "403",
        "all Secrets": "403",
        "pods of kube-system": "403",
        "tunings": "403",
        "nodes": "403",
        "kubelet pods": "401",
        "kubelet metrics": "401",
        "kubelet, read only": "ECONNREFUSED",
    }


@pytest.mark.parametrize("name", OURS)
def test_a_pod_of_ours_can_change_nothing_and_become_nobody_else(cell: Cell, name: str) -> None:
    """No new file, since the root is read-only; the file of passwords is not nobody's anyway."""
    found = cell.reports[name]
    assert found["uid"] == 65532
    assert found["writes"] == {"/mark": "EROFS", "/etc/passwd": "EACCES", "/usr/mark": "EROFS"}
    assert (found["setuid"], found["chroot"]) == ("EPERM", "EPERM")
    assert (found["unshare"], found["keyctl"]) == ("EPERM", "EPERM"), "seccomp forbids both"
    assert found["kernel"] == {
        "NoNewPrivs": "1",
        "Seccomp": "2",
        "CapEff": NOBODY,
        "CapPrm": NOBODY,
        "CapBnd": NOBODY,
    }


def test_a_careless_pod_succeeds_at_everything_that_ours_fail_at(cell: Cell) -> None:
    found = cell.reports[CONTROL]
    assert found["account folder"] is True
    assert len(found["tokens"]) > 0
    assert found["with token"] == {
        "own Secrets": "200",
        "all Secrets": "200",
        "pods of kube-system": "200",
        "tunings": "200",
        "nodes": "200",
        "kubelet pods": "200",
        "kubelet metrics": "200",
        "kubelet, read only": "ECONNREFUSED",
    }
    assert found["writes"] == {"/mark": "done", "/etc/passwd": "done", "/usr/mark": "done"}
    assert found["chroot"] == found["keyctl"] == found["setuid"] == "done"
    assert (found["kernel"]["NoNewPrivs"], found["kernel"]["Seccomp"]) == ("0", "0")


def test_only_the_load_gets_the_secret_of_its_header(cell: Cell) -> None:
    given = {name: cell.reports[name]["headers"] for name in OURS}
    assert given == {
        "gpu": {},
        "benchmark": {},
        "load": {"INFERTUNE_HEADER_0": HEADER},
        "server": {},
    }


def test_a_header_whose_secret_is_missing_is_told_as_the_kubelet_names_it(cell: Cell) -> None:
    pod = cell.pod("waiting", cell.templates("nowhere")["load"])
    cell.api.send(Request("POST", list_path("v1", "Pod", cell.namespace), (), pod))
    live = cell.until("waiting", lambda one: "waiting" in state_of(one))
    live = cell.until("waiting", lambda one: "Config" in state_of(one)["waiting"]["reason"])
    job: RawObject = {"metadata": {"name": "t-load", "uid": "u", "labels": {},
                      "creationTimestamp": NOW.isoformat()}}  # fmt: skip
    view = job_view(job, "load", live, None, None)
    ending = secret_missing(view, cell.spec("nowhere"), SECRET_GRACE_SECONDS)
    assert ending is not None
    assert (ending.phase, ending.reason) == ("Invalid", "LoadSecretMissing")
    assert ending.message.startswith('secret "nowhere" not found; spec.load.headersFrom needs ')


def state_of(pod: RawObject) -> Raw:
    statuses = pod["status"].get("containerStatuses") or [{"state": {}}]
    return dict(statuses[0]["state"])
