"""From a candidate to the values that stand in the template for it.

Role: what every knob's place holds now, and what it would hold. Must not know: how values are sent
or who owns them. Trade-off: a place that need not change keeps its own spelling ("08", "1000m"),
so that a rollout never writes what nobody decided.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from infertune.api.argument_lists import kept
from infertune.api.knobs import Knobs, SettingKnob
from infertune.api.quantities import canonical
from infertune.api.status import TemplateValues
from infertune.core.arguments import Flag, Tokens, own_positions, set_flag
from infertune.core.config_copies import ConfigCopy, Reference, copy_of, find_reference, read_key
from infertune.core.knobs import (
    FlagSpot,
    KnobProblem,
    flag_of,
    locate_flag,
    read_argument,
    read_batch,
    read_env,
    read_resource,
    resource_entries,
    resource_slots,
    tokens_of,
)
from infertune.core.shell_strings import is_plain, set_in
from infertune.core.snapshot import RawObject
from infertune.core.space import Candidate

Sources = Mapping[str, RawObject]
_PLACEHOLDER = "-"


@dataclass(frozen=True, slots=True)
class Turned:
    """The values of all knobs' places for one candidate, and the copies that they refer to."""

    values: TemplateValues
    copies: tuple[ConfigCopy, ...] = ()


@dataclass(frozen=True, slots=True)
class Stand:
    """The pod template, its serving container and the ConfigMaps it refers to, as they are."""

    template: Mapping[str, Any]
    container: Mapping[str, Any]
    sources: Sources


def read_setting(stand: Stand, setting: SettingKnob) -> str | KnobProblem | None:
    """Return the value of a setting as it stands; None when it is not set at all."""
    if setting.env is not None:
        return read_env(stand.container, setting.env)
    if setting.argument is not None:
        found = read_argument(stand.container, flag_of(setting))
        return found if isinstance(found, KnobProblem) else _plain_for_shell(stand, setting, found)
    if setting.resource is not None:
        return read_resource(stand.container, setting)
    assert setting.config_map is not None
    reference = find_reference(stand.template, stand.container, setting.config_map)
    if isinstance(reference, KnobProblem):
        return reference
    return read_key(stand.sources.get(reference.config_map), setting.config_map)


def slots_of(stand: Stand, knobs: Knobs) -> tuple[str, ...]:
    """Return every entry that settings may write: ``env/NAME``, ``requests/cpu``, ``args``..."""
    found: list[str] = [spot.field for _, spot in _flags(stand, knobs)]
    for setting in knobs.settings:
        if setting.env is not None:
            found.append(f"env/{setting.env}")
        elif setting.resource is not None:
            found.extend(resource_slots(setting))
        elif setting.config_map is not None:
            found.extend(_entries(stand, setting))
    return tuple(dict.fromkeys(found))


def setting_values(setting: SettingKnob, today: str | None) -> tuple[str | None, ...]:
    """Return the values to search: as declared, today's first when it is none of them."""
    spelled = (canonical(v) if setting.resource is not None else v for v in setting.values)
    declared: tuple[str | None, ...] = tuple(spelled)
    return declared if today in declared else (today, *declared)


def held(stand: Stand, knobs: Knobs) -> TemplateValues:
    """Return what stands in exactly the places of all declared knobs, letter by letter."""
    container, batch = stand.container, knobs.batch_size
    entries: dict[str, str] = {}
    for setting in knobs.settings:
        entries |= _entries(stand, setting)
    text = None if batch is None or batch.env is None else read_env(container, batch.env)
    fields = {spot.field for _, spot in _flags(stand, knobs)}
    return TemplateValues(
        image=container.get("image"),
        batch_value=text if isinstance(text, str) else None,
        args=_list_of(container, "args") if "args" in fields else None,
        command=_list_of(container, "command") if "command" in fields else None,
        entries=entries or None,
    )


def turned(stand: Stand, knobs: Knobs, candidate: Candidate, salt: str) -> Turned:
    """Return the values of a candidate; ``salt`` names the owner of the copies it needs."""
    values = held(stand, knobs)
    settings = dict(candidate.settings)
    changed = {
        setting.name: settings[setting.name]
        for setting in knobs.settings
        if setting.name in settings and settings[setting.name] != read_setting(stand, setting)
    }
    entries = dict(values.entries or {})
    for setting in knobs.settings:
        if setting.name in changed and setting.env is not None:
            entries[f"env/{setting.env}"] = changed[setting.name]
        elif setting.name in changed and setting.resource is not None:
            amounts = dict.fromkeys(resource_slots(setting), canonical(changed[setting.name]))
            entries |= amounts
    copies = _copies(stand, knobs, changed, salt)
    for slot, copy in copies.items():
        entries[slot] = copy.name
    values = values.model_copy(update={"image": candidate.image, "entries": entries or None})
    values = _with_flags(stand, knobs, values, candidate.batch_size, changed)
    unique = {copy.name: copy for copy in copies.values()}
    return Turned(values, tuple(unique[name] for name in sorted(unique)))


