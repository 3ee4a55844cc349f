"""``helm uninstall`` of the operator's chart, by Helm, on a real API server.

The hook is a Job like any other; there is no node, so the test runs what stands in its pod, with
the account and the environment of the pod, and says of the pod how that ended.
"""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from devcluster.control_plane import free_ports
from infertune.adapters.kube.connection import Request
from infertune.adapters.kube.paths import list_path, object_path
from infertune.core.manifests.naming import ANNOTATION_LAST_GOOD, FINALIZER
from infertune.ports import Gone
from tests.conformance.stages import RealStage
from tests.ownership.ground import Ground, program

pytestmark = [pytest.mark.real_api, pytest.mark.timeout(180)]
ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "infertune"
RELEASE = "leaving"
ACCOUNT = f"{RELEASE}-infertune"
STRATEGIC = "application/strategic-merge-patch+json"


class Installed:
    """The chart, installed for one namespace, and processes that run as its account."""

    def __init__(self, ground: Ground, kubeconfig: Path, folder: Path) -> None:
        self.ground = ground
        self._home = RealStage(kubeconfig)
        self._kubeconfig = kubeconfig
        self._folder = folder
        self._operator: subprocess.Popen[bytes] | None = None
        self.namespace = self._home.namespace

    def helm(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.ground.run(program("helm"), *words, "-n", self.namespace)

    def install(self, **values: str) -> None:
        settings = {"watchNamespaces[0]": self.ground.namespace, **values}
        switches = ("trialPriorityClass.create=false", "admissionPolicy.create=false")
        pairs = [*switches, *(f"{name}={value}" for name, value in settings.items())]
        done = self.helm("install", RELEASE, str(CHART), *(p for v in pairs for p in ("--set", v)))
        assert done.returncode == 0, done.stderr

    def start_operator(self) -> None:
        """Start what stands in the operator's Deployment."""
        path = object_path("apps/v1", "Deployment", self.namespace, ACCOUNT)
        pod = self._send(Request("GET", path))["spec"]["template"]["spec"]
        ports = free_ports(19000 + os.getpid() % 1000, 2)
        names = ("INFERTUNE_HEALTH_PORT", "INFERTUNE_METRICS_PORT")
        more = dict(zip(names, map(str, ports), strict=True))
        with (self._folder / "operator.log").open("wb") as log:
            self._operator = self._process(pod, log, **more, INFERTUNE_RESYNC_SECONDS="5")

    def run_hook(self) -> str:
        """Wait for the pod of the hook, run what stands in it, and end it; return its log."""
        self.ground.until(lambda: bool(self._hook_pods()), "the hook has a pod")
        pod = self._hook_pods()[0]
        log = self._folder / "hook.log"
        with log.open("wb") as sink:
            status = self._process(pod["spec"], sink).wait(120)
        state = {"terminated": {"exitCode": status}}
        container = {"name": "uninstall", "image": "i", "imageID": "i", "restartCount": 0}
        statuses = [{**container, "ready": False, "state": state}]
        phase = "Failed" if status else "Succeeded"
        path = object_path("v1", "Pod", self.namespace, pod["metadata"]["name"])
        body = {"status": {"phase": phase, "containerStatuses": statuses}}
        self._send(Request("PATCH", f"{path}/status", (), body, STRATEGIC))
        return log.read_text()

    def close(self) -> None:
        if self._operator is not None:
            self._operator.terminate()
            self._operator.wait(30)
            # Shown by pytest where a test fails.
            sys.stdout.write((self._folder / "operator.log").read_text())
        self._home.close()

    def _hook_pods(self) -> list[dict[str, Any]]:
        pods = self._send(Request("GET", list_path("v1", "Pod", self.namespace)))["items"]
        name = "app.kubernetes.io/component"
        return [pod for pod in pods if pod["metadata"]["labels"].get(name) == "uninstall"]

    def _process(self, pod: dict[str, Any], log: Any, **more: str) -> subprocess.Popen[bytes]:
        (container,) = pod["containers"]
        assert container["command"][0] == "python"
        own = {one["name"]: self.namespace for one in container["env"] if "valueFrom" in one}
        given = {one["name"]: one.get("value", "") for one in container["env"]} | own
        environment = {**os.environ, "KUBECONFIG": str(self._account()), **given, **more}
        command = [sys.executable, *container["command"][1:]]
        return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment)

    def _account(self) -> Path:
        path = f"/api/v1/namespaces/{self.namespace}/serviceaccounts/{ACCOUNT}/token"
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        token = self._send(Request("POST", path, (), body))["status"]["token"]
        document = yaml.safe_load(self._kubeconfig.read_text())
        document["users"][0]["user"] = {"token": token}
        found = self._folder / "account.kubeconfig"
        found.write_text(yaml.safe_dump(document))
        return found

    def _send(self, request: Request) -> Any:
        return self._home.cluster._connection.send(request)


