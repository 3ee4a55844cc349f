"""Where a knob lives in a pod template: read its value, or put another one in a copy.

Role: the only code that knows environment entries, flags and container names. Must not know: what
a good value is. Trade-off: a flag inside a shell string or a value from a reference is refused by
name rather than guessed at.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from infertune.api.spec import BatchSizeKnob
from infertune.api.status import TemplateValues

_SHELLS = frozenset({"sh", "bash", "ash", "dash", "/bin/sh", "/bin/bash", "/usr/bin/env"})


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


def read_batch(container: Mapping[str, Any], knob: BatchSizeKnob) -> int | KnobProblem | None:
    """Return the batch cap; None when the entry is absent (the server's default)."""
    text = (
        _read_env(container, knob.env) if knob.env else _read_flag(container, knob.argument or "")
    )
    if text is None or isinstance(text, KnobProblem):
        return text
    try:
        return int(text)
    except ValueError:
        place = knob.env or knob.argument
        return KnobProblem("KnobUnreadable", f"{place} holds {text!r}, which is not a whole number")


def values_of(container: Mapping[str, Any], knob: BatchSizeKnob | None) -> TemplateValues:
    """Return what stands in exactly the fields that a rollout writes."""
    batch = read_batch(container, knob) if knob else None
    by_flag = knob is not None and knob.argument is not None
    return TemplateValues(
        image=container.get("image"),
        batch_value=str(batch) if isinstance(batch, int) else None,
        args=tuple(container.get("args", ())) if by_flag else None,
    )


def with_values(
    values: TemplateValues, knob: BatchSizeKnob | None, *, image: str, batch_size: int | None
) -> TemplateValues:
    """Return the values of another candidate: other image, other batch cap, all else as it was."""
    text = None if batch_size is None else str(batch_size)
    args = values.args
    if knob is not None and knob.argument is not None and args is not None:
        args = set_flag(args, knob.argument, text)
    return TemplateValues(image=image, batch_value=text, args=args)


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


def _read_flag(container: Mapping[str, Any], flag: str) -> str | KnobProblem | None:
    command = [str(part) for part in container.get("command", ())]
    if command and command[0] in _SHELLS and "-c" in command:
        return KnobProblem(
            "ShellCommand", f"{flag} would stand inside a shell string: use an env entry instead"
        )
    args = [str(argument) for argument in container.get("args", ())]
    found: list[str] = []
    for position, argument in enumerate(args):
        if argument == flag:
            found.append(args[position + 1] if position + 1 < len(args) else "")
        elif argument.startswith(f"{flag}="):
            found.append(argument.partition("=")[2])
    if len(found) > 1:
        return KnobProblem("KnobDuplicated", f"{flag} stands {len(found)} times: keep one")
    return found[0] if found else None
