"""NVIDIA_REQUIRE_CUDA: what an image demands of the host, as the container runtime reads it.

Emit side: standard library only, Python 3.8. It must not know where a host's facts come from. Words
apart by spaces are alternatives, words joined by commas must all hold, as in NVIDIA's container
toolkit. Trade-off: three answers instead of its two: a condition on a fact that nobody knows (the
brand of a GPU nobody has looked at) is None, and makes the whole None only where it decides.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from infertune_probes.contract.release import numbers

if TYPE_CHECKING:
    from collections.abc import Mapping

VARIABLE = "NVIDIA_REQUIRE_CUDA"
SWITCHED_OFF = "NVIDIA_DISABLE_REQUIRE"

_CONDITION = re.compile(r"^(cuda|driver|arch|brand)(<=|>=|!=|<|>|=)([A-Za-z0-9._-]+)$")


class Condition(NamedTuple):
    """One comparison: `driver` `<` `536`."""

    subject: str
    operator: str
    value: str


class Malformed(ValueError):
    """The text is not an expression of the container toolkit; the message names the word."""


def parse(text: str) -> tuple[tuple[Condition, ...], ...]:
    """Return the alternatives, each with the conditions that must hold together.

    Raises:
        Malformed: a word is no comparison of cuda, driver, arch or brand.
    """
    return tuple(tuple(_condition(word) for word in group.split(",")) for group in text.split())


def _condition(word: str) -> Condition:
    found = _CONDITION.match(word)
    if found is None:
        msg = f"{word!r} is no comparison of cuda, driver, arch or brand"
        raise Malformed(msg)
    return Condition(*found.groups())


def holds(text: str, host: Mapping[str, str | None]) -> bool | None:
    """Return whether a host meets the expression; None where an unknown fact decides.

    `host` has the values of cuda, driver, arch and brand; a missing one is not known. An empty
    expression demands nothing.

    Raises:
        Malformed: see `parse`.
    """
    groups = parse(text)
    answers = [_all([_met(condition, host) for condition in group]) for group in groups]
    if not answers or True in answers:
        return True
    return None if None in answers else False


def driver_branches(text: str) -> tuple[int, ...]:
    """Return the driver branches that the expression admits besides a new enough CUDA driver.

    An image that names branches carries the cuda-compat package for them.
    """
    found = {
        int(condition.value.split(".")[0])
        for group in parse(text)
        if any(condition.subject == "driver" and "<" in condition.operator for condition in group)
        for condition in group
        if condition.subject == "driver" and condition.operator == ">="
    }
    return tuple(sorted(found))


def _all(answers: list[bool | None]) -> bool | None:
    if False in answers:
        return False
    return None if None in answers else True


def _met(condition: Condition, host: Mapping[str, str | None]) -> bool | None:
    actual = host.get(condition.subject)
    if actual is None:
        return None
    if condition.subject == "brand":
        same = actual.lower() == condition.value.lower()
        return same if condition.operator == "=" else not same
    left, right = numbers(actual), numbers(condition.value)
    if left is None or right is None:
        return None
    # "535" and "535.0" are one version.
    width = max(len(left), len(right))
    left, right = (side + (0,) * (width - len(side)) for side in (left, right))
    return {
        "<": left < right,
        "<=": left <= right,
        "=": left == right,
        "!=": left != right,
        ">=": left >= right,
        ">": left > right,
    }[condition.operator]
