"""How the time to a first answer splits, and whether an image is built on a `-devel` base.

Pure, standard library only. It must not know where the times and names come from. Trade-off: a
phase that has no end or no beginning is None, and never guessed from its neighbours.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

PHASES = ("pull", "start", "load", "first_answer")


def startup_split(times: Mapping[str, float]) -> dict[str, float | None]:
    """Return the seconds of each phase from the pod's own times (seconds on one clock).

    Times: `scheduled`, `pulled`, `started`, `ready`, `answered`. Pull is from scheduled to pulled,
    start to the container's start, load to readiness, first_answer to the first answer. A phase
    whose end or beginning is missing, or that would be negative, is None.
    """
    marks = ("scheduled", "pulled", "started", "ready", "answered")
    found: dict[str, float | None] = {}
    for phase, begin, end in zip(PHASES, marks, marks[1:]):  # noqa: B905  # strict is Python 3.10
        step = times[end] - times[begin] if begin in times and end in times else None
        found[phase] = None if step is None or step < 0 else step
    return found


@dataclass(frozen=True)
class DevelBase:
    """A `-devel` base: which name tells of it, and what to build on instead."""

    witness: str
    reference: str
    fix: str


def devel_base(names: Mapping[str, str]) -> DevelBase | None:
    """Return the first of these image names whose tag is of a `-devel` base, or None."""
    for witness, reference in names.items():
        tag = reference.partition("@")[0].rpartition("/")[2].partition(":")[2]
        if re.search(r"(^|-)devel(-|$)", tag):
            base = reference.partition("@")[0].replace("-devel", "-runtime")
            fix = f"`FROM {base}` in the last stage, compile in an earlier one"
            return DevelBase(witness, reference, fix)
    return None
