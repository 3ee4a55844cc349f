"""Server-side apply and field ownership, for the fields that a test may touch.

Role: leaves of an object, who owns them, conflicts as the API server reports them. Trade-off: a
list whose items all have a ``name`` is a map list, any other list is atomic; that is what the API
says of containers, env, args and command.
"""

import functools
import itertools
import json
from collections.abc import Iterator, Mapping
from typing import Any

from infertune.ports import FieldTaken
from tests.fakes.copies import copied

Path = tuple[str, ...]
_IDENTITY = frozenset({"apiVersion", "kind", "metadata", "status"})


def leaves(raw: Mapping[str, Any]) -> dict[Path, Any]:
    """Return every owned field of an object: its spec and data, annotations and labels."""
    found: dict[Path, Any] = {}
    for key, value in raw.items():
        if key not in _IDENTITY:
            found |= dict(_walk((f"f:{key}",), value))
    for key in ("annotations", "labels"):
        for name, value in (raw.get("metadata", {}).get(key) or {}).items():
            found[("f:metadata", f"f:{key}", f"f:{name}")] = value
    return found


def _walk(path: Path, value: Any) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _walk((*path, f"f:{key}"), item)
    elif _is_map_list(value):
        for item in value:
            key = "k:" + json.dumps({"name": item["name"]}, separators=(",", ":"))
            for name, part in item.items():
                if name != "name":
                    yield from _walk((*path, key, f"f:{name}"), part)
    else:
        yield path, value


def _is_map_list(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(item, Mapping) and "name" in item for item in value)
    )


class Ownership:
    """Who owns which leaf of one object."""

    def __init__(self) -> None:
        self.fields: dict[str, set[Path]] = {}
        self.applied: set[str] = set()

    def take(self, manager: str, paths: set[Path]) -> None:
        """Give leaves to one manager alone, as an update does for every field it changes."""
        for owned in self.fields.values():
            owned.difference_update(paths)
        self.fields.setdefault(manager, set()).update(paths)

    def managed_fields(self) -> list[dict[str, Any]]:
        """Return ``metadata.managedFields``."""
        return [
            {
                "manager": manager,
                "operation": "Apply" if manager in self.applied else "Update",
                "fieldsType": "FieldsV1",
                "fieldsV1": _tree(frozenset(paths)),
            }
            for manager, paths in sorted(self.fields.items())
            if paths
        ]

    def keep_only(self, managed_fields: list[Mapping[str, Any]]) -> None:
        """Own what a patched ``metadata.managedFields`` says, and nothing else."""
        self.fields = {
            str(entry["manager"]): set(_tips((), entry["fieldsV1"]))
            for entry in managed_fields
            if entry
        }

    def apply(
        self, live: dict[str, Any], document: Mapping[str, Any], manager: str, *, force: bool
    ) -> dict[str, Any]:
        """Return the object after a server-side apply; FieldTaken on a conflict without force."""
        wanted, present = leaves(document), leaves(live)
        for path, value in sorted(wanted.items(), key=lambda pair: pair[0]):
            owners = [m for m, owned in self.fields.items() if m != manager and path in owned]
            if owners and present.get(path) != value and not force:
                field = dotted(path)
                message = f'Apply failed with 1 conflict: conflict with "{owners[0]}": .{field}'
                raise FieldTaken(field, owners[0], message)
        changed = copied(live)
        mine = self.fields.setdefault(manager, set())
        for path in mine - set(wanted):
            if not any(m != manager and path in owned for m, owned in self.fields.items()):
                _remove(changed, path)
        for path, value in wanted.items():
            if present.get(path) != value:
                for other, owned in self.fields.items():
                    if other != manager:
                        owned.discard(path)
            _put(changed, path, value)
        self.fields[manager] = set(wanted)
        self.applied.add(manager)
        return changed


def _tips(path: Path, tree: Mapping[str, Any]) -> Iterator[Path]:
    for key, below in tree.items():
        if below:
            yield from _tips((*path, key), below)
        else:
            yield (*path, key)


def dotted(path: Path) -> str:
    """Return a leaf as the API server writes it in a conflict."""
    text = ""
    for part in path:
        if part.startswith("k:"):
            name = json.loads(part[2:])["name"]
            text += f'[name="{name}"]'
        else:
            text += ("." if text else "") + part.removeprefix("f:")
    return text


@functools.lru_cache(maxsize=1024)
def _tree(paths: frozenset[Path]) -> dict[str, Any]:
    """Return ``fieldsV1``; nobody changes it, so every read of an object may share it."""
    root: dict[str, Any] = {}
    for path in sorted(paths):
        node = root
        for part in path:
            node = node.setdefault(part, {})
    return root


def _put(raw: dict[str, Any], path: Path, value: Any) -> None:
    node: Any = raw
    for part, following in itertools.pairwise(path):
        node = _step(node, part, make=[] if following.startswith("k:") else {})
    node[path[-1].removeprefix("f:")] = copied(value)


def _step(node: Any, part: str, *, make: Any) -> Any:
    if part.startswith("k:"):
        name = json.loads(part[2:])["name"]
        for item in node:
            if item["name"] == name:
                return item
        node.append({"name": name})
        return node[-1]
    return node.setdefault(part.removeprefix("f:"), make)


def _remove(raw: dict[str, Any], path: Path) -> None:
    node: Any = raw
    trail: list[tuple[Any, Any]] = []
    for part in path[:-1]:
        following = _find(node, part)
        if following is None:
            return
        trail.append((node, following))
        node = following
    node.pop(path[-1].removeprefix("f:"), None)
    for parent, child in reversed(trail):
        if isinstance(parent, list) and set(child) == {"name"}:
            parent.remove(child)
        else:
            break


def _find(node: Any, part: str) -> Any:
    if part.startswith("k:"):
        name = json.loads(part[2:])["name"]
        return next((item for item in node if item["name"] == name), None)
    return node.get(part.removeprefix("f:"))
