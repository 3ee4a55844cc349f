"""Who owns a field, as server-side apply records it.

Role: read ``metadata.managedFields``. Must not know: what follows from it. Trade-off: only exact
paths are looked up; a manager that owns a whole atomic parent shows up under that parent.
"""

from collections.abc import Mapping, Sequence
from typing import Any

FIELD_MANAGER = "infertune"


def owners_of(managed_fields: Sequence[Mapping[str, Any]], path: Sequence[str]) -> tuple[str, ...]:
    """Return the managers that own the field at ``path``, e.g. ``("f:spec", "f:minReplicas")``."""
    return tuple(
        str(entry.get("manager", "unknown"))
        for entry in managed_fields
        if entry.get("subresource", "") == "" and _holds(entry.get("fieldsV1", {}), path)
    )


def is_ours(managed_fields: Sequence[Mapping[str, Any]], path: Sequence[str]) -> bool:
    """Return whether we own the field at ``path``, alone or with others."""
    return FIELD_MANAGER in owners_of(managed_fields, path)


def fields_below(
    managed_fields: Sequence[Mapping[str, Any]], path: Sequence[str]
) -> frozenset[str]:
    """Return the keys right below ``path`` that we own."""
    ours = [entry for entry in managed_fields if entry.get("manager") == FIELD_MANAGER]
    return frozenset(
        key
        for entry in ours
        if entry.get("subresource", "") == ""
        for key in _node(entry.get("fieldsV1", {}), path) or ()
    )


def _holds(fields: Mapping[str, Any], path: Sequence[str]) -> bool:
    return _node(fields, path) is not None


def _node(fields: Mapping[str, Any], path: Sequence[str]) -> Mapping[str, Any] | None:
    node: Mapping[str, Any] = fields
    for part in path:
        if part not in node:
            return None
        node = node[part]
    return node
