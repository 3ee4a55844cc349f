"""Where a knob lives in a pod template: read what stands there.

Role: the only code that knows environment entries, flags of a container, resources and container
names. Must not know: what a good value is, how another one is written (``turning``). Trade-off: a
place that can be read in two ways is refused by name rather than guessed at.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from infertune.api.knobs import SettingKnob
from infertune.api.quantities import canonical
from infertune.core.arguments import Flag, FlagProblem, Tokens, read_flag, stands
from infertune.core.quantities import amount_of
from infertune.core.shell_strings import read_in, shell_string_at

MAX_ARGUMENTS = 512
MAX_ARGUMENT_LETTERS = 16_384
_BOUNDS: Mapping[str, tuple[str, ...]] = {
    "Requests": ("requests",),
    "Limits": ("limits",),
    "Both": ("requests", "limits"),
}


class Place(Protocol):
    """Where the batch cap stands: exactly one of an environment variable and a flag."""

    @property
    def env(self) -> str | None:
        """Name of the environment variable."""
        ...

    @property
    def argument(self) -> str | None:
        """Name of the flag."""
        ...


@dataclass(frozen=True, slots=True)
class KnobProblem:
    """Why a knob cannot be read or turned in this template."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class FlagSpot:
    """The list in which a flag stands, or would be put; ``shell_at`` is the shell string in it."""

    field: Literal["args", "command"]
    shell_at: int | None = None


def find_container(
    template: Mapping[str, Any], name: str | None
) -> Mapping[str, Any] | KnobProblem:
    """Return the container of that name; without a name, the only one there is."""
    containers: list[Mapping[str, Any]] = template.get("spec", {}).get("containers", [])
    names = ", ".join(str(c.get("name")) for c in containers)
    if name is None:
        if len(containers) == 1:
            return containers[0]
        return KnobProblem(
            "ContainerAmbiguous",
            f"the pod has the containers {names}: name one in spec.targetRef.container",
        )
    found = next((c for c in containers if c.get("name") == name), None)
    if found is None:
        return KnobProblem(
            "ContainerMissing", f"spec.targetRef.container: no container {name!r} among {names}"
        )
    return found


def duplicate_env(container: Mapping[str, Any]) -> KnobProblem | None:
    """Return the first variable that stands twice: whoever merges such a list loses one of them."""
    names = [str(entry.get("name")) for entry in container.get("env", ())]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is None:
        return None
    words = f"stands {names.count(twice)} times in container {container.get('name')!r}: keep one"
    return KnobProblem("KnobDuplicated", f"env {twice} {words}")


def read_batch(container: Mapping[str, Any], place: Place) -> int | KnobProblem | None:
    """Return the batch cap; None when the entry is absent (the server's default)."""
    text = (
        read_env(container, place.env)
        if place.env is not None
        else read_argument(container, Flag(place.argument or ""))
    )
    if text is None or isinstance(text, KnobProblem):
        return text
    try:
        return int(text)
    except ValueError:
        name = place.env or place.argument
        return KnobProblem("KnobUnreadable", f"{name} holds {text!r}, which is not a whole number")


def read_env(container: Mapping[str, Any], name: str) -> str | KnobProblem | None:
    """Return the plain value of a variable; None when there is no such entry."""
    entries = [entry for entry in container.get("env", ()) if entry.get("name") == name]
    if not entries:
        return None
    if len(entries) > 1:
        return KnobProblem(
            "KnobDuplicated", f"env {name} stands {len(entries)} times in the container: keep one"
        )
    if "valueFrom" in entries[0]:
        source = next(iter(entries[0]["valueFrom"] or {"valueFrom": {}}))
        fix = "give it a plain value"
        if source == "configMapKeyRef":
            fix += ", or name the ConfigMap's key in knobs.settings[].configMap"
        return KnobProblem(
            "KnobFromReference",
            f"env {name} in container {container.get('name')!r} comes from {source}: {fix}",
        )
    return str(entries[0].get("value", ""))


def read_argument(container: Mapping[str, Any], flag: Flag) -> str | KnobProblem | None:
    """Return what a flag holds in ``args``, ``command`` or a shell string; None without it."""
    spot = locate_flag(container, flag)
    if isinstance(spot, KnobProblem):
        return spot
    tokens = tokens_of(container, spot.field)
    if spot.shell_at is not None:
        found: str | FlagProblem | None = read_in(tokens[spot.shell_at], flag)
    else:
        found = read_flag(tokens, flag)
    if isinstance(found, FlagProblem):
        return KnobProblem(found.reason, f"{flag.name} {found.words}")
    return found


