"""Where a knob lives in a pod template: read its value, or put another one in a copy.

Role: the only code that knows environment entries, flags and container names. Must not know: what
a good value is. Trade-off: a flag inside a shell string or a value from a reference is refused by
name rather than guessed at.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Protocol

from infertune.api.status import TemplateValues

_SHELLS = frozenset({"sh", "bash", "ash", "dash", "zsh"})


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


def read_batch(container: Mapping[str, Any], place: Place) -> int | KnobProblem | None:
    """Return the batch cap; None when the entry is absent (the server's default)."""
    text = _read(container, place)
    if text is None or isinstance(text, KnobProblem):
        return text
    try:
        return int(text)
    except ValueError:
        name = place.env or place.argument
        return KnobProblem("KnobUnreadable", f"{name} holds {text!r}, which is not a whole number")


def values_of(container: Mapping[str, Any], place: Place | None) -> TemplateValues:
    """Return what stands in exactly the fields that a rollout writes, letter by letter."""
    image = container.get("image")
    if place is None:
        return TemplateValues(image=image)
    if place.argument is not None:
        args = container.get("args")
        return TemplateValues(image=image, args=None if args is None else tuple(args))
    text = _read_env(container, place.env or "")
    return TemplateValues(image=image, batch_value=text if isinstance(text, str) else None)


def with_values(
    values: TemplateValues, place: Place | None, *, image: str, batch_size: int | None
) -> TemplateValues:
    """Return the values of another candidate: other image, other batch cap, all else as it was.

    A batch cap that already stands there keeps its spelling ("08" stays "08").
    """
    values = values.model_copy(update={"image": image})
    text = None if batch_size is None else str(batch_size)
    if place is None or _batch_in(values, place) == batch_size:
        return values
    if place.argument is None:
        return values.model_copy(update={"batch_value": text})
    args = set_flag(values.args or (), place.argument, text)
    return values.model_copy(update={"args": args})


def set_flag(args: tuple[str, ...], flag: str, value: str | None) -> tuple[str, ...]:
    """Return the arguments with the flag set, keeping its form; None takes the flag out."""
    result: list[str] = []
    skip = found = False
    for position, argument in enumerate(args):
        if skip:
            skip = False
            continue
        if argument == flag:
            found, skip = True, position + 1 < len(args)
            result.extend([] if value is None else [flag, value])
        elif argument.startswith(f"{flag}="):
            found = True
            result.extend([] if value is None else [f"{flag}={value}"])
        else:
            result.append(argument)
    if not found and value is not None:
        result.append(f"{flag}={value}")
    return tuple(result)


def _read_env(container: Mapping[str, Any], name: str) -> str | KnobProblem | None:
    entries = [entry for entry in container.get("env", ()) if entry.get("name") == name]
    if not entries:
        return None
    if len(entries) > 1:
        return KnobProblem(
            "KnobDuplicated", f"env {name} stands {len(entries)} times in the container: keep one"
        )
    if "valueFrom" in entries[0]:
        return KnobProblem(
            "KnobFromReference", f"env {name} comes from a reference: give it a plain value"
        )
    return str(entries[0].get("value", ""))


def _read(container: Mapping[str, Any], place: Place) -> str | KnobProblem | None:
    if place.env is not None:
        return _read_env(container, place.env)
    return _read_flag(container, place.argument or "")


def _batch_in(values: TemplateValues, place: Place) -> int | None:
    """Return the batch cap that these values stand for; an unreadable one is nobody's."""
    entry: dict[str, Any] = {"args": values.args or ()}
    if values.batch_value is not None:
        entry["env"] = [{"name": place.env, "value": values.batch_value}]
    found = read_batch(entry, place)
    return None if isinstance(found, KnobProblem) else found


def _read_flag(container: Mapping[str, Any], flag: str) -> str | KnobProblem | None:
    command = [str(part) for part in container.get("command", ())]
    args = [str(argument) for argument in container.get("args", ())]
    if _is_shell([*command, *args]):
        return KnobProblem(
            "ShellCommand", f"{flag} would stand inside a shell string: use an env entry instead"
        )
    if any(part == flag or part.startswith(f"{flag}=") for part in command):
        return KnobProblem(
            "KnobInCommand", f"{flag} stands in the container's command: move it to args"
        )
    found = _flag_values(args, flag)
    if len(found) > 1:
        return KnobProblem("KnobDuplicated", f"{flag} stands {len(found)} times: keep one")
    return found[0] if found else None


def _flag_values(args: list[str], flag: str) -> list[str]:
    found: list[str] = []
    for position, argument in enumerate(args):
        if argument == flag:
            found.append(args[position + 1] if position + 1 < len(args) else "")
        elif argument.startswith(f"{flag}="):
            found.append(argument.partition("=")[2])
    return found


def _is_shell(line: list[str]) -> bool:
    """Whether this command line runs a string through a shell, such as ``env bash -ec "..."``."""
    shell = any(PurePosixPath(part).name in _SHELLS for part in line[:2])
    return shell and any(
        part.startswith("-") and not part.startswith("--") and part.endswith("c") for part in line
    )
