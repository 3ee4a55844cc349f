"""On which nodes a trial may run, so that its figures speak of the nodes that serve live traffic.

Role: from the nodes of live pods and their labels to a required node affinity, and back from a
trial's node to whether it was of that kind. Must not know: Jobs. Trade-off: the kind of most live
pods counts, by GPU product or instance type; only where nodes carry neither label (or may not be
read) is the trial tied to the very nodes of live pods, where room is scarce.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

GPU_PRODUCT = "nvidia.com/gpu.product"
INSTANCE_TYPE = "node.kubernetes.io/instance-type"
NodeLabels = Mapping[str, Mapping[str, str]]
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_MOST_NAMES = 32


@dataclass(frozen=True, slots=True)
class OfKind:
    """Nodes with this label value."""

    key: str
    value: str


@dataclass(frozen=True, slots=True)
class OneOf:
    """These very nodes."""

    names: tuple[str, ...]


Pin = OfKind | OneOf


def pin_of(live_nodes: Sequence[str], labels: NodeLabels, *, gpus: int) -> Pin | None:
    """Return where a trial may run; ``live_nodes`` names a node once for each live pod on it.

    None when no live pod has a node yet. A label counts only where every node has it.
    """
    names = tuple(sorted(set(live_nodes)))
    for key in (GPU_PRODUCT, INSTANCE_TYPE) if gpus else (INSTANCE_TYPE,):
        values = [labels.get(name, {}).get(key) for name in live_nodes]
        known = [value for value in values if value]
        if known and len(known) == len(values):
            counted = sorted(Counter(known).items(), key=lambda pair: (-pair[1], pair[0]))
            return OfKind(key, counted[0][0])
    return OneOf(names[:_MOST_NAMES]) if names else None


def kind_of_node(labels: Mapping[str, str], *, gpus: int) -> str | None:
    """Return what kind of node this is, as it is told in a trial's record; None: no label says."""
    for key in (GPU_PRODUCT, INSTANCE_TYPE) if gpus else (INSTANCE_TYPE,):
        if labels.get(key):
            return f"{key}={labels[key]}"
    return None


def wrong_kind(pin: Pin | None, node: str | None, labels: NodeLabels) -> str | None:
    """Return the sentence why a trial on this node says nothing about live traffic, or None."""
    if not isinstance(pin, OfKind) or node is None or node not in labels:
        return None
    found = labels[node].get(pin.key)
    if found == pin.value:
        return None
    return f"node {node} has {pin.key}={found or 'nothing'}, live pods run on {pin.value}"


def pinned(affinity: Mapping[str, Any] | None, pin: Pin | None) -> dict[str, Any]:
    """Return the affinity with the pin in every alternative of what it requires of nodes."""
    changed = dict(affinity or {})
    if pin is None:
        return changed
    nodes = dict(changed.get("nodeAffinity") or {})
    terms: Sequence[Mapping[str, Any]] = (nodes.get(_REQUIRED) or {}).get("nodeSelectorTerms") or (
        {},
    )
    # Terms are alternatives; the entries of one term must all hold.
    both = [_joined(term, ours) for term in terms for ours in _terms(pin)]
    nodes[_REQUIRED] = {"nodeSelectorTerms": both}
    return changed | {"nodeAffinity": nodes}


def _terms(pin: Pin) -> list[dict[str, Any]]:
    if isinstance(pin, OfKind):
        rule = {"key": pin.key, "operator": "In", "values": [pin.value]}
        return [{"matchExpressions": [rule]}]
    # A field may be compared with one value only: one alternative for each name.
    return [
        {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [name]}]}
        for name in pin.names
    ]


def _joined(term: Mapping[str, Any], ours: Mapping[str, Any]) -> dict[str, Any]:
    joined = dict(term)
    for key, rules in ours.items():
        joined[key] = [*(term.get(key) or ()), *rules]
    return joined
