"""Credentials stand all around a real operator, and none of them comes out of it.

A target with a password in its environment, a Secret of its own and one to pull its image; a load
that carries a header from a Secret; a Prometheus that wants a token. The operator logs all it can
(debug), works through a trial and a rollout, and everything that it wrote or answered is searched.
"""

import base64
import copy
import json
import subprocess
import sys
import urllib.request
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from infertune.adapters.kube.connection import Request
from infertune.adapters.kube.paths import list_path, object_path
from infertune.api.status import TuningStatus
from infertune.api.v1alpha1 import API_VERSION, KIND
from tests.fakes import cases
from tests.wiring.conftest import Operators
from tests.wiring.moments import begin, find, in_a_rollout, in_a_trial, is_written
from tests.wiring.plane import OperatorProcess, Plane, eventually
from tests.wiring.scenery import MERGE_PATCH, Scenery, StubPrometheus, bind, scenery

pytestmark = [pytest.mark.real_api, pytest.mark.timeout(240)]
Raw = dict[str, Any]
IN_ENV = "canary-env-3f71"
SECRETS = {
    "own": {"token": "canary-own-9ac4"},
    "client": {"token": "Bearer canary-header-c20e"},
    "pull": {".dockerconfigjson": '{"auths": {"r.test": {"auth": "canary-pull-55d8"}}}'},
}
PROMETHEUS = "canary-prometheus-7b19"
HEADERS = [{"name": "Authorization", "secret": "client", "key": "token"}]
PASSWORD = {"name": "DATABASE_PASSWORD", "value": IN_ENV}


def target() -> Raw:
    """Return the target with a credential wherever targets have one."""
    raw = copy.deepcopy(cases.deployment())
    pod = raw["spec"]["template"]["spec"]
    pod["imagePullSecrets"] = [{"name": "pull"}]
    reference = {"secretKeyRef": {"name": "own", "key": "token"}}
    pod["containers"][0]["env"] += [PASSWORD, {"name": "TOKEN", "valueFrom": reference}]
    return raw


def furnish(plane: Plane, prometheus: StubPrometheus) -> Scenery:
    """Return a namespace with the target, its Secrets, and a tuning whose load has a header."""
    place = scenery(plane, f"secrets-{uuid.uuid4().hex[:6]}", prometheus.url, target())
    for name, content in SECRETS.items():
        kind = "kubernetes.io/dockerconfigjson" if name == "pull" else "Opaque"
        body = {"apiVersion": "v1", "kind": "Secret", "type": kind, "metadata": {"name": name}}
        path = f"/api/v1/namespaces/{place.namespace}/secrets"
        plane.admin.send(Request("POST", path, (), body | {"stringData": content}))
    place.add_tuning(mode="Apply", load={"path": "/predict", "headersFrom": HEADERS})
    return place


def through_a_trial(place: Scenery) -> None:
    """The server comes up, the load finds its Secret's key missing, the trial is void."""
    eventually(lambda: pod_of(place, "server") is not None, "the server has a pod", 60.0)
    serving = {"name": "server", "image": "x", "imageID": "x", "restartCount": 0, "ready": True}
    serving["state"] = {"running": {}}
    be(place, "server", {"phase": "Running", "podIP": "10.0.0.9", "containerStatuses": [serving],
        "conditions": [{"type": "Ready", "status": "True"}]})  # fmt: skip
    eventually(lambda: pod_of(place, "load") is not None, "the load has a pod", 60.0)
    words = f"couldn't find key token in Secret {place.namespace}/client"
    waiting = {"reason": "CreateContainerConfigError", "message": words}
    probe = {"name": "probe", "image": "x", "imageID": "", "restartCount": 0, "ready": False}
    be(place, "load", {"containerStatuses": [probe | {"state": {"waiting": waiting}}]})
    eventually(lambda: place.status()["trials"][0].get("reason") == "LoadSecretMissing", "void", 60)


def pod_of(place: Scenery, role: str) -> Raw | None:
    found = (p for p in place.pods() if p["metadata"]["labels"].get("infertune.io/role") == role)
    return next(found, None)


