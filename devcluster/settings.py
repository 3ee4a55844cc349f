"""Where everything lies and which address ranges are used.

One frozen value that every other module receives; nothing else reads environment
variables. `up` writes it into the state folder, so that `down`, `status` and the
image functions find the cluster that was really started, whatever the environment
says by then.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from devcluster.errors import RefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping

REPO_ROOT = Path(__file__).resolve().parent.parent
PACKAGE_ROOT = Path(__file__).resolve().parent
DNS_PORT = 10053
METRICS_SERVER_PORT = 10443
NODE_PREFIX_LENGTH = 24
# A /24 has 239 addresses for pods; an address is given back a moment after its pod has gone.
MOST_PODS = 230
DEFAULT_PODS_PER_NODE = 200
MOST_NODES = 2
# A socket's path may have 107 bytes; the kubelet's own is the longest below this folder.
LONGEST_STATE_DIR = 107 - len("/n2/kubelet/pod-resources/4294967295")
DEFAULT_PODS = IPv4Network("10.244.0.0/16")
DEFAULT_SERVICES = IPv4Network("10.0.0.0/24")


@dataclass(frozen=True, slots=True)
class Listen:
    """Where the control plane listens; without an address that is the node's own."""

    address: IPv4Address | None = None
    api: int = 6443
    etcd: int = 23790
    etcd_peer: int = 23791
    controllers: int = 10257


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one cluster."""

    cache: Path
    state: Path
    bin_dir: Path | None = None
    pod_range: IPv4Network = DEFAULT_PODS
    service_range: IPv4Network = DEFAULT_SERVICES
    node_name: str = "infertune-node"
    bridge: str = "infertune0"
    cfs_period: str = "10ms"
    max_pods: int = DEFAULT_PODS_PER_NODE
    downloads: bool = True
    nodes: int = 1
    listen: Listen = Listen()

    @property
    def api_address(self) -> IPv4Address:
        """The address at which the API server is reached."""
        return self.listen.address or self.gateway

    @property
    def api_url(self) -> str:
        """The URL of the API server."""
        return f"https://{self.api_address}:{self.listen.api}"

    @property
    def etcd_url(self) -> str:
        """The URL of the store, for the API server alone."""
        return f"http://127.0.0.1:{self.listen.etcd}"

    @property
    def node_ranges(self) -> tuple[IPv4Network, ...]:
        """The parts of the pod range that the nodes hand out, one for each."""
        length = max(NODE_PREFIX_LENGTH, self.pod_range.prefixlen)
        return tuple(islice(self.pod_range.subnets(new_prefix=length), self.nodes))

    @property
    def node_range(self) -> IPv4Network:
        """The part of the pod range that the first node hands out."""
        return self.node_ranges[0]

    @property
    def gateway(self) -> IPv4Address:
        """The bridge's address: the node, the API server and the pods' way out."""
        return self.node_range[1]

    @property
    def api_service(self) -> IPv4Address:
        """The address of the Service `kubernetes`."""
        return self.service_range[1]

    @property
    def dns_service(self) -> IPv4Address:
        """The address of the Service `kube-dns`."""
        return self.service_range[10]

    @property
    def run_dir(self) -> Path:
        """Sockets; short, because a socket's path may have 107 bytes only."""
        digest = hashlib.sha256(str(self.state).encode()).hexdigest()[:8]
        return Path("/run") / f"infertune-{digest}"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.state / "kubeconfig"

    @property
    def pki(self) -> Path:
        """Certificates and keys."""
        return self.state / "pki"

    @property
    def logs(self) -> Path:
        """One log per component."""
        return self.state / "logs"

    @property
    def conf(self) -> Path:
        """Rendered configuration files."""
        return self.state / "conf"

    @property
    def root(self) -> Path:
        """The folder into which distribution packages are unpacked."""
        return self.cache / "packages" / "root"

    def save(self) -> None:
        """Write the settings into the state folder."""
        self.state.mkdir(parents=True, exist_ok=True)
        record = {
            "cache": str(self.cache),
            "bin_dir": str(self.bin_dir) if self.bin_dir else None,
            "pod_range": str(self.pod_range),
            "service_range": str(self.service_range),
            "node_name": self.node_name,
            "bridge": self.bridge,
            "cfs_period": self.cfs_period,
            "max_pods": self.max_pods,
            "downloads": self.downloads,
            "nodes": self.nodes,
        }
        (self.state / "settings.json").write_text(json.dumps(record, indent=2) + "\n")


