"""A node that is lost, for tests: its kubelet dies, and comes back.

What a broken node looks like to the cluster: no heartbeat, nothing that starts or ends
containers, while those that run go on. The Node object turns NotReady after 40 seconds,
or goes at once when somebody deletes it; a kubelet that comes back makes it again.
Trade-off: only the kubelet is lost, because a broken node's containers often live on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from devcluster import components, processes
from devcluster.binaries import ensure_binaries
from devcluster.node import node

if TYPE_CHECKING:
    from devcluster.settings import Settings


def kill_kubelet(settings: Settings, number: int) -> None:
    """Kill the kubelet of a node without a warning; nothing happens where it is dead."""
    name = node(settings, number).called("kubelet")
    found = processes.find(settings.state / "pids", name)
    if found:
        processes.kill(found)


def revive_kubelet(settings: Settings, number: int) -> None:
    """Start the kubelet of a node again and wait until the node is Ready.

    Raises:
        DevclusterError: It ended, or the node was not Ready in time.
    """
    lost = node(settings, number)
    programs = ensure_binaries(settings)
    components.start_missing(settings, [components.kubelet(settings, programs, lost)])
