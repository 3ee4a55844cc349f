"""ConfigMap values as knobs: find the reference in the template, make the copy it is turned to.

Role: which field of the template leads to a key, and the immutable copy of the ConfigMap with
another value. Must not know: candidates, when a copy is created or swept. Trade-off: a ConfigMap is
never edited in place, since pods that restart by themselves would pick up a value that nobody
rolled out; a copy costs an object, and makes the change one write of the template.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from infertune.api.knobs import ConfigMapPlace
from infertune.api.spec import TuningSpec
from infertune.core.knobs import KnobProblem
from infertune.core.render import canonical_json, digest
from infertune.core.snapshot import RawObject

MAX_CONTENT_LETTERS = 262_144
MAX_VALUE_LETTERS = 256
_DIGITS = 10
_LONGEST_BASE = 220
_COPY = re.compile(rf"-infertune-[0-9a-f]{{{_DIGITS}}}$")


@dataclass(frozen=True, slots=True)
class Reference:
    """A field of the template (``volumes/NAME`` or ``envRef/NAME``) and the ConfigMap it names."""

    slot: str
    config_map: str


def is_reference(slot: str) -> bool:
    """Return whether an entry of the template's values names a ConfigMap."""
    return slot.startswith(("volumes/", "envRef/"))


@dataclass(frozen=True, slots=True)
class ConfigCopy:
    """A copy of ``source`` with other values, not yet created; its name tells its content."""

    name: str
    source: str
    data: Mapping[str, str]
    binary: Mapping[str, str]


def find_reference(
    template: Mapping[str, Any], container: Mapping[str, Any], place: ConfigMapPlace
) -> Reference | KnobProblem:
    """Return the one field through which the container gets the key, or why there is none."""
    unusable = _unusable(template, container, place)
    if unusable is not None:
        return unusable
    found = [*_volumes(template, container, place), *_variables(container, place)]
    name = container.get("name")
    if not found:
        return KnobProblem(
            "ConfigMapNotReferenced",
            f"configMap {place.name!r}, key {place.key!r}: no mounted volume and no env entry of "
            f"container {name!r} refers to it: correct the name, or mount it",
        )
    if len(found) > 1:
        shown = " and ".join(reference.slot for reference in found)
        return KnobProblem(
            "ConfigMapReferencedTwice",
            f"configMap {place.name!r}, key {place.key!r} reaches container {name!r} through "
            f"{shown}: keep one",
        )
    return found[0]


def read_key(source: RawObject | None, place: ConfigMapPlace) -> str | KnobProblem:
    """Return the value of the key in the ConfigMap that the template refers to now."""
    shown = f"configMap {place.name!r}, key {place.key!r}"
    if source is None:
        return KnobProblem("ConfigMapMissing", f"{shown}: the ConfigMap does not exist")
    data: Mapping[str, str] = source.get("data") or {}
    if place.key not in data:
        held = ", ".join(sorted(data)) or "no text"
        return KnobProblem("ConfigMapKeyMissing", f"{shown}: it holds {held}")
    value = data[place.key]
    if len(value) > MAX_VALUE_LETTERS:
        words = f"{len(value)} letters, a setting has at most {MAX_VALUE_LETTERS}"
        return KnobProblem(
            "ConfigMapValueTooLong", f"{shown} holds {words}: give it a key of its own"
        )
    size = len(canonical_json([data, source.get("binaryData") or {}]))
    if size > MAX_CONTENT_LETTERS:
        words = f"{size} letters in all, a copy may have {MAX_CONTENT_LETTERS}"
        return KnobProblem(
            "ConfigMapTooLarge", f"{shown}: the ConfigMap has {words}: move the key to its own"
        )
    return value


