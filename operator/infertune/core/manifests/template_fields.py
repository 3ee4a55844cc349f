"""The fields of a pod template that knobs stand in, by path, and documents made of them.

Role: from template values to paths such as ``("spec", "template", ..., "name=server", "image")``,
and from paths to the nested document that is sent. Must not know: rollouts, owners. Trade-off: one
list of paths serves what is written, what must hold before and what a human restores, so the three
cannot disagree.
"""

import copy
import itertools
import json
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from infertune.api.argument_lists import ArgumentList
from infertune.api.status import TemplateValues
from infertune.core.knobs import Place
from infertune.core.ownership import FIELD_MANAGER, managed_fields_of
from infertune.core.snapshot import RawObject

Path = tuple[str, ...]
Value = str | int | tuple[str, ...] | ArgumentList
Node: TypeAlias = Any  # a part of an object: an API server's JSON, of any kind
POD = ("spec", "template", "spec")
_KEY_REFERENCE = "configMapKeyRef"


def container_path(name: str) -> Path:
    """Return where the container stands."""
    return (*POD, "containers", f"name={name}")


def fields_of(container: str, place: Place | None, values: TemplateValues) -> dict[Path, Value]:
    """Return every field that these values stand for; an absent value has no field."""
    base = container_path(container)
    found: dict[Path, Value] = {}
    if values.image is not None:
        found[(*base, "image")] = values.image
    lists = (
        ("args", values.args, values.own_args),
        ("command", values.command, values.own_command),
    )
    for name, whole, own in lists:
        tokens = own if whole is None else whole
        if tokens is not None:
            found[(*base, name)] = tokens
    if place is not None and place.env is not None and values.batch_value is not None:
        found[batch_path(container, place.env)] = values.batch_value
    for slot, value in (values.entries or {}).items():
        found[slot_path(container, slot)] = value
    return found


def batch_path(container: str, env: str) -> Path:
    """Return where the value of an environment variable stands."""
    return (*container_path(container), "env", f"name={env}", "value")


def slot_path(container: str, slot: str) -> Path:
    """Return where an entry such as ``requests/cpu``, ``volumes/config`` or ``args`` stands."""
    kind, _, name = slot.partition("/")
    base = container_path(container)
    if not name:
        return (*base, kind)
    if kind == "env":
        return batch_path(container, name)
    if kind == "envRef":
        return (*base, "env", f"name={name}", "valueFrom", _KEY_REFERENCE, "name")
    if kind == "volumes":
        return (*POD, "volumes", f"name={name}", "configMap", "name")
    return (*base, "resources", kind, name)


def put(document: dict[str, Any], path: Path, value: object) -> None:
    """Set a field of a nested document, making what leads to it."""
    node: Any = document
    for part, following in itertools.pairwise(path):
        node = _step(node, part, [] if following.startswith("name=") else {})
    node[path[-1]] = list(value) if isinstance(value, tuple) else value


def remove(document: dict[str, Any], path: Path) -> None:
    """Take a field out, and whatever is left empty by that: a list item with its name alone too."""
    trail: list[tuple[Any, str]] = []
    node: Any = document
    for part in path:
        if node is None:
            return
        trail.append((node, part))
        node = _item(node, part)
    trail[-1][0].pop(path[-1], None)
    for parent, part in reversed(trail[:-1]):
        child = _item(parent, part)
        if child and (isinstance(child, list) or set(child) != {"name"}):
            return
        if isinstance(parent, list):
            parent[:] = [item for item in parent if item is not child]
        else:
            del parent[part]


def pod_with(
    pod: Mapping[str, Any], container: str, place: Place | None, values: TemplateValues
) -> dict[str, Any]:
    """Return a copy of a pod's spec with these values, each where it stood.

    Variables keep their order, since later ones may refer to them as ``$(NAME)``.
    """
    document: dict[str, Any] = {"spec": {"template": {"spec": copy.deepcopy(dict(pod))}}}
    if place is not None and place.env is not None and values.batch_value is None:
        remove(document, batch_path(container, place.env))
    for path, value in fields_of(container, place, values).items():
        put(document, path, value)
    changed: dict[str, Any] = document["spec"]["template"]["spec"]
    return changed


