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


def _holds(fields: Mapping[str, Any], path: Sequence[str]) -> bool:
    node: Mapping[str, Any] = fields
    for part in path:
        if part not in node:
            return False
        node = node[part]
    return True
