"""`up` refuses ranges that somebody uses, and only packets' rules of ours are removed."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Any

import pytest

from devcluster import iptables, settings
from devcluster.errors import RefusedError
from devcluster.network import nameservers, overlap

PODS = IPv4Network("10.244.0.0/16")
BRIDGE = "infertune0"


@pytest.mark.parametrize(
    "route",
    [
        {"dst": "10.244.3.0/24", "dev": "vpn0"},
        {"dst": "10.0.0.0/8", "via": "10.9.9.9", "dev": "eth0"},
        {"dst": "10.244.9.9", "dev": "eth0", "table": "local", "type": "local"},
    ],
    ids=["inside-the-range", "around-the-range", "one-address-of-the-machine"],
)
def test_a_route_over_the_range_is_named(route: dict[str, str]) -> None:
    user = overlap(PODS, [route], [], BRIDGE)
    assert user is not None
    assert user.startswith(f"the route {route['dst']}")
    assert f"dev {route['dev']}" in user


def test_default_routes_our_bridge_and_our_own_fences_are_no_overlap() -> None:
    routes: list[dict[str, Any]] = [
        {"dst": "default", "via": "192.0.2.1", "dev": "eth0"},
        {"dst": "192.0.2.0/24", "dev": "eth0"},
        {"dst": "10.244.0.0/24", "dev": BRIDGE},
        {"type": "blackhole", "dst": "10.244.0.0/16", "metric": 4244},
        {"type": "throw", "dst": "10.244.0.0/16", "table": "4244"},
    ]
    assert overlap(PODS, routes, ["192.0.2.53"], BRIDGE) is None


def test_a_resolver_in_the_range_is_named() -> None:
    servers = nameservers("# made by hand\nsearch example\nnameserver 10.244.255.53\n")
    assert overlap(PODS, [], servers, BRIDGE) == "the resolver 10.244.255.53"


def test_a_resolver_of_the_other_protocol_version_is_no_overlap() -> None:
    assert overlap(PODS, [], ["fd00::53"], BRIDGE) is None


@pytest.mark.parametrize("text", ["10.244.0.1/16", "pods", "10.244.0.0/28"])
def test_a_range_that_cannot_be_used_is_refused(text: str) -> None:
    with pytest.raises(RefusedError, match="DEVCLUSTER_POD_RANGE"):
        settings.from_environment({"HOME": "/h", "DEVCLUSTER_POD_RANGE": text})


def test_addresses_follow_from_the_ranges() -> None:
    made = settings.from_environment(
        {
            "HOME": "/h",
            "DEVCLUSTER_POD_RANGE": "172.30.0.0/16",
            "DEVCLUSTER_SERVICE_RANGE": "172.29.0.0/20",
        }
    )
    assert str(made.node_range) == "172.30.0.0/24"
    assert (str(made.gateway), str(made.api_service)) == ("172.30.0.1", "172.29.0.1")
    assert str(made.dns_service) == "172.29.0.10"


SAVED = """*filter
:FORWARD ACCEPT [0:0]
:DOCKER-USER - [0:0]
:KUBE-FORWARD - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -m comment --comment "kubernetes rules" -j KUBE-FORWARD
-A KUBE-FORWARD -j ACCEPT
COMMIT
*nat
:POSTROUTING ACCEPT [0:0]
-A POSTROUTING -s 172.17.0.0/16 -j MASQUERADE
COMMIT
"""


def test_only_our_chains_and_the_jumps_to_them_are_removed() -> None:
    assert iptables.removal(SAVED).splitlines() == [
        "*filter",
        ":KUBE-FORWARD - [0:0]",
        '-D FORWARD -m comment --comment "kubernetes rules" -j KUBE-FORWARD',
        "-X KUBE-FORWARD",
        "COMMIT",
    ]


def test_rules_of_others_alone_need_no_command() -> None:
    others = SAVED.replace("KUBE-", "OTHER-")
    assert iptables.removal(others) == ""
