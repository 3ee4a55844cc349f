"""Version numbers of drivers and libraries, as far as they can be compared.

Emit side: standard library only, Python 3.8. It must not know which version is good. Trade-off:
only the leading numbers count: "2.7.0+cu126" and "2.7.0a0" are 2.7.0 here.
"""

from __future__ import annotations

import re

_LEADING = re.compile(r"^[vV]?(\d+(?:\.\d+)*)")


def numbers(text: str | None) -> tuple[int, ...] | None:
    """Return the numbers that a version starts with; None when it starts with none."""
    found = _LEADING.match((text or "").strip())
    return None if found is None else tuple(int(part) for part in found.group(1).split("."))


def series(text: str | None) -> tuple[int, int] | None:
    """Return major and minor of a version such as "12.6.77"; None when they are not both there."""
    parts = numbers(text)
    return None if parts is None or len(parts) < 2 else (parts[0], parts[1])  # noqa: PLR2004  # major and minor


def reaches(actual: str, floor: str) -> bool:
    """Return whether a version is at or above a floor, as precisely as the version is given.

    "550.54" stands for every 550.54.x, so it reaches 550.54.14; "550.40" does not.

    Raises:
        ValueError: one of them is no version.
    """
    left, right = numbers(actual), numbers(floor)
    if left is None or right is None:
        msg = f"no version: {actual!r} or {floor!r}"
        raise ValueError(msg)
    return left >= right[: len(left)]
