"""The table of processes that make a node: arguments, readiness, order.

Each entry is a value; `start_missing` starts what does not run, in the order of the
table's waves, and waits for each wave. A component that ends or is not ready in time
is named together with the end of its log.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from devcluster import api, processes
from devcluster.console import last_lines
from devcluster.errors import DevclusterError
from devcluster.node import nodes
from devcluster.packages import search_path, tool
from devcluster.settings import METRICS_SERVER_PORT, Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from devcluster.node import Node

ADDON_WAVE = 3  # needs the objects that are applied after the control plane is ready
READY_SECONDS = 60.0
POLL_SECONDS = 0.1
FIRST_ACCOUNT = "/api/v1/namespaces/default/serviceaccounts/default"
# What each node has, and what the cluster has once, in the order in which people read it.
OF_A_NODE = ("containerd", "kubelet", "kube-proxy")
OF_THE_CLUSTER = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "coredns",
    "metrics-server",
)


@dataclass(frozen=True, slots=True)
class Component:
    """One process: what to call, when it is ready, and in which wave it starts."""

    name: str
    wave: int
    argv: tuple[str, ...]
    ready: Callable[[], bool]


def names(settings: Settings) -> tuple[str, ...]:
    """Return what the components of a cluster are called."""
    return (*OF_THE_CLUSTER, *names_of(nodes(settings), OF_A_NODE))


def names_of(members: Iterable[Node], kinds: Iterable[str]) -> tuple[str, ...]:
    """Return what components of these kinds are called on these nodes."""
    return tuple(node.called(kind) for node in members for kind in kinds)


def table(settings: Settings, programs: Mapping[str, Path]) -> tuple[Component, ...]:
    """Return the components in their order of start."""
    members = nodes(settings)
    return (
        *(_containerd(settings, node) for node in members),
        _etcd(settings, programs),
        _api_server(settings, programs),
        _controller_manager(settings, programs),
        _scheduler(settings, programs),
        *(kubelet(settings, programs, node) for node in members),
        *(_proxy(settings, programs, node) for node in members),
        _dns(settings, programs),
        _metrics_server(settings, programs),
    )


def control_plane(settings: Settings, programs: Mapping[str, Path]) -> tuple[Component, ...]:
    """Return the components that answer for objects, without a node to run pods."""
    return (
        _etcd(settings, programs),
        _api_server(settings, programs),
        _controller_manager(settings, programs),
    )


def _containerd(settings: Settings, node: Node) -> Component:
    argv = (tool(settings, "containerd"), "--config", f"{node.conf}/containerd.toml")
    ready = partial(api.listens, node.socket)
    return Component(node.called("containerd"), 0, (*node.enter, *argv), ready)


def _etcd(settings: Settings, programs: Mapping[str, Path]) -> Component:
    client, peer = settings.etcd_url, f"http://127.0.0.1:{settings.listen.etcd_peer}"
    argv = (
        str(programs["etcd"]),
        f"--data-dir={settings.state}/etcd",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        # The data lives no longer than the node: nothing is lost with a power cut.
        "--unsafe-no-fsync",
        "--log-level=warn",
    )
    return Component("etcd", 0, argv, partial(api.answers, f"{client}/health"))


def _api_server(settings: Settings, programs: Mapping[str, Path]) -> Component:
    pki = settings.pki
    argv: tuple[str, ...] = (
        str(programs["kube-apiserver"]),
        f"--etcd-servers={settings.etcd_url}",
        # Only this address: the API is not offered to the machine's own network.
        f"--bind-address={settings.api_address}",
        f"--advertise-address={settings.api_address}",
        f"--secure-port={settings.listen.api}",
        f"--service-cluster-ip-range={settings.service_range}",
        f"--tls-cert-file={pki}/apiserver.crt",
        f"--tls-private-key-file={pki}/apiserver.key",
        f"--client-ca-file={pki}/ca.crt",
        f"--kubelet-client-certificate={pki}/admin.crt",
        f"--kubelet-client-key={pki}/admin.key",
        "--kubelet-preferred-address-types=InternalIP",
        "--authorization-mode=Node,RBAC",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={pki}/service-account.pub",
        f"--service-account-signing-key-file={pki}/service-account.key",
        f"--requestheader-client-ca-file={pki}/ca.crt",
        "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        f"--proxy-client-cert-file={pki}/front-proxy.crt",
        f"--proxy-client-key-file={pki}/front-proxy.key",
        "--enable-aggregator-routing=true",
        "--profiling=false",
        f"--cert-dir={settings.state}/api-server",
    )
    if settings.api_address.is_loopback:
        # Endpoints on loopback are refused; without pods nobody looks for them either.
        argv = (*argv, "--endpoint-reconciler-type=none")
    return Component("kube-apiserver", 1, argv, lambda: api.get_raw(settings, "/readyz") == b"ok")


def _controller_manager(settings: Settings, programs: Mapping[str, Path]) -> Component:
    config = f"{settings.conf}/controller-manager.kubeconfig"
    argv = (
        str(programs["kube-controller-manager"]),
        f"--kubeconfig={config}",
        f"--authentication-kubeconfig={config}",
        f"--authorization-kubeconfig={config}",
        f"--service-account-private-key-file={settings.pki}/service-account.key",
        f"--root-ca-file={settings.pki}/ca.crt",
        "--use-service-account-credentials=true",
        "--bind-address=127.0.0.1",
        f"--secure-port={settings.listen.controllers}",
        "--leader-elect=false",
        "--profiling=false",
    )
    healthy = _healthy(f"https://127.0.0.1:{settings.listen.controllers}")

    def ready() -> bool:
        # No pod is admitted before a controller has made its namespace's account.
        return healthy() and api.get(settings, FIRST_ACCOUNT) is not None

    return Component("kube-controller-manager", 2, argv, ready)


def _scheduler(settings: Settings, programs: Mapping[str, Path]) -> Component:
    config = f"{settings.conf}/scheduler.kubeconfig"
    argv = (
        str(programs["kube-scheduler"]),
        f"--kubeconfig={config}",
        f"--authentication-kubeconfig={config}",
        f"--authorization-kubeconfig={config}",
        "--bind-address=127.0.0.1",
        "--leader-elect=false",
        "--profiling=false",
    )
    return Component("kube-scheduler", 2, argv, _healthy("https://127.0.0.1:10259"))


def kubelet(settings: Settings, programs: Mapping[str, Path], node: Node) -> Component:
    """Return the kubelet of a node."""
    name = node.called("kubelet")
    argv = (
        *node.enter,
        str(programs["kubelet"]),
        f"--config={node.conf}/kubelet.yaml",
        f"--kubeconfig={settings.conf}/{name}.kubeconfig",
        f"--root-dir={node.state}/kubelet",
        f"--cert-dir={node.state}/kubelet-pki",
        f"--hostname-override={node.name}",
        f"--node-ip={node.address}",
    )
    return Component(name, 2, argv, partial(api.node_ready, settings, node.name))


def _proxy(settings: Settings, programs: Mapping[str, Path], node: Node) -> Component:
    argv = (
        *node.enter,
        str(programs["kube-proxy"]),
        f"--kubeconfig={settings.conf}/proxy.kubeconfig",
        f"--hostname-override={node.name}",
        "--proxy-mode=iptables",
        f"--cluster-cidr={settings.pod_range}",
        f"--bind-address={node.address}",
        "--nodeport-addresses=primary",
        # Zero leaves the machine's connection tracking as it is.
        "--conntrack-max-per-core=0",
        "--conntrack-tcp-timeout-established=0s",
        "--conntrack-tcp-timeout-close-wait=0s",
        f"--healthz-bind-address={node.address}:10256",
        f"--metrics-bind-address={node.address}:10249",
    )
    ready = partial(api.answers, f"http://{node.address}:10256/livez")
    return Component(node.called("kube-proxy"), 2, argv, ready)


def _dns(settings: Settings, programs: Mapping[str, Path]) -> Component:
    argv = (str(programs["coredns"]), "-conf", f"{settings.conf}/Corefile")
    ready = partial(api.answers, f"http://{settings.gateway}:10055/ready")
    return Component("coredns", ADDON_WAVE, argv, ready)


def _metrics_server(settings: Settings, programs: Mapping[str, Path]) -> Component:
    config = f"{settings.conf}/admin.kubeconfig"
    argv = (
        str(programs["metrics-server"]),
        f"--kubeconfig={config}",
        f"--authentication-kubeconfig={config}",
        f"--authorization-kubeconfig={config}",
        f"--bind-address={settings.gateway}",
        f"--secure-port={METRICS_SERVER_PORT}",
        f"--cert-dir={settings.state}/metrics-server",
        "--kubelet-insecure-tls",
        "--kubelet-preferred-address-types=InternalIP",
        "--metric-resolution=15s",
    )
    # Its own readiness waits for the first metrics; alive is enough to go on.
    ready = _healthy(f"https://{settings.gateway}:{METRICS_SERVER_PORT}", "/livez")
    return Component("metrics-server", ADDON_WAVE, argv, ready)


def _healthy(base: str, path: str = "/healthz") -> Callable[[], bool]:
    return lambda: api.answers(base + path, api.unverified())


def running(settings: Settings) -> dict[str, processes.Identity]:
    """Return the components whose recorded process still runs."""
    found = {name: processes.find(settings.state / "pids", name) for name in names(settings)}
    return {name: one for name, one in found.items() if one}


def start_missing(settings: Settings, components: Sequence[Component]) -> list[str]:
    """Start the components that do not run, wave by wave; return their names.

    Raises:
        DevclusterError: One of them ended or was not ready in time.
    """
    started: list[str] = []
    env = {"PATH": search_path(settings)}
    for wave in sorted({one.wave for one in components}):
        members = [one for one in components if one.wave == wave]
        for one in members:
            if processes.find(settings.state / "pids", one.name) is None:
                log = settings.logs / f"{one.name}.log"
                processes.start(settings.state / "pids", one.name, one.argv, log, env)
                started.append(one.name)
        for one in members:
            wait_ready(settings, one)
    return started


def wait_ready(settings: Settings, component: Component) -> None:
    """Wait until a component is ready.

    Raises:
        DevclusterError: It ended or took too long; the message holds the end of its log.
    """
    log = settings.logs / f"{component.name}.log"
    deadline = time.monotonic() + READY_SECONDS
    while not component.ready():
        if processes.find(settings.state / "pids", component.name) is None:
            msg = f"{component.name} ended; end of {log}:\n{last_lines(log)}"
            raise DevclusterError(msg)
        if time.monotonic() > deadline:
            msg = (
                f"{component.name} was not ready in {READY_SECONDS:.0f} s; "
                f"end of {log}:\n{last_lines(log)}"
            )
            raise DevclusterError(msg)
        time.sleep(POLL_SECONDS)
