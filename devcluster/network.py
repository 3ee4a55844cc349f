"""The bridge, the routes, and the promise that no packet of our ranges leaves.

The fences come up before anything else and go down last: blackhole routes for both
ranges catch what the bridge's routes do not, and a policy rule prohibits every way
out for packets from a pod's address. They hold without any iptables rule. `up`
refuses a range that somebody already routes or resolves through. Trade-off: pods
have no way to the outside at all, so images are built on the host's network.
"""

from __future__ import annotations

import json
from ipaddress import IPv4Network, ip_address, ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Any

from devcluster.console import run
from devcluster.errors import CommandError, RefusedError
from devcluster.node import nodes
from devcluster.settings import NODE_PREFIX_LENGTH

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from ipaddress import IPv4Address

    from devcluster.node import Node
    from devcluster.settings import Settings

FENCE = "4244"
FENCE_METRIC = "4244"
# In a network of its own a node needs what `up` sets on the machine.
SWITCHES_OF_A_NODE = """set -e
echo 1 > /proc/sys/net/ipv4/ip_forward
filter=/proc/sys/net/bridge/bridge-nf-call-iptables
[ ! -e $filter ] || echo 1 > $filter
"""


def _routes() -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = json.loads(
        run(["ip", "-4", "-j", "-details", "route", "show", "table", "all"]) or "[]"
    )
    return listed


def nameservers(text: str) -> list[str]:
    """Return the addresses that a resolv.conf names."""
    words = [line.split() for line in text.splitlines()]
    return [line[1] for line in words if len(line) > 1 and line[0] == "nameserver"]


def overlap(
    wanted: IPv4Network, routes: Iterable[dict[str, Any]], resolvers: Sequence[str], bridge: str
) -> str | None:
    """Return who already uses addresses of a range, in words; None when nobody does.

    Default routes are no overlap. Neither are routes over our own bridge, nor the fences
    that an interrupted run left (recognised by their table or metric).
    """
    for route in routes:
        target = str(route.get("dst", "default"))
        if target == "default" or route.get("dev") == bridge:
            continue
        if FENCE in (str(route.get("table")), str(route.get("metric"))):
            continue
        network = ip_network(target, strict=False)
        if isinstance(network, IPv4Network) and network.prefixlen and network.overlaps(wanted):
            way = " ".join(f"{key} {route[key]}" for key in ("via", "dev") if key in route)
            return f"the route {target} {way}".rstrip()
    for address in resolvers:
        if ip_address(address) in wanted:
            return f"the resolver {address}"
    return None


def refuse_overlap(settings: Settings) -> None:
    """Stop before any change when one of the ranges is in use.

    Raises:
        RefusedError: The message names the range and the route or resolver.
    """
    resolvers = nameservers(Path("/etc/resolv.conf").read_text())
    ranges = {
        "DEVCLUSTER_POD_RANGE": settings.pod_range,
        "DEVCLUSTER_SERVICE_RANGE": settings.service_range,
    }
    routes = _routes()
    for variable, wanted in ranges.items():
        user = overlap(wanted, routes, resolvers, settings.bridge)
        if user:
            msg = f"{wanted} overlaps {user}; set {variable} to a range that is free"
            raise RefusedError(msg)
    if settings.pod_range.overlaps(settings.service_range):
        raise RefusedError("the pod range and the service range overlap; set one of them apart")


def _rules() -> str:
    return run(["ip", "-4", "rule", "show"])


def raise_fences(settings: Settings) -> None:
    """Make sure that no packet to or from our ranges can leave the machine."""
    pods, services = str(settings.pod_range), str(settings.service_range)
    for wanted in (pods, services):
        run(["ip", "route", "replace", "throw", wanted, "table", FENCE])
        run(["ip", "route", "replace", "blackhole", wanted, "metric", FENCE_METRIC])
    run(["ip", "route", "replace", "prohibit", "default", "table", FENCE])
    if f"from {pods} lookup {FENCE}" not in _rules():
        run(["ip", "rule", "add", "pref", FENCE, "from", pods, "lookup", FENCE])