def copy_of(source: RawObject, values: Mapping[str, str], salt: str) -> ConfigCopy:
    """Return the copy with other values; ``salt`` keeps copies of different owners apart."""
    data = dict(source.get("data") or {}) | dict(values)
    binary = dict(source.get("binaryData") or {})
    base = base_name(str(source["metadata"]["name"]))
    content = digest(canonical_json([salt, base, data, binary]))[:_DIGITS]
    name = f"{base[:_LONGEST_BASE].rstrip('-.')}-infertune-{content}"
    return ConfigCopy(name, base, data, binary)


def base_name(name: str) -> str:
    """Return the name of the user's own ConfigMap, also for a copy of it."""
    return _COPY.sub("", name)


def names_to_read(spec: TuningSpec, template: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the ConfigMaps that the template refers to now for the declared settings."""
    wanted = {s.config_map.name for s in spec.knobs.settings if s.config_map is not None}
    return tuple(sorted(name for name in references(template) if _names(name, wanted)))


def references(template: Mapping[str, Any]) -> frozenset[str]:
    """Return the name of every ConfigMap that a pod template refers to, in any container."""
    return frozenset(_referred(template.get("spec", {})))


def _names(found: str, wanted: set[str]) -> bool:
    """Whether a reference is to one of these ConfigMaps, or to a copy of one."""
    cut = {name[:_LONGEST_BASE].rstrip("-.") for name in wanted}
    return found in wanted or (bool(_COPY.search(found)) and base_name(found) in cut)


def _referred(node: object) -> Iterator[str]:
    if isinstance(node, Mapping):
        for key, value in node.items():
            if key in {"configMap", "configMapRef", "configMapKeyRef"} and value:
                yield str(value.get("name", ""))
            yield from _referred(value)
    elif isinstance(node, list | tuple):
        for item in node:
            yield from _referred(item)


def _mounted(container: Mapping[str, Any]) -> set[str]:
    return {str(mount.get("name")) for mount in container.get("volumeMounts", ())}


def _volumes(
    template: Mapping[str, Any], container: Mapping[str, Any], place: ConfigMapPlace
) -> Iterator[Reference]:
    for volume in template.get("spec", {}).get("volumes", ()):
        reference = volume.get("configMap")
        if volume.get("name") in _mounted(container) and _leads(reference, place):
            yield Reference(f"volumes/{volume['name']}", str(reference["name"]))


def _variables(container: Mapping[str, Any], place: ConfigMapPlace) -> Iterator[Reference]:
    for entry in container.get("env", ()):
        reference = (entry.get("valueFrom") or {}).get("configMapKeyRef")
        if reference and reference.get("key") == place.key and _leads(reference, place):
            yield Reference(f"envRef/{entry['name']}", str(reference["name"]))


def _leads(reference: Mapping[str, Any] | None, place: ConfigMapPlace) -> bool:
    if not reference or not _names(str(reference.get("name", "")), {place.name}):
        return False
    items = reference.get("items")
    return not items or any(item.get("key") == place.key for item in items)


def _unusable(
    template: Mapping[str, Any], container: Mapping[str, Any], place: ConfigMapPlace
) -> KnobProblem | None:
    """Return why a reference cannot be turned: it stands in a list that its owner owns whole."""
    shown = f"configMap {place.name!r}"
    for source in container.get("envFrom", ()):
        if _leads(source.get("configMapRef"), place):
            return KnobProblem(
                "ConfigMapInEnvFrom",
                f"{shown} comes through envFrom of container {container.get('name')!r}, a list "
                f"that its owner replaces whole: name env {place.key!r} in the setting instead, "
                "an env entry stands above envFrom",
            )
    for volume in template.get("spec", {}).get("volumes", ()):
        sources = (volume.get("projected") or {}).get("sources", ())
        if volume.get("name") in _mounted(container) and any(
            _leads(source.get("configMap"), place) for source in sources
        ):
            return KnobProblem(
                "ConfigMapProjected",
                f"{shown} is projected into volume {volume['name']!r}, a list that its owner "
                "replaces whole: mount it as a volume of its own",
            )
    return None