def changes_between(
    before: TemplateValues, after: TemplateValues
) -> tuple[TemplateValues, TemplateValues]:
    """Return both without what stays the same, the batch cap's own entry apart."""
    left: list[dict[str, Any]] = [{}, {}]
    for name in ("image", "args", "command"):
        if getattr(before, name) == getattr(after, name):
            left[0][name] = left[1][name] = None
    old, new = before.entries or {}, after.entries or {}
    moved = {slot for slot in (*old, *new) if old.get(slot) != new.get(slot)}
    for side, entries in enumerate((old, new)):
        left[side]["entries"] = {s: v for s, v in entries.items() if s in moved} or None
    return before.model_copy(update=left[0]), after.model_copy(update=left[1])


def without_others(
    stand: Stand, knobs: Knobs, before: TemplateValues, after: TemplateValues
) -> tuple[TemplateValues, TemplateValues]:
    """Return both with what may be kept of their lists: the tokens of flags that are turned.

    Of a shell string nothing is ours, so that nothing of it is kept.
    """
    left: list[dict[str, Any]] = [{}, {}]
    for field in ("args", "command"):
        lists: list[Tokens | None] = [getattr(values, field) for values in (before, after)]
        flags = [
            flag
            for flag, spot in _flags(stand, knobs)
            if spot.field == field and spot.shell_at is None and _is_turned(flag, lists)
        ]
        for side, tokens in zip(left, lists, strict=True):
            own = [at for flag in flags for at in own_positions(tokens or (), flag)]
            side |= {field: None, f"own_{field}": None if tokens is None else kept(tokens, own)}
    return before.model_copy(update=left[0]), after.model_copy(update=left[1])


def without_knobs(stand: Stand, knobs: Knobs) -> dict[str, Any]:
    """Return the pod's spec without what the knobs and the image say: what all trials share.

    Of a ConfigMap that a knob stands in, the content of its other keys takes the place of its name.
    """
    values = held(stand, knobs)
    slots = set(values.entries or {})
    if knobs.batch_size is not None and knobs.batch_size.env is not None:
        slots.add(f"env/{knobs.batch_size.env}")
    container = {name: part for name, part in stand.container.items() if name != "image"}
    for flag, spot in _flags(stand, knobs):
        blank = None if spot.shell_at is None else _PLACEHOLDER
        container[spot.field] = list(_set(tokens_of(container, spot.field), spot, flag, blank))
    names = {slot.partition("/")[2] for slot in slots if slot.startswith("env")}
    if "env" in container:
        container["env"] = [e for e in container["env"] if e.get("name") not in names]
    container["resources"] = _resources_without(container.get("resources") or {}, slots)
    return _pod_with(stand, container, slots) | {"knobs": _other_keys(stand, knobs)}


def in_shell_string(stand: Stand, knobs: Knobs, candidate: Candidate) -> tuple[str, ...]:
    """Return what a human has to change in a shell string for this candidate, one line each."""
    wanted = turned(stand, knobs, candidate, "").values
    lines: list[str] = []
    for flag, spot in _flags(stand, knobs):
        if spot.shell_at is None:
            continue
        old = read_argument(stand.container, flag)
        after = (wanted.args if spot.field == "args" else wanted.command) or ()
        new = read_argument({**stand.container, spot.field: after}, flag)
        if old != new:
            where = f"{spot.field}[{spot.shell_at}] of container {stand.container.get('name')!r}"
            lines.append(f"in {where} change {flag.name} from {old} to {new}")
    return tuple(lines)


def _resources_without(resources: Mapping[str, Any], slots: set[str]) -> dict[str, Any]:
    return {
        part: {n: q for n, q in amounts.items() if f"{part}/{n}" not in slots}
        if isinstance(amounts, Mapping)
        else amounts
        for part, amounts in resources.items()
    }


def _pod_with(stand: Stand, container: Mapping[str, Any], slots: set[str]) -> dict[str, Any]:
    """Return the pod's spec with another serving container, and volumes that a knob names."""
    pod = dict(stand.template.get("spec", {}))
    pod["containers"] = [
        container if one.get("name") == stand.container.get("name") else one
        for one in pod.get("containers", ())
    ]
    turned_volumes = {slot.partition("/")[2] for slot in slots if slot.startswith("volumes/")}
    if turned_volumes:
        pod["volumes"] = [
            {**volume, "configMap": {**volume["configMap"], "name": ""}}
            if volume.get("name") in turned_volumes
            else volume
            for volume in pod.get("volumes", ())
        ]
    return pod


