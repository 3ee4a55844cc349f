"""A control plane that may be hurt, and operators that are real processes on it.

Role: stop, pause and restart the API server, read its audit log, start and end operators with
exactly the rights of the chart. Must not know: what is expected. Trade-off: one plane for all
tests that ask for it; each takes namespaces and Leases of its own.
"""

import base64
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from devcluster import components, processes
from devcluster.binaries import cache_folder, ensure_binaries
from devcluster.control_plane import PROGRAMS, control_plane, free_ports, parts
from devcluster.settings import Settings, current
from infertune.adapters.kube.connection import Connection, Request, load_configuration

ROOT = Path(__file__).parents[2]
CRDS = sorted((ROOT / "crds").glob("*.yaml"))
CHART = ROOT / "charts" / "infertune"
KUBERNETES = "1.37.1"
SYSTEM = "infertune-system"
ACCOUNT = "infertune"
USER = f"system:serviceaccount:{SYSTEM}:{ACCOUNT}"
AUDIT = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata"}],
}
ADMISSION = "/apis/admissionregistration.k8s.io/v1"
COLLECTIONS = {
    "Namespace": "/api/v1/namespaces",
    "ServiceAccount": "/api/v1/namespaces/{}/serviceaccounts",
    "ClusterRole": "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    "ClusterRoleBinding": "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
    "Role": "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/roles",
    "ValidatingAdmissionPolicy": f"{ADMISSION}/validatingadmissionpolicies",
    "ValidatingAdmissionPolicyBinding": f"{ADMISSION}/validatingadmissionpolicybindings",
    "RoleBinding": "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/rolebindings",
}


def eventually(reached: Callable[[], bool], what: str, seconds: float = 30.0) -> float:
    """Wait until something is so; return how long it took."""
    began = time.monotonic()
    while not reached():
        assert time.monotonic() - began < seconds, f"{what}: not within {seconds} s"
        time.sleep(0.1)
    return time.monotonic() - began


def rendered(*settings: str) -> list[dict[str, Any]]:
    """Return what the chart makes."""
    helm = cache_folder(current()) / "helm"
    command = [str(helm), "template", "infertune", str(CHART), f"--kube-version={KUBERNETES}"]
    command += [f"--namespace={SYSTEM}", *settings]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [document for document in yaml.safe_load_all(done.stdout) if document]


@dataclass
class Plane:
    """Store, API server and controllers, with an audit log."""

    settings: Settings
    flags: tuple[str, ...]
    audit: Path
    admin: Connection

    def create(self, raw: dict[str, Any]) -> dict[str, Any]:
        """Create an object of the kinds that a chart brings."""
        path = COLLECTIONS[raw["kind"]].format(raw["metadata"].get("namespace", ""))
        return dict(self.admin.send(Request("POST", path, (), raw)))

    def namespace(self, name: str) -> str:
        """Create a namespace."""
        self.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        return name

    def audited(self) -> list[dict[str, Any]]:
        """Return what the API server has noted of the operator's account so far."""
        lines = map(json.loads, self.audit.read_text().splitlines())
        return [line for line in lines if line["user"]["username"] == USER]

    def pause(self, name: str) -> None:
        """Stop a component in the middle of whatever it does."""
        os.kill(self._pid(name), signal.SIGSTOP)

    def resume(self, name: str) -> None:
        """Let a paused component go on."""
        os.kill(self._pid(name), signal.SIGCONT)

    def end(self, name: str) -> None:
        """End a component."""
        processes.stop(self.settings.state / "pids", [name], grace_seconds=1.0)

    def start(self) -> None:
        """Start what does not run, and wait until it answers."""
        programs = ensure_binaries(self.settings, wanted=PROGRAMS)
        components.start_missing(self.settings, parts(self.settings, programs, self.flags))

    def account_kubeconfig(self, name: str) -> tuple[Path, str]:
        """Return a kubeconfig with a new token of the operator's account, and the token's id."""
        path = f"/api/v1/namespaces/{SYSTEM}/serviceaccounts/{ACCOUNT}/token"
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        token = self.admin.send(Request("POST", path, (), body))["status"]["token"]
        document = yaml.safe_load(self.settings.kubeconfig.read_text())
        document["users"][0]["user"] = {"token": token}
        found = self.settings.state / f"{name}.kubeconfig"
        found.write_text(yaml.safe_dump(document))
        return found, token_id(token)

    def _pid(self, name: str) -> int:
        found = processes.find(self.settings.state / "pids", name)
        assert found is not None, f"{name} does not run"
        return found.pid


