"""The configuration files of the components, rendered from the settings.

Everything that reads YAML gets JSON, which is YAML too: no template, no quoting
mistakes, no dependency. The values that are not obvious say why. Pure functions
return text; `write_all` is the only one that touches files.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from devcluster import packages
from devcluster.node import Node, nodes
from devcluster.settings import DNS_PORT, Settings

if TYPE_CHECKING:
    from collections.abc import Iterable

PAUSE_IMAGE = "localhost/infertune-pause:1"
FIRST_POD_OFFSET = 16  # the addresses below are the gateway's and further nodes'
CLIENTS = ("admin", "controller-manager", "scheduler", "proxy", "dns")


def kubeconfig(settings: Settings, user: str) -> str:
    """Return a kubeconfig that carries its certificates in itself."""

    def embedded(name: str) -> str:
        return base64.b64encode((settings.pki / name).read_bytes()).decode()

    cluster = {
        "server": settings.api_url,
        "certificate-authority-data": embedded("ca.crt"),
    }
    keys = {
        "client-certificate-data": embedded(f"{user}.crt"),
        "client-key-data": embedded(f"{user}.key"),
    }
    name = "devcluster"
    return _json(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": cluster}],
            "users": [{"name": user, "user": keys}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": user}}],
            "current-context": name,
        }
    )


def kubelet(settings: Settings, node: Node) -> str:
    """Return the configuration of a node's kubelet."""
    return _json(
        {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": str(node.address),
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": {"clientCAFile": str(settings.pki / "ca.crt")},
            },
            "authorization": {"mode": "Webhook"},
            "clusterDNS": [str(settings.dns_service)],
            "clusterDomain": "cluster.local",
            "resolvConf": str(settings.conf / "resolv.conf"),
            "containerRuntimeEndpoint": f"unix://{node.socket}",
            "cgroupDriver": "cgroupfs",
            # One flat level of cgroups: works on cgroup v1, v2 and inside a machine that
            # delegates only some controllers. Limits of containers hold all the same.
            "cgroupsPerQOS": False,
            "enforceNodeAllocatable": [],
            "failCgroupV1": False,
            "failSwapOn": False,
            "localStorageCapacityIsolation": False,
            # A short quota period spreads a small CPU limit evenly over time; with the usual
            # 100 ms the throttling shows as steps in P95.
            "featureGates": {"CustomCPUCFSQuotaPeriod": True},
            "cpuCFSQuotaPeriod": settings.cfs_period,
            "maxPods": settings.max_pods,
            "imageGCHighThresholdPercent": 100,
            "imageGCLowThresholdPercent": 99,
            "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%"},
            "podLogsDir": str(node.state / "pod-logs"),
            "volumePluginDir": str(node.state / "volume-plugins"),
            "shutdownGracePeriod": "0s",
            "registerNode": True,
        }
    )


def cni(node: Node) -> str:
    """Return a node's pod network: a bridge, addresses of the node's range, host ports."""
    ipam = {
        "type": "host-local",
        "dataDir": str(node.state / "cni-addresses"),
        "ranges": [
            [
                {
                    "subnet": str(node.pod_range),
                    "rangeStart": str(node.pod_range[FIRST_POD_OFFSET]),
                    "gateway": str(node.pod_range[1]),
                }
            ]
        ],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    # No masquerading: a pod's packet that wants out must be recognisable, to be refused.
    bridge = {
        "type": "bridge",
        "bridge": node.bridge,
        "isGateway": True,
        "ipMasq": False,
        "hairpinMode": True,
        "ipam": ipam,
    }
    portmap = {"type": "portmap", "capabilities": {"portMappings": True}}
    name = node.called("devcluster")
    return _json({"cniVersion": "1.0.0", "name": name, "plugins": [bridge, portmap]})


def containerd(settings: Settings, node: Node) -> str:
    """Return the configuration of a node's containerd."""
    return f"""version = 2
root = "{node.state}/containerd"
state = "{node.run_dir}/containerd"
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",
]

[grpc]
address = "{node.socket}"

[plugins."io.containerd.internal.v1.opt"]
path = "{node.state}/containerd-opt"

{_cri(settings, node)}"""


def _cri(settings: Settings, node: Node) -> str:
    """Return the part of containerd's configuration that the kubelet's interface reads."""
    cri = 'plugins."io.containerd.grpc.v1.cri"'
    return f"""[{cri}]
# Lowering a score needs CAP_SYS_RESOURCE; without this line every sandbox fails where
# that capability is missing.
restrict_oom_score_adj = true
sandbox_image = "{PAUSE_IMAGE}"
netns_mounts_under_state_dir = true
disable_tcp_service = true
stream_server_address = "127.0.0.1"
stream_server_port = "0"

[{cri}.cni]
bin_dir = "{settings.root}/usr/lib/cni"
conf_dir = "{node.conf}/cni"

[{cri}.containerd]
snapshotter = "overlayfs"
default_runtime_name = "runc"

[{cri}.containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[{cri}.containerd.runtimes.runc.options]
SystemdCgroup = false
BinaryName = "{packages.tool(settings, "runc")}"
"""


def corefile(settings: Settings) -> str:
    """Return CoreDNS's configuration: cluster names are answered, all others do not exist.

    Nothing is forwarded: a pod's look-up of an outside name never leaves the machine.
    """
    return f"""cluster.local:{DNS_PORT} in-addr.arpa:{DNS_PORT} {{
    bind {settings.gateway}
    errors
    health {settings.gateway}:10054
    ready {settings.gateway}:10055
    cache 5
    kubernetes cluster.local in-addr.arpa {{
        kubeconfig {settings.conf}/dns.kubeconfig devcluster
        pods disabled
        ttl 5
    }}
}}
.:{DNS_PORT} {{
    bind {settings.gateway}
    errors
    template ANY ANY {{
        rcode NXDOMAIN
    }}
}}
"""


def write_all(settings: Settings) -> None:
    """Write every file; needs the certificates and the unpacked packages."""
    for node in nodes(settings):
        (node.conf / "cni").mkdir(parents=True, exist_ok=True)
        (node.conf / "kubelet.yaml").write_text(kubelet(settings, node))
        (node.conf / "containerd.toml").write_text(containerd(settings, node))
        (node.conf / "cni" / "10-devcluster.conflist").write_text(cni(node))
    (settings.conf / "Corefile").write_text(corefile(settings))
    (settings.conf / "resolv.conf").write_text("")
    kubelets = [node.called("kubelet") for node in nodes(settings)]
    write_kubeconfigs(settings, (*CLIENTS, *kubelets))


def write_kubeconfigs(settings: Settings, users: Iterable[str]) -> None:
    """Write the components' kubeconfigs and the administrator's; needs the certificates."""
    settings.conf.mkdir(parents=True, exist_ok=True)
    for user in users:
        path = settings.conf / f"{user}.kubeconfig"
        path.touch(mode=0o600)
        path.write_text(kubeconfig(settings, user))
    settings.kubeconfig.touch(mode=0o600)
    settings.kubeconfig.write_text(kubeconfig(settings, "admin"))


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, indent=2) + "\n"