def locate_flag(container: Mapping[str, Any], flag: Flag) -> FlagSpot | KnobProblem:
    """Return the list that holds the flag; an absent one belongs into ``args``.

    A container with neither list runs what its image says, and an ``args`` of ours would take the
    place of the image's own.
    """
    command, args = tokens_of(container, "command"), tokens_of(container, "args")
    line = (*command, *args)
    if len(line) > MAX_ARGUMENTS or sum(map(len, line)) > MAX_ARGUMENT_LETTERS:
        return KnobProblem(
            "ArgumentsTooLong",
            f"{flag.name}: command and args hold {len(line)} arguments of {sum(map(len, line))} "
            f"letters, at most {MAX_ARGUMENTS} of {MAX_ARGUMENT_LETTERS} can be turned: "
            "use an env entry",
        )
    shell = shell_string_at(line)
    if shell is not None:
        inside = shell < len(command)
        return FlagSpot("command", shell) if inside else FlagSpot("args", shell - len(command))
    if stands(command, flag):
        if stands(args, flag):
            words = f"{flag.name} stands in command and in args: keep one"
            return KnobProblem("KnobDuplicated", words)
        return FlagSpot("command")
    if not line:
        return KnobProblem(
            "ArgumentsInImage",
            f"{flag.name}: container {container.get('name')!r} declares neither command nor args, "
            "and an args list would replace the image's own arguments: write them into the "
            "template first, or use an env entry",
        )
    return FlagSpot("args")


def tokens_of(container: Mapping[str, Any], field: str) -> Tokens:
    """Return ``args`` or ``command`` of a container; empty when it is absent."""
    return tuple(str(token) for token in container.get(field) or ())


def flag_of(setting: SettingKnob) -> Flag:
    """Return the flag of a setting that is an argument."""
    return Flag(str(setting.argument), bare=setting.argument_form == "Bare")


def read_resource(container: Mapping[str, Any], setting: SettingKnob) -> str | KnobProblem | None:
    """Return the quantity of a resource knob; None when neither request nor limit is set."""
    assert setting.resource is not None
    name, bound = setting.resource.name, setting.resource.bound
    request, limit = (_quantity(container, part, name) for part in ("requests", "limits"))
    if bound == "Requests":
        return request if limit is None else _within(setting, request, limit, "limits")
    if bound == "Limits":
        return limit if request is None else _within(setting, limit, request, "requests")
    if limit is not None and request in (None, limit):
        return limit
    if request is None:
        return None
    return KnobProblem(
        "ResourcesDiffer",
        f"{name} has request {request} and limit {limit or 'none'}: "
        "set resource.bound to Requests or Limits",
    )


def resource_slots(setting: SettingKnob) -> tuple[str, ...]:
    """Return the entries that a resource knob writes, such as ``requests/cpu``."""
    assert setting.resource is not None
    return tuple(f"{part}/{setting.resource.name}" for part in _BOUNDS[setting.resource.bound])


def resource_entries(container: Mapping[str, Any], setting: SettingKnob) -> dict[str, str]:
    """Return what stands in these entries now, absent ones left out."""
    found = {slot: _quantity(container, *slot.split("/", 1)) for slot in resource_slots(setting)}
    return {slot: value for slot, value in found.items() if value is not None}


def _within(
    setting: SettingKnob, text: str | None, other: str, named: str
) -> str | KnobProblem | None:
    """Return the text, or why a declared value would cross the bound that is not turned."""
    for value in setting.values:
        crossed = amount_of(value) > amount_of(other)
        if named == "requests":
            crossed = amount_of(value) < amount_of(other)
        if crossed:
            side = "above" if named == "limits" else "below"
            assert setting.resource is not None
            field = f"{named}.{setting.resource.name}"
            return KnobProblem(
                "ResourceBoundCrossed",
                f"value {value} is {side} {field} {other} of the container: leave it out, or set "
                "resource.bound to Both",
            )
    return text


def _quantity(container: Mapping[str, Any], part: str, name: str) -> str | None:
    value = ((container.get("resources") or {}).get(part) or {}).get(name)
    try:
        return None if value is None else canonical(str(value))
    except ValueError:
        # A spelling such as 1e3 that we never write, and keep as it is.
        return str(value)
