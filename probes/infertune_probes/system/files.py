"""Reads files of /proc and /sys below one root, and remembers which it could not read.

It must not understand what it reads. Trade-off: a file that is missing by design (no cpufreq in
a virtual machine) is asked for with `quietly`; whether its absence matters is the asker's word.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

# /proc files have no size; this much holds /proc/stat of 1,000 cores and stops a runaway.
MOST_BYTES = 4 * 1024 * 1024
_PIECE_BYTES = 64 * 1024


class Files:
    """A root and its grievances: `unreadable` maps each path to the reason."""

    def __init__(self, root: Path) -> None:
        """Keep the root; nothing is read yet."""
        self.root = root
        self.unreadable: dict[str, str] = {}

    def text(self, path: str) -> str | None:
        """Return the file's text; None when it cannot be read, and that is remembered."""
        try:
            return self._read(path)
        except OSError as error:
            self.unreadable[path] = error.strerror or type(error).__name__
            return None

    def quietly(self, path: str) -> str | None:
        """Return the file's text, stripped; None when it cannot be read, and nobody minds."""
        try:
            return self._read(path).strip()
        except OSError:
            return None

    def number(self, path: str) -> int | None:
        """Return the whole number in the file; None when there is none."""
        return whole(self.quietly(path))

    def names(self, path: str) -> list[str]:
        """Return the sorted names in a folder; a folder that cannot be listed has none."""
        try:
            return sorted(entry.name for entry in (self.root / path).iterdir())
        except OSError:
            return []

    def folders(self, path: str) -> list[str]:
        """Return the sorted names of the folders in a folder, links not followed."""
        try:
            with os.scandir(self.root / path) as entries:
                return sorted(
                    entry.name for entry in entries if entry.is_dir(follow_symlinks=False)
                )
        except OSError:
            return []

    def link(self, path: str) -> str | None:
        """Return where a link points; None when it cannot be read."""
        try:
            return os.readlink(self.root / path)  # noqa: PTH115  # Path.readlink is Python 3.9
        except OSError:
            return None

    def denied(self, path: str) -> bool:
        """Return whether the file is there but not for us; one that is gone is not denied."""
        try:
            with (self.root / path).open("rb", buffering=0) as stream:
                stream.read(1)
        except PermissionError:
            return True
        except OSError:
            return False
        return False

    def misread(self, path: str, why: str) -> None:
        """Remember a file that was read but not understood."""
        self.unreadable[path] = why

    def _read(self, path: str) -> str:
        # In pieces: /proc/sys allocates what a read asks for and refuses more than 4 MiB.
        with (self.root / path).open("rb", buffering=0) as stream:
            pieces, room = [], MOST_BYTES
            while room > 0:
                piece = stream.read(_PIECE_BYTES)
                if not piece:
                    break
                pieces.append(piece)
                room -= len(piece)
        return b"".join(pieces).decode("utf-8", "replace")


def whole(text: str | None) -> int | None:
    """Return the text as a whole number; None when it is absent or something else."""
    try:
        return None if text is None else int(text)
    except ValueError:
        return None


def listed(text: str | None) -> frozenset[int] | None:
    """Return the numbers of a kernel list.

    Example: "0-2,8" is {0, 1, 2, 8}; an empty list is empty; rubbish is None.
    """
    if text is None:
        return None
    found: set[int] = set()
    for part in text.strip().split(","):
        if not part:
            continue
        low, _, high = part.partition("-")
        first, last = whole(low), whole(high or low)
        if first is None or last is None:
            return None
        found.update(range(first, last + 1))
    return frozenset(found)


def ranges(numbers: frozenset[int]) -> str:
    """Return the numbers as a kernel list: {0, 1, 2, 8} is "0-2,8"."""
    parts: list[list[int]] = []
    for number in sorted(numbers):
        if parts and number == parts[-1][-1] + 1:
            parts[-1] = [parts[-1][0], number]
        else:
            parts.append([number, number])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in parts)