def lower_fences(settings: Settings) -> None:
    """Remove the fences; the last thing that `down` does to the network."""
    pods, services = str(settings.pod_range), str(settings.service_range)
    if f"from {pods} lookup {FENCE}" in _rules():
        run(["ip", "rule", "del", "pref", FENCE])
    ours = [one for one in _routes() if str(one.get("table")) == FENCE]
    if ours:
        run(["ip", "route", "flush", "table", FENCE])
    for wanted in (pods, services):
        if any(r.get("dst") == wanted and r.get("type") == "blackhole" for r in _routes()):
            run(["ip", "route", "del", "blackhole", wanted, "metric", FENCE_METRIC])


def bridge_exists(settings: Settings) -> bool:
    """Whether our bridge is there."""
    return Path("/sys/class/net", settings.bridge).exists()


def ensure_bridge(settings: Settings) -> None:
    """Have the bridge with its address, and the service range routed to it."""
    bridge = settings.bridge
    if not bridge_exists(settings):
        run(["ip", "link", "add", bridge, "type", "bridge"])
    address = f"{settings.gateway}/{settings.node_range.prefixlen}"
    run(["ip", "address", "replace", address, "dev", bridge])
    run(["ip", "link", "set", bridge, "up"])
    # A packet to a Service's address that no rule rewrites dies here, not at the default route.
    run(["ip", "route", "replace", str(settings.service_range), "dev", bridge])


def fences_stand(settings: Settings) -> bool:
    """Whether the policy rule and both blackhole routes are in place."""
    caught = {str(one.get("dst")) for one in _routes() if one.get("type") == "blackhole"}
    ranges = {str(settings.pod_range), str(settings.service_range)}
    return ranges <= caught and f"from {settings.pod_range} lookup {FENCE}" in _rules()


def namespace_exists(node: Node) -> bool:
    """Whether a node's network is there; the machine's own always is."""
    return node.namespace is None or Path("/run/netns", node.namespace).exists()


def ensure_namespace(node: Node, gateway: IPv4Address) -> None:
    """Have a further node's network: a namespace with a cable into the bridge, routed both ways.

    What its pods send goes to the machine, and there the fences decide.
    """
    if node.namespace is None:
        return
    if not namespace_exists(node):
        run(["ip", "netns", "add", node.namespace])
    if not Path("/sys/class/net", node.plug).exists():
        peer = ["peer", "name", "eth0", "netns", node.namespace]
        run(["ip", "link", "add", node.plug, "type", "veth", *peer])
    run(["ip", "link", "set", node.plug, "master", node.bridge, "up"])
    inside = ["ip", "-n", node.namespace]
    run([*inside, "link", "set", "lo", "up"])
    run([*inside, "address", "replace", f"{node.address}/{NODE_PREFIX_LENGTH}", "dev", "eth0"])
    run([*inside, "link", "set", "eth0", "up"])
    run([*inside, "route", "replace", "default", "via", str(gateway)])
    run([*node.enter, "sh", "-c", SWITCHES_OF_A_NODE])
    way = ["via", str(node.address), "dev", node.bridge]
    run(["ip", "route", "replace", str(node.pod_range), *way])


def remove_namespace(node: Node) -> None:
    """Remove a further node's network with its cable, rules and routes."""
    if node.namespace is None:
        return
    if Path("/sys/class/net", node.plug).exists():
        run(["ip", "link", "del", node.plug])
    if namespace_exists(node):
        run(["ip", "netns", "del", node.namespace])
    if any(one.get("dst") == str(node.pod_range) for one in _routes()):
        run(["ip", "route", "del", str(node.pod_range), "via", str(node.address)])


def check_fences(settings: Settings) -> None:
    """Ask the kernel which way packets of our ranges would take.

    Raises:
        CommandError: One of them would not end at our bridge.
    """
    pods = [one.pod_range[2] for one in nodes(settings)]
    addresses = (*pods, settings.api_service)
    for address in addresses:
        way = run(["ip", "route", "get", str(address)])
        if f"dev {settings.bridge}" not in way:
            msg = f"packets to {address} would not stay on this machine: {way}"
            raise CommandError(msg)


def remove_bridge(settings: Settings) -> None:
    """Remove the bridge and every interface that is plugged into it."""
    if not bridge_exists(settings):
        return
    plugged = json.loads(run(["ip", "-j", "link", "show", "master", settings.bridge]) or "[]")
    for interface in plugged:
        run(["ip", "link", "del", interface["ifname"]])
    run(["ip", "link", "del", settings.bridge])
