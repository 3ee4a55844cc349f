"""How long a pod of ours stays bound to a node that nobody hears of any more.

Role: the tolerations that end it. Must not know: what the pod does. Trade-off: half a minute after
the cluster has given the node up, where others get five: nothing that is measured there can be
read, and a search waits for it; a template that says itself how long it stays keeps its word.
"""

from collections.abc import Mapping, Sequence
from typing import Any

PATIENCE_SECONDS = 30
_TAINTS = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")


def leaving_lost_nodes(found: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return these tolerations with ours for the taints of a lost node that they do not speak of.

    >>> [one["key"] for one in leaving_lost_nodes([{"key": "gpu", "operator": "Exists"}])]
    ['gpu', 'node.kubernetes.io/not-ready', 'node.kubernetes.io/unreachable']
    """
    return [*found, *(_ours(key) for key in _TAINTS if not any(_says(one, key) for one in found))]


def _says(toleration: Mapping[str, Any], key: str) -> bool:
    """Return whether a toleration covers the taint; without a key or effect it covers all."""
    return toleration.get("key") in {None, "", key} and toleration.get("effect") in {
        None,
        "",
        "NoExecute",
    }


def _ours(key: str) -> dict[str, Any]:
    return {
        "key": key,
        "operator": "Exists",
        "effect": "NoExecute",
        "tolerationSeconds": PATIENCE_SECONDS,
    }