def only_variables(values: TemplateValues) -> TemplateValues:
    """Return the values without what stands outside of the environment."""
    entries = {slot: v for slot, v in (values.entries or {}).items() if slot.startswith("env/")}
    return TemplateValues(batch_value=values.batch_value, entries=entries or None)


def whole_key_references(document: dict[str, Any], container: str, live: RawObject) -> None:
    """Complete references to a ConfigMap's key: server-side apply takes such a reference whole."""
    wanted = _item(document["spec"]["template"]["spec"]["containers"], f"name={container}")
    standing = _item(live["spec"]["template"]["spec"]["containers"], f"name={container}")
    for entry in (wanted or {}).get("env", ()):
        reference = (entry.get("valueFrom") or {}).get(_KEY_REFERENCE)
        known = _item((standing or {}).get("env", []), f"name={entry['name']}") or {}
        if reference is not None:
            whole = (known.get("valueFrom") or {}).get(_KEY_REFERENCE) or {}
            entry["valueFrom"] = {_KEY_REFERENCE: {**whole, **reference}}


def in_live_order(document: dict[str, Any], container: str, live: RawObject) -> None:
    """Sort lists as the live ones are: server-side apply takes over the order of what it is sent.

    A variable may refer to an earlier one as ``$(NAME)``. What is new comes last.
    """
    pod, standing = (raw["spec"]["template"]["spec"] for raw in (document, live))
    name = f"name={container}"
    lists = [(pod, standing, "volumes")]
    lists.append((_item(pod["containers"], name), _item(standing["containers"], name) or {}, "env"))
    for wanted, found, field in lists:
        places = {item["name"]: at for at, item in enumerate(found.get(field) or ())}
        if field in wanted:
            wanted[field].sort(key=lambda item, at=places: at.get(item["name"], len(at)))


def ours(live: RawObject) -> dict[str, Any]:
    """Return the part of the pod template that we own by server-side apply, as it stands."""
    found: dict[str, Any] = {}
    for entry in managed_fields_of(live):
        if entry.get("manager") == FIELD_MANAGER and entry.get("operation") == "Apply":
            below = entry.get("fieldsV1", {}).get("f:spec", {}).get("f:template")
            if below and entry.get("subresource", "") == "":
                found = {"spec": {"template": _standing(below, live["spec"]["template"])}}
    return found


def _standing(fields: Mapping[str, Any], value: Node) -> Node:
    """Return the owned part of a value: a field without anything below is owned whole."""
    if not fields:
        return value
    if isinstance(value, Mapping):
        names = (key.removeprefix("f:") for key in fields if key.startswith("f:"))
        return {
            name: _standing(fields[f"f:{name}"], value[name]) for name in names if name in value
        }
    return list(_items(fields, value))


def _items(fields: Mapping[str, Any], value: Node) -> Iterable[dict[str, Any]]:
    for key, below in fields.items():
        names = json.loads(key.removeprefix("k:")) if key.startswith("k:") else None
        for item in value or ():
            if names is not None and all(item.get(k) == v for k, v in names.items()):
                found = names | _standing(below or {".": {}}, item)
                if "." in below or len(found) > len(names):
                    yield found


def _step(node: Node, part: str, fresh: Node) -> Node:
    if not part.startswith("name="):
        return node.setdefault(part, fresh)
    found = _item(node, part)
    if found is None:
        found = {"name": part.removeprefix("name=")}
        node.append(found)
    return found


def _item(node: Node, part: str) -> Node:
    if isinstance(node, list):
        name = part.removeprefix("name=")
        return next((item for item in node if item.get("name") == name), None)
    return node.get(part) if isinstance(node, Mapping) else None
