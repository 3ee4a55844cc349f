"""Who owns a field, as server-side apply records it.

Role: read ``metadata.managedFields``, and say what is left of it when we give something up. Must
not know: what follows from it. Trade-off: only exact paths are looked up; a manager that owns a
whole atomic parent shows up under that parent.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

FIELD_MANAGER = "infertune"
_ITSELF = "."
_NAME = "f:name"


def field_path(path: Iterable[str]) -> tuple[str, ...]:
    """Return the path of an object's field in the form of ``managedFields``.

    >>> field_path(("spec", "containers", "name=server", "image"))
    ('f:spec', 'f:containers', 'k:{"name":"server"}', 'f:image')
    """
    return tuple(
        f'k:{{"name":"{part.removeprefix("name=")}"}}' if part.startswith("name=") else f"f:{part}"
        for part in path
    )


def owners_of(managed_fields: Sequence[Mapping[str, Any]], path: Sequence[str]) -> tuple[str, ...]:
    """Return the managers that own the field at ``path``, e.g. ``("f:spec", "f:minReplicas")``."""
    return tuple(
        str(entry.get("manager", "unknown"))
        for entry in managed_fields
        if entry.get("subresource", "") == "" and _holds(entry.get("fieldsV1", {}), path)
    )


def foreign_owners(raw: Mapping[str, Any], path: Iterable[str]) -> tuple[str, ...]:
    """Return who else owns the field of an object at a path such as ``("spec", "minReplicas")``."""
    owners = owners_of(managed_fields_of(raw), field_path(path))
    return tuple(sorted({owner for owner in owners if owner != FIELD_MANAGER}))


def is_ours(managed_fields: Sequence[Mapping[str, Any]], path: Sequence[str]) -> bool:
    """Return whether we own the field at ``path``, alone or with others."""
    return FIELD_MANAGER in owners_of(managed_fields, path)


def managed_fields_of(raw: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Return ``metadata.managedFields`` of an object; empty when it has none."""
    return raw.get("metadata", {}).get("managedFields") or ()


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


def keeping(
    managed_fields: Sequence[Mapping[str, Any]], keep: Iterable[Sequence[str]]
) -> list[Mapping[str, Any]]:
    """Return ``managedFields`` in which nothing is ours but the fields below ``keep``.

    A path of ``keep`` that we do not own is nothing to keep; an entry without a field goes.
    """
    wanted = [tuple(path) for path in keep]
    left: list[Mapping[str, Any]] = []
    for entry in managed_fields:
        if entry.get("manager") != FIELD_MANAGER or entry.get("subresource", "") != "":
            left.append(entry)
            continue
        fields = _pruned(entry.get("fieldsV1", {}), wanted)
        if fields == entry.get("fieldsV1", {}):
            left.append(entry)
        elif fields:
            left.append({**entry, "fieldsV1": fields})
    return left


def _pruned(fields: Mapping[str, Any], keep: Sequence[tuple[str, ...]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, below in fields.items():
        rest = [path[1:] for path in keep if path and path[0] == key]
        if () in rest:
            found[key] = below
        elif rest:
            kept = _pruned(below, rest)
            if kept:
                found[key] = kept
    if found:
        # An item of a list and its name belong together with what is in it.
        found |= {key: fields[key] for key in (_ITSELF, _NAME) if key in fields}
    return found


def _holds(fields: Mapping[str, Any], path: Sequence[str]) -> bool:
    return _node(fields, path) is not None


def _node(fields: Mapping[str, Any], path: Sequence[str]) -> Mapping[str, Any] | None:
    node: Mapping[str, Any] = fields
    for part in path:
        if part not in node:
            # Whoever owns a field without anything below owns all of it.
            return None if node or node is fields else node
        node = node[part]
    return node
