"""What a node is called, where its files lie and which addresses it has.

The first node is the machine itself. A further one is a network namespace of it with an
address on the first one's bridge and a bridge, a runtime and a folder of its own; below
its folder everything lies as it does for the first. Pure functions of the settings.
Trade-off: all nodes share the machine's kernel and processors, and each of them says
that it has all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv4Network
    from pathlib import Path

    from devcluster.settings import Settings

LONGEST_INTERFACE = 15


@dataclass(frozen=True, slots=True)
class Node:
    """One node of a cluster."""

    number: int
    name: str
    address: IPv4Address
    pod_range: IPv4Network
    bridge: str
    state: Path
    run_dir: Path

    @property
    def conf(self) -> Path:
        """The node's own configuration files."""
        return self.state / "conf"

    @property
    def socket(self) -> Path:
        """The socket of the node's containerd."""
        return self.run_dir / "containerd.sock"

    @property
    def namespace(self) -> str | None:
        """The node's network namespace; None for the machine's own."""
        return None if self.number == 1 else f"{self.bridge}-{self.number}"

    @property
    def plug(self) -> str:
        """The machine's end of the cable to the node's network namespace."""
        suffix = f"n{self.number}"
        return self.bridge[: LONGEST_INTERFACE - len(suffix)] + suffix

    @property
    def enter(self) -> tuple[str, ...]:
        """What stands before a command that runs in the node's network.

        Not `ip netns exec`: that mounts a fresh /sys, in which no cgroup is seen.
        """
        return ("nsenter", f"--net=/run/netns/{self.namespace}") if self.namespace else ()

    def called(self, component: str) -> str:
        """Return what one of the node's components is called among all."""
        return component if self.number == 1 else f"{component}-{self.number}"


def node(settings: Settings, number: int) -> Node:
    """Return a node by its number, which counts from 1."""
    first = number == 1
    return Node(
        number=number,
        name=settings.node_name if first else f"{settings.node_name}-{number}",
        address=settings.gateway + (number - 1),
        pod_range=settings.node_ranges[number - 1],
        bridge=settings.bridge,
        state=settings.state if first else settings.state / f"n{number}",
        run_dir=settings.run_dir if first else settings.run_dir / str(number),
    )


def nodes(settings: Settings) -> tuple[Node, ...]:
    """Return all nodes of a cluster, the machine first."""
    return tuple(node(settings, number) for number in range(1, settings.nodes + 1))