def _network(name: str, text: str, largest_prefix: int) -> IPv4Network:
    try:
        network = IPv4Network(text)
    except ValueError as error:
        msg = f"{name}: {error}; write it like 10.244.0.0/16"
        raise RefusedError(msg) from error
    if network.prefixlen > largest_prefix:
        msg = f"{name}: {text} is too small; use a /{largest_prefix} or larger"
        raise RefusedError(msg)
    return network


def _pods(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MOST_PODS:
        msg = f"DEVCLUSTER_MAX_PODS: {text!r}: write a whole number from 1 to {MOST_PODS}"
        raise RefusedError(msg)
    return int(text)


def number_of_nodes(name: str, text: str) -> int:
    """Return the number of nodes that a variable or an option asks for.

    Raises:
        RefusedError: It is no number, or another one than was tried.
    """
    if text not in [str(number) for number in range(1, MOST_NODES + 1)]:
        msg = f"{name}: {text!r}: write 1 or {MOST_NODES}"
        raise RefusedError(msg)
    return int(text)


def refuse_narrow(settings: Settings) -> None:
    """Stop where the pod range has no part for each node, or a path no room for a socket.

    Raises:
        RefusedError: The message names what would do.
    """
    if len(os.fsencode(settings.state)) > LONGEST_STATE_DIR:
        msg = (
            f"DEVCLUSTER_STATE_DIR: {settings.state} is longer than {LONGEST_STATE_DIR} bytes, "
            "and sockets lie below it; use a shorter one"
        )
        raise RefusedError(msg)
    if len(settings.node_ranges) < settings.nodes:
        msg = (
            f"DEVCLUSTER_POD_RANGE: {settings.pod_range} is too small for {settings.nodes} nodes; "
            f"use a /{NODE_PREFIX_LENGTH - 1} or larger"
        )
        raise RefusedError(msg)


def from_environment(environ: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings that the environment asks for.

    Raises:
        RefusedError: A range is not an IPv4 network or is too small, or a number is no number.
    """
    home = Path(environ.get("HOME") or "/root")
    cache_home = Path(environ.get("XDG_CACHE_HOME") or home / ".cache")
    state_home = Path(environ.get("XDG_STATE_HOME") or home / ".local" / "state")
    bin_dir = environ.get("DEVCLUSTER_BIN_DIR")
    return Settings(
        cache=Path(environ.get("DEVCLUSTER_CACHE_DIR") or cache_home / "infertune"),
        state=Path(environ.get("DEVCLUSTER_STATE_DIR") or state_home / "infertune" / "devcluster"),
        bin_dir=Path(bin_dir) if bin_dir else None,
        pod_range=_network(
            "DEVCLUSTER_POD_RANGE", environ.get("DEVCLUSTER_POD_RANGE") or "10.244.0.0/16", 24
        ),
        service_range=_network(
            "DEVCLUSTER_SERVICE_RANGE",
            environ.get("DEVCLUSTER_SERVICE_RANGE") or "10.0.0.0/24",
            24,
        ),
        node_name=environ.get("DEVCLUSTER_NODE_NAME") or "infertune-node",
        bridge=environ.get("DEVCLUSTER_BRIDGE") or "infertune0",
        cfs_period=environ.get("DEVCLUSTER_CFS_PERIOD") or "10ms",
        max_pods=_pods(environ.get("DEVCLUSTER_MAX_PODS") or str(DEFAULT_PODS_PER_NODE)),
        downloads=environ.get("DEVCLUSTER_DOWNLOADS", "1") != "0",
        nodes=number_of_nodes("DEVCLUSTER_NODES", environ.get("DEVCLUSTER_NODES") or "1"),
    )


def saved(state: Path) -> Settings | None:
    """Return the settings of the cluster in a state folder; None when there is none."""
    path = state / "settings.json"
    if not path.exists():
        return None
    record = json.loads(path.read_text())
    return Settings(
        cache=Path(record["cache"]),
        state=state,
        bin_dir=Path(record["bin_dir"]) if record["bin_dir"] else None,
        pod_range=IPv4Network(record["pod_range"]),
        service_range=IPv4Network(record["service_range"]),
        node_name=record["node_name"],
        bridge=record["bridge"],
        cfs_period=record["cfs_period"],
        # A cluster that an older version started does not say.
        max_pods=record.get("max_pods", DEFAULT_PODS_PER_NODE),
        downloads=record["downloads"],
        nodes=record.get("nodes", 1),
    )


def current() -> Settings:
    """Return the settings of the running cluster, else those of the environment."""
    wanted = from_environment()
    return saved(wanted.state) or wanted