def _other_keys(stand: Stand, knobs: Knobs) -> list[dict[str, str]]:
    """Return the content of the ConfigMaps that knobs stand in, without the knobs' own keys."""
    places = [s.config_map for s in knobs.settings if s.config_map is not None]
    found: dict[str, dict[str, str]] = {}
    for place in places:
        reference = find_reference(stand.template, stand.container, place)
        if isinstance(reference, Reference):
            source = stand.sources.get(reference.config_map) or {}
            data = found.setdefault(reference.config_map, dict(source.get("data") or {}))
            data.pop(place.key, None)
    return list(found.values())


def _plain_for_shell(
    stand: Stand, setting: SettingKnob, found: str | None
) -> str | KnobProblem | None:
    """Return the value; a declared one that a shell would split or expand is refused."""
    spot = locate_flag(stand.container, flag_of(setting))
    in_string = isinstance(spot, FlagSpot) and spot.shell_at is not None
    strange = next((value for value in setting.values if not is_plain(value)), None)
    if in_string and strange is not None:
        words = f"{setting.argument} stands in a shell string, and value {strange!r} is no plain"
        return KnobProblem("ShellCommand", f"{words} word there: use an env entry")
    return found


def _with_flags(
    stand: Stand,
    knobs: Knobs,
    values: TemplateValues,
    batch_size: int | None,
    changed: Mapping[str, str],
) -> TemplateValues:
    """Return the values with the batch cap and all flags set, each in its own list."""
    batch = knobs.batch_size
    wanted: dict[str, str | None] = {
        str(s.argument): changed[s.name] for s in knobs.settings if s.argument and s.name in changed
    }
    text = None if batch_size is None else str(batch_size)
    if batch is not None and read_batch(stand.container, batch) != batch_size:
        if batch.env is not None:
            values = values.model_copy(update={"batch_value": text})
        else:
            wanted[str(batch.argument)] = text
    for flag, spot in _flags(stand, knobs):
        if flag.name in wanted:
            tokens = (values.args if spot.field == "args" else values.command) or ()
            fresh = _set(tokens, spot, flag, wanted[flag.name])
            values = values.model_copy(update={spot.field: fresh})
    return values


def _set(tokens: Tokens, spot: FlagSpot, flag: Flag, value: str | None) -> Tokens:
    if spot.shell_at is None:
        return set_flag(tokens, flag, value)
    at = spot.shell_at
    text = tokens[at] if value is None else set_in(tokens[at], flag, value)
    return (*tokens[:at], text, *tokens[at + 1 :])


def _flags(stand: Stand, knobs: Knobs) -> list[tuple[Flag, FlagSpot]]:
    """Return every flag that is a knob, with the list that holds it."""
    flags = [flag_of(setting) for setting in knobs.settings if setting.argument is not None]
    if knobs.batch_size is not None and knobs.batch_size.argument is not None:
        flags.append(Flag(knobs.batch_size.argument))
    spots = [(flag, locate_flag(stand.container, flag)) for flag in flags]
    return [(flag, spot) for flag, spot in spots if isinstance(spot, FlagSpot)]


def _entries(stand: Stand, setting: SettingKnob) -> dict[str, str]:
    if setting.env is not None:
        text = read_env(stand.container, setting.env)
        return {f"env/{setting.env}": text} if isinstance(text, str) else {}
    if setting.resource is not None:
        return resource_entries(stand.container, setting)
    if setting.config_map is not None:
        reference = find_reference(stand.template, stand.container, setting.config_map)
        return {reference.slot: reference.config_map} if isinstance(reference, Reference) else {}
    return {}


def _copies(
    stand: Stand, knobs: Knobs, changed: Mapping[str, str], salt: str
) -> dict[str, ConfigCopy]:
    """Return the copy that each slot has to refer to: one for all changed keys of a ConfigMap."""
    slots: dict[str, list[str]] = {}
    values: dict[str, dict[str, str]] = {}
    for setting in knobs.settings:
        if setting.config_map is None or setting.name not in changed:
            continue
        reference = find_reference(stand.template, stand.container, setting.config_map)
        assert isinstance(reference, Reference), "a setting that was read has a reference"
        slots.setdefault(reference.config_map, []).append(reference.slot)
        values.setdefault(reference.config_map, {})[setting.config_map.key] = changed[setting.name]
    copies = {name: copy_of(stand.sources[name], values[name], salt) for name in values}
    return {slot: copies[name] for name, found in slots.items() for slot in found}


def _is_turned(flag: Flag, lists: list[Tokens | None]) -> bool:
    old, new = (
        [tokens[at] for tokens in (each or (),) for at in own_positions(tokens, flag)]
        for each in lists
    )
    return old != new


def _list_of(container: Mapping[str, Any], field: str) -> Tokens | None:
    return None if container.get(field) is None else tokens_of(container, field)
