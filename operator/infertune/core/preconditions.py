"""May this write happen? Compare a live object with what the writer expects of its fields.

Role: the precondition of every write to a target or an autoscaler. Must not know: how an object is
read or sent. Trade-off: a field may hold the old or the new value and the write goes on, so that a
write that was cut short between two objects or two fields finishes when it is tried again; any
third value is somebody else's and stops it, and so does an owner who was not there before.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from infertune.core.argument_lists import FieldValue, may_become, shown, stands_for
from infertune.core.ownership import field_path, foreign_owners, managed_fields_of, owners_of
from infertune.core.plan import FieldExpectation
from infertune.core.snapshot import RawObject

_CONTAINER_LISTS = frozenset({"containers", "initContainers"})
_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Holds:
    """Every field holds its old or its new value: write."""


@dataclass(frozen=True, slots=True)
class AlreadyDone:
    """Every field holds its new value: there is nothing to write."""


@dataclass(frozen=True, slots=True)
class Violated:
    """A field holds a third value, or cannot be addressed. ``value`` is what stands there."""

    path: str
    value: str
    owners: tuple[str, ...] = ()


Precondition: TypeAlias = Holds | AlreadyDone | Violated


@dataclass(frozen=True, slots=True)
class Unreadable:
    """The path does not lead to one plain value: a container is missing, a name stands twice."""

    why: str


def check(live: RawObject, expectations: Sequence[FieldExpectation]) -> Precondition:
    """Return whether the live object allows the write. No expectation at all is ``Holds``."""
    all_new = bool(expectations)
    for expectation in expectations:
        found = read_field(live, expectation.path)
        if isinstance(found, Unreadable):
            return Violated(dotted(expectation.path), found.why, _owners(live, expectation.path))
        is_new = stands_for(expectation.new, found)
        known = is_new or may_become(found, expectation.old, expectation.new)
        if not known or isinstance(found, bool):
            return Violated(
                dotted(expectation.path), _shown(found), _owners(live, expectation.path)
            )
        if not is_new and expectation.owners is not None:
            strangers = _strangers(live, expectation)
            if strangers:
                return Violated(dotted(expectation.path), _shown(found), strangers)
        all_new = all_new and is_new
    return AlreadyDone() if all_new else Holds()


def dotted(path: Iterable[str]) -> str:
    """Return a path as people write it: ``spec.containers[name=server].image``."""
    text = ""
    for part in path:
        text += f"[{part}]" if "=" in part else f".{part}" if text else part
    return text


def read_field(live: RawObject, path: Sequence[str]) -> FieldValue | Unreadable:
    """Return the plain value or the list of texts at a path; None when it is absent."""
    node: object = live
    parent = ""
    for part in path:
        if node is None:
            return None
        if part.startswith("name="):
            node = _named(node, part.removeprefix("name="), parent)
        elif isinstance(node, Mapping):
            if part == "value" and "valueFrom" in node:
                return Unreadable("valueFrom: the value comes from elsewhere")
            # The API server leaves out a variable's empty value.
            node = node.get(part, "" if part == "value" else None)
        else:
            return Unreadable(f"{parent} is not an object")
        if isinstance(node, Unreadable):
            return node
        parent = part
    return _plain(node)


def _named(node: object, name: str, parent: str) -> object:
    if not isinstance(node, Sequence) or isinstance(node, str):
        return Unreadable(f"{parent} is not a list")
    items = [item for item in node if isinstance(item, Mapping) and item.get("name") == name]
    if len(items) > 1:
        return Unreadable(f"{name!r} stands {len(items)} times in {parent}")
    if not items and parent in _CONTAINER_LISTS:
        return Unreadable(f"no container {name!r}")
    return items[0] if items else None


def _plain(node: object) -> FieldValue | Unreadable:
    if node is None or isinstance(node, str | int):
        return node
    if isinstance(node, Sequence) and all(isinstance(item, str) for item in node):
        return tuple(node)
    return Unreadable("not a plain value")


def _shown(found: FieldValue) -> str:
    return shown(found)[:_SHOWN]


def _owners(live: RawObject, path: Sequence[str]) -> tuple[str, ...]:
    return owners_of(managed_fields_of(live), field_path(path))


def _strangers(live: RawObject, expectation: FieldExpectation) -> tuple[str, ...]:
    """Return the owners of a field from whom it may not be taken."""
    allowed = expectation.owners or ()
    return tuple(o for o in foreign_owners(live, expectation.path) if o not in allowed)
