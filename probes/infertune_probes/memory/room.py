"""How many bytes there are to fill, and who says so.

It must not know what fills them. Trade-off: without a limit of the cgroup the machine's available
memory is the room, and of that only a share is offered, because the machine belongs to others too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

from infertune_probes.contract.host import memory_limit_bytes

# Of a limit of our own we may take nearly all; of a machine that we share, not.
_OF_OWN_LIMIT = 0.95
_OF_SHARED_MACHINE = 0.5


class Room(NamedTuple):
    """The memory that counts as all of it, the bytes that a step may take, and their source."""

    total: int
    usable: int
    source: str


def processor_room(cgroup_root: Path, proc_root: Path, own_limit: int | None) -> Room | None:
    """Return the room for a process on the processor; None when nothing can be read.

    ``own_limit`` is the user's; the cgroup's limit counts when it is lower.
    """
    used = _cgroup_used(cgroup_root)
    limit = memory_limit_bytes(cgroup_root)
    if own_limit is not None and (limit is None or own_limit < limit):
        return Room(own_limit, int(own_limit * _OF_OWN_LIMIT), "--memory-bytes")
    if limit is not None:
        return Room(limit, max(1, int(limit * _OF_OWN_LIMIT) - used), "cgroup limit")
    available = _available(proc_root)
    if available is None:
        return None
    usable = int(available * _OF_SHARED_MACHINE)
    return Room(usable, usable, "half of the machine's available memory (no cgroup limit)")


def _cgroup_used(root: Path) -> int:
    for name in ("memory.current", "memory/memory.usage_in_bytes"):
        try:
            return int((root / name).read_text(encoding="ascii"))
        except (OSError, ValueError):
            continue
    return 0


def _available(proc_root: Path) -> int | None:
    try:
        lines = (proc_root / "meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    for line in lines:
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None
