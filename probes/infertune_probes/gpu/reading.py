"""Typed looks at what the child said about one device.

It must not judge. The child's words are JSON of another process, so every look checks the type and
answers None for what is absent. Trade-off: names are text and not attributes, which costs the type
checker's help and saves writing seventy fields three times; the tests read every one of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class Device:
    """One device; a name with a dot is a field of a group."""

    def __init__(self, facts: Mapping[str, object]) -> None:
        """Keep the facts."""
        self.facts = facts

    def look(self, name: str) -> object:
        """Return the value as it came; None when it was not read."""
        group, _, field = name.rpartition(".")
        place = self.facts.get(group) if group else self.facts
        return place.get(field) if isinstance(place, dict) else None

    def number(self, name: str) -> float | None:
        """Return a number, and None for anything else."""
        value = self.look(name)
        numeric = isinstance(value, (int, float)) and not isinstance(value, bool)
        return float(value) if numeric else None  # type: ignore[arg-type]

    def whole(self, name: str) -> int | None:
        """Return an integer, and None for anything else."""
        value = self.look(name)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def flag(self, name: str) -> bool | None:
        """Return a boolean, and None for anything else."""
        value = self.look(name)
        return value if isinstance(value, bool) else None

    def words(self, name: str) -> str | None:
        """Return a text, and None for anything else."""
        value = self.look(name)
        return value if isinstance(value, str) else None

    def rows(self, name: str) -> list[dict[str, object]] | None:
        """Return a list of objects, and None when it was not read."""
        value = self.look(name)
        return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else None

    def why_unread(self, name: str) -> str:
        """Return the driver's reason for a value that is absent."""
        reasons = self.facts.get("unread")
        reason = reasons.get(name) if isinstance(reasons, dict) else None
        return str(reason or self.error or "not asked")

    @property
    def index(self) -> int:
        """The index in NVML's order, which is the order of the PCI bus."""
        return self.whole("index") or 0

    @property
    def error(self) -> str | None:
        """Why the device answers no more; None while it does."""
        return self.words("error")

    @property
    def who(self) -> str:
        """The device in evidence: always with its UUID, so that a node's admin finds it."""
        return f"device {self.index} ({self.words('uuid') or 'no UUID'})"