@pytest.fixture
def installed(ground: Ground, kubeconfig: Path, tmp_path: Path) -> Iterator[Installed]:
    made = Installed(ground, kubeconfig, tmp_path)
    try:
        yield made
    finally:
        made.close()


def uninstalled(installed: Installed) -> str:
    """Uninstall the release while the hook is run; return the hook's log."""
    done: list[subprocess.CompletedProcess[str]] = []
    helm = threading.Thread(target=lambda: done.append(installed.helm("uninstall", RELEASE)))
    helm.start()
    try:
        log = installed.run_hook()
    finally:
        helm.join(120)
    assert [one.returncode for one in done] == [0], done
    assert installed.helm("status", RELEASE).returncode != 0, "the release is gone"
    return log


def finalizers(ground: Ground) -> list[str]:
    return list(ground.tuning()["metadata"].get("finalizers") or ())


def deleted_at_once(ground: Ground) -> bool:
    """Delete the tuning where nobody is left to end anything for it."""
    ground.delete()
    try:
        ground.tuning()
    except Gone:
        return True
    return False


def test_an_open_rollout_is_rolled_back_before_the_operator_goes(
    ground: Ground, installed: Installed, manifest: Path
) -> None:
    ground.kubectl("apply", "-f", manifest)
    installed.install()
    ground.begin()
    installed.start_operator()
    ground.rests("Verifying")
    assert (ground.batch(), finalizers(ground)) == ("16", [FINALIZER])
    log = uninstalled(installed)
    assert "finalizer taken" not in log
    assert (ground.status().state, finalizers(ground)) == ("Halted", [])
    assert ground.condition("Stalled")[1] == "Aborted"
    assert (ground.batch(), ground.bounds()) == ("1", (1, 2))
    assert deleted_at_once(ground)


def test_without_an_operator_nothing_stays_that_cannot_be_deleted(
    ground: Ground, installed: Installed, manifest: Path
) -> None:
    """The values that nobody verified stay with the record of those before them."""
    ground.kubectl("apply", "-f", manifest)
    installed.install(**{"uninstall.timeoutSeconds": "1"})
    ground.begin()
    ground.start()
    ground.rests("Verifying")
    ground.stop()
    assert finalizers(ground) == [FINALIZER]
    assert "finalizer taken" in uninstalled(installed)
    assert finalizers(ground) == []
    told = ground.kubectl("get", "events", "-o", "jsonpath={.items[*].reason}").stdout
    assert "RolloutAbandoned" in told
    assert ground.batch() == "16"
    assert ANNOTATION_LAST_GOOD in ground.target()["metadata"]["annotations"]
    assert deleted_at_once(ground)


def test_tunings_at_rest_are_left_as_they_are(
    ground: Ground, installed: Installed, manifest: Path
) -> None:
    ground.kubectl("apply", "-f", manifest)
    installed.install()
    ground.tune()
    ground.stop()
    before = ground.tuning()
    began = time.monotonic()
    uninstalled(installed)
    assert time.monotonic() - began < 30, "there was nothing to wait for"
    assert ground.tuning() == before
    assert (ground.batch(), ground.bounds()) == ("16", (2, 4))