@contextlib.contextmanager
def plane_in(folder: Path) -> Iterator[Plane]:
    """Yield a plane with the chart's account and rights on it."""
    policy, audit = folder / "audit-policy.yaml", folder / "audit.log"
    policy.write_text(yaml.safe_dump(AUDIT))
    flags = (
        f"--audit-policy-file={policy}",
        f"--audit-log-path={audit}",
        "--audit-log-mode=blocking-strict",
        # A watch that slept for a minute finds its place compacted away.
        "--etcd-compaction-interval=20s",
    )
    with control_plane(current(), folder, CRDS, flags) as settings:
        admin = Connection(load_configuration(str(settings.kubeconfig)))
        plane = Plane(settings, flags, audit, admin)
        plane.namespace(SYSTEM)
        for raw in rendered():
            if raw["kind"] in COLLECTIONS:
                plane.create(raw)
        yield plane
        admin.close()


@dataclass
class OperatorProcess:
    """`python -m infertune`, with what it wrote to its log."""

    child: subprocess.Popen[bytes]
    log: Path
    port: int
    token_id: str
    metrics_port: int

    def health(self, path: str = "/healthz") -> dict[str, Any]:
        """Return what it says of itself; its problems too when it is unwell."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return dict(json.load(answer))
        except urllib.error.HTTPError as error:
            with error:
                return dict(json.load(error))
        except OSError as error:
            return {"detail": "", "problems": [str(error)]}

    def leads(self) -> bool:
        """Whether it says that it leads."""
        return str(self.health().get("detail", "")).startswith("leading")

    def lines(self) -> list[dict[str, Any]]:
        """Return its log; a line that is no record is a failure of its own."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.child.send_signal(number)

    def end(self) -> None:
        """End it for good."""
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGCONT)
            self.child.terminate()
            try:
                self.child.wait(20)
            except subprocess.TimeoutExpired:
                self.child.kill()
        self.child.wait()


def start_operator(
    plane: Plane, folder: Path, name: str, environment: Mapping[str, str]
) -> OperatorProcess:
    """Start an operator with a token of its own, so that the audit log tells who wrote."""
    kubeconfig, identity = plane.account_kubeconfig(name)
    port, metrics_port = free_ports(18000 + os.getpid() % 1000, 2)
    log = folder / f"{name}.log"
    variables = {
        "KUBECONFIG": str(kubeconfig),
        "INFERTUNE_PROBE_IMAGE": "probes:test",
        "INFERTUNE_HEALTH_PORT": str(port),
        "INFERTUNE_METRICS_PORT": str(metrics_port),
        "INFERTUNE_LEASE_NAMESPACE": SYSTEM,
        "INFERTUNE_RESYNC_SECONDS": "5",
        "INFERTUNE_PROMETHEUS_ALLOWED_URLS": "http://127.0.0.1:*",
        **environment,
    }
    with log.open("wb") as sink:
        child = subprocess.Popen(
            [sys.executable, "-m", "infertune"],
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            env={**os.environ, **variables},
        )
    process = OperatorProcess(child, log, port, identity, metrics_port)
    eventually(lambda: bool(process.health()["detail"]), f"{name} answers")
    return process


def token_id(token: str) -> str:
    """Return how the audit log names a token."""
    claims = token.split(".")[1]
    padded = claims + "=" * (-len(claims) % 4)
    return f"JTI={json.loads(base64.urlsafe_b64decode(padded))['jti']}"


def written_by(line: dict[str, Any]) -> str:
    """Return the id of the token that a line of the audit log is about."""
    return str(line["user"]["extra"]["authentication.kubernetes.io/credential-id"][0])
