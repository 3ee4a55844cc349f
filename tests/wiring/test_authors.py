"""Who may write a tuning: only who may change its target and run pods there.

Users are impersonated on a real API server that has the chart's policy; the refusals are read as
`kubectl` prints them.
"""

import json
import subprocess
import uuid
from typing import Any

import pytest

from devcluster.binaries import cache_folder
from devcluster.settings import current
from infertune.adapters.clock import SystemClock
from infertune.adapters.kube.cluster import KubeCluster
from infertune.adapters.kube.connection import Connection, load_configuration
from infertune.core.snapshot import Key
from tests.wiring.plane import Plane, eventually
from tests.wiring.scenery import Scenery

pytestmark = [pytest.mark.real_api, pytest.mark.timeout(120)]
TUNINGS = {
    "apiGroups": ["infertune.io"],
    "resources": ["inferencetunings"],
    "verbs": ["get", "create", "update", "patch"],
}
PODS = {"apiGroups": [""], "resources": ["pods"], "verbs": ["create"]}
JOBS = {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["create"]}
SCALERS = {
    "apiGroups": ["autoscaling"],
    "resources": ["horizontalpodautoscalers"],
    "verbs": ["update"],
}
SERVER = {
    "apiGroups": ["apps"],
    "resources": ["deployments"],
    "resourceNames": ["server"],
    "verbs": ["update"],
}


@pytest.fixture
def place(plane: Plane) -> Scenery:
    return Scenery(plane, plane.namespace(f"authors-{uuid.uuid4().hex[:6]}"))


def allow(place: Scenery, user: str, *rules: dict[str, Any]) -> None:
    """Give a user rights in the namespace."""
    group = "rbac.authorization.k8s.io"
    metadata = {"namespace": place.namespace, "name": user}
    version = f"{group}/v1"
    role = {"apiVersion": version, "kind": "Role", "metadata": metadata, "rules": list(rules)}
    place.plane.create(role)
    binding = {
        "apiVersion": version,
        "kind": "RoleBinding",
        "metadata": metadata,
        "roleRef": {"apiGroup": group, "kind": "Role", "name": user},
        "subjects": [{"apiGroup": group, "kind": "User", "name": user}],
    }
    place.plane.create(binding)


def kubectl(place: Scenery, user: str, *arguments: str, document: object = None) -> str:
    """Run kubectl as a user; return what it complains of, empty when it does not."""
    command = [
        str(cache_folder(current()) / "kubectl"),
        f"--kubeconfig={place.plane.settings.kubeconfig}",
        f"--cache-dir={place.plane.settings.state}/kubectl-cache",
        f"--as={user}",
        f"--namespace={place.namespace}",
        *arguments,
    ]
    text = json.dumps(document) if document is not None else None
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    return done.stderr if done.returncode else ""


def create(place: Scenery, user: str, **spec: Any) -> str:
    raw = place.tuning(**spec)
    raw["metadata"].pop("namespace", None)
    raw["metadata"]["name"] = f"tuning-{uuid.uuid4().hex[:6]}"
    return kubectl(place, user, "create", "-f", "-", document=raw)


def patch(place: Scenery, user: str, change: dict[str, Any]) -> str:
    text = json.dumps(change)
    return kubectl(
        place, user, "patch", "inferencetuning", "demo", "--type=merge", f"--patch={text}"
    )


@pytest.fixture
def in_force(place: Scenery) -> None:
    """Wait until the API server holds tunings against the policy."""
    allow(place, "nobody", TUNINGS)
    eventually(lambda: "may not" in create(place, "nobody"), "the policy is in force")


@pytest.mark.usefixtures("in_force")
def test_an_author_with_the_rights_of_the_tuning_writes_it(place: Scenery) -> None:
    allow(place, "author", TUNINGS, SERVER, PODS, JOBS, SCALERS)
    assert create(place, "author") == ""
    assert create(place, "author", mode="Apply") == ""


@pytest.mark.usefixtures("in_force")
@pytest.mark.parametrize(
    ("rules", "spec", "words"),
    [
        pytest.param(
            (PODS, JOBS),
            {},
            "spec.targetRef: author may not update Deployment server in namespace",
            id="may not change the target",
        ),
        pytest.param(
            (SERVER, PODS, JOBS),
            {"targetRef": {"name": "other"}},
            "spec.targetRef: author may not update Deployment other in namespace",
            id="may change another one only",
        ),
        pytest.param(
            (SERVER, PODS, JOBS),
            {"targetRef": {"kind": "StatefulSet", "name": "server"}},
            "spec.targetRef: author may not update StatefulSet server in namespace",
            id="may change the Deployment of that name only",
        ),
        pytest.param(
            (SERVER, JOBS), {}, "spec: author may not create pods in namespace", id="no pods"
        ),
        pytest.param(
            (SERVER, PODS), {}, "spec: author may not create Jobs in namespace", id="no Jobs"
        ),
        pytest.param(
            (SERVER, PODS, JOBS),
            {"mode": "Apply"},
            "spec.mode: author may not update HorizontalPodAutoscalers in namespace",
            id="may not change the autoscaler that Apply writes",
        ),
        pytest.param(
            (SERVER, PODS, JOBS),
            {"trial": {"placement": "Borrow"}},
            "spec.trial.placement: author may not update HorizontalPodAutoscalers in namespace",
            id="may not lower the autoscaler that Borrow lowers in any mode",
        ),
    ],
)
def test_an_author_without_them_is_told_which_is_missing(
    place: Scenery, rules: tuple[dict[str, Any], ...], spec: dict[str, Any], words: str
) -> None:
    allow(place, "author", TUNINGS, *rules)
    assert words in create(place, "author", **spec)


@pytest.mark.usefixtures("in_force")
def test_a_change_of_the_spec_is_asked_and_a_label_is_not(place: Scenery) -> None:
    place.add_tuning()
    allow(place, "helper", TUNINGS, SERVER, PODS, JOBS)
    allow(place, "labeller", TUNINGS)
    assert patch(place, "labeller", {"metadata": {"labels": {"team": "a"}}}) == ""
    refused = patch(place, "labeller", {"spec": {"slo": {"latencyMilliseconds": 5}}})
    assert "may not update Deployment server" in refused
    assert patch(place, "helper", {"spec": {"slo": {"latencyMilliseconds": 150}}}) == ""
    assert "spec.mode: helper may not" in patch(place, "helper", {"spec": {"mode": "Apply"}})


@pytest.mark.usefixtures("in_force")
def test_the_operators_own_writes_are_none_of_the_policys_business(place: Scenery) -> None:
    """Status and finalizer, with the operator's account, which may update no target and no pod."""
    place.add_tuning(mode="Apply")
    kubeconfig, _ = place.plane.account_kubeconfig("own-writes")
    connection = Connection(load_configuration(str(kubeconfig)))
    cluster = KubeCluster(connection, SystemClock())
    key = Key(place.namespace, "demo")
    try:
        raw = cluster.fetch_tuning(key)
        assert raw is not None
        version = cluster.set_finalizer(key, raw["metadata"]["resourceVersion"], present=True)
        after = cluster.record_status(key, {"state": "Applying"}, version)
        assert after["status"]["state"] == "Applying"
        cluster.set_finalizer(key, after["metadata"]["resourceVersion"], present=False)
    finally:
        connection.close()
