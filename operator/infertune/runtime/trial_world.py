"""What a trial has to fit into, read as seldom as it may be.

Role: labels of nodes and access modes of claims for a snapshot. Must not know: placement, hazards.
Trade-off: labels of nodes are remembered for some seconds, because a search looks every few of
them; a trial that is placed by a label taken off just then ends without room and is repeated.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from infertune.core.copy_hazards import claims_of
from infertune.core.snapshot import JobView, TargetView
from infertune.ports import Surroundings

NODES_KEPT_SECONDS = 20.0
Labels = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Known:
    labels: Labels | None
    read_at: datetime


class TrialWorld:
    """Reads nodes and claims; safe to use from several threads."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings = surroundings
        self._nodes: dict[str, _Known] = {}
        self._lock = threading.Lock()

    def node_labels(
        self, target: TargetView | None, jobs: tuple[JobView, ...], now: datetime
    ) -> Mapping[str, Labels]:
        """Return the labels of the nodes that pods of the target and of its trials run on."""
        names = {pod.node for pod in target.pods if pod.node} if target else set()
        names |= {job.node for job in jobs if job.role == "server" and job.node}
        with self._lock:
            fresh = {
                name: known
                for name, known in self._nodes.items()
                if (now - known.read_at).total_seconds() < NODES_KEPT_SECONDS
            }
        missing = tuple(sorted(names - set(fresh)))
        read = self._surroundings.fetch_node_labels(missing) if missing else {}
        fresh |= {name: _Known(read.get(name), now) for name in missing}
        with self._lock:
            self._nodes = fresh
        found = {name: fresh[name].labels for name in names}
        return {name: labels for name, labels in found.items() if labels is not None}

    def access_modes(
        self, target: TargetView | None, namespace: str
    ) -> Mapping[str, tuple[str, ...]]:
        """Return the access modes of the claims that the target's template mounts."""
        claims = claims_of(target.raw) if target else ()
        return self._surroundings.fetch_access_modes(namespace, claims) if claims else {}