def be(place: Scenery, role: str, status: Raw) -> None:
    """Say of a pod of ours what a kubelet would."""
    pod = pod_of(place, role)
    assert pod is not None
    bind(place, pod["metadata"]["name"])
    path = object_path("v1", "Pod", place.namespace, pod["metadata"]["name"]) + "/status"
    place.plane.admin.send(Request("PATCH", path, (), {"status": status}, MERGE_PATCH))


@dataclass(frozen=True, slots=True)
class Story:
    begins: Callable[[Scenery], TuningStatus]
    goes: Callable[[Scenery], None]


STORIES = {
    "trial": Story(in_a_trial, through_a_trial),
    "rollout": Story(
        in_a_rollout, lambda place: void(eventually(lambda: is_written(place), "written", 60.0))
    ),
}


def void(_: float) -> None:
    """Forget how long it took."""


@pytest.mark.parametrize("name", STORIES)
def test_no_credential_comes_out_of_a_real_operator(
    name: str, plane: Plane, operators: Operators, prometheus: StubPrometheus, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text(PROMETHEUS)
    place = furnish(plane, prometheus)
    begin(place, STORIES[name].begins(place))
    # Another tuning asks Prometheus at once.
    scenery(plane, f"asking-{place.namespace}", prometheus.url).add_tuning()
    operator = operators.start(
        "operator",
        INFERTUNE_LOG_LEVEL="debug",
        INFERTUNE_PROMETHEUS_CREDENTIALS=f"{prometheus.url} {tmp_path}",
    )
    STORIES[name].goes(place)
    wanted = f"Bearer {PROMETHEUS}"
    eventually(
        lambda: any(h.get("Authorization") == wanted for h in prometheus.headers), "it is asked"
    )

    told = everything(place, operator, tmp_path)
    assert all(told.values()), "there is something to search"
    words = canaries(plane)
    assert [(where, one) for where, text in told.items() for one in words if one in text] == []
    asked = {line["objectRef"]["resource"] for line in plane.audited() if "objectRef" in line}
    assert "pods" in asked
    assert "secrets" not in asked, "it may not, and it does not try"
    if name == "trial":
        assert IN_ENV in json.dumps(place.jobs()), "the copy of the target has what the target has"


def canaries(plane: Plane) -> tuple[str, ...]:
    """Return every planted word, plain and as a Secret holds it, and the operator's own token."""
    words = [IN_ENV, PROMETHEUS, *(value for held in SECRETS.values() for value in held.values())]
    encoded = [base64.b64encode(word.encode()).decode() for word in words]
    document = yaml.safe_load((plane.settings.state / "operator.kubeconfig").read_text())
    bare = [word.split("canary-")[1].split('"')[0] for word in words]
    return (*words, *encoded, *bare, document["users"][0]["user"]["token"])


def everything(place: Scenery, operator: OperatorProcess, folder: Path) -> dict[str, str]:
    """Return all that came out of the operator, by where it is found."""
    admin, space = place.plane.admin, place.namespace
    tuning = find(place, API_VERSION, KIND, place.name)
    objects = [find(place, "apps/v1", "Deployment")]
    objects.append(find(place, "autoscaling/v2", "HorizontalPodAutoscaler"))
    file = folder / "tuning.json"
    file.write_text(json.dumps(tuning))
    command = [sys.executable, "-m", "infertune.cli", "report", str(file)]
    return {
        "log": operator.log.read_text(),
        "tuning": json.dumps({"metadata": tuning["metadata"], "status": tuning["status"]}),
        "events": json.dumps(admin.get(list_path("v1", "Event", space))["items"]),
        "config maps": json.dumps(admin.get(list_path("v1", "ConfigMap", space))["items"]),
        "jobs": json.dumps([without_the_targets_own(job) for job in place.jobs()]),
        "annotations": json.dumps([raw["metadata"] for raw in objects]),
        "metrics": page(operator.metrics_port, "/metrics"),
        "health": json.dumps(operator.health()),
        "report": subprocess.run(command, capture_output=True, text=True, check=True).stdout,
    }


def without_the_targets_own(job: Raw) -> Raw:
    """Return the Job without the variable that its container has from the target's template."""
    found = copy.deepcopy(job)
    for container in found["spec"]["template"]["spec"]["containers"]:
        if job["metadata"]["name"].endswith("-server"):
            container["env"].remove(PASSWORD)
    return found


def page(port: int, path: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
        return str(answer.read().decode())
