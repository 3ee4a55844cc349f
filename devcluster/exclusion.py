"""One change of the machine at a time.

`up` and `down` read what is there and then change it: two of them together would undo
each other's work. The lock is a Unix socket with a name and no file: the kernel lets go
of it when its holder ends, however it ends, and nothing stays on the disk. Trade-off: a
second one is refused at once, with the first one's process id, instead of waiting.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from typing import TYPE_CHECKING

from devcluster.errors import RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "\0infertune-devcluster"
CREDENTIALS = struct.Struct("3i")


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Hold the lock of this machine during the block.

    Raises:
        RefusedError: Another process holds it; the message says which.
    """
    with socket.socket(socket.AF_UNIX) as held:
        try:
            held.bind(NAME)
        except OSError as error:
            msg = f"another devcluster command{_holder()} changes this machine: let it end"
            raise RefusedError(msg) from error
        held.listen()
        yield


def _holder() -> str:
    """Return who holds the lock, in words; "" when that cannot be told."""
    with socket.socket(socket.AF_UNIX) as asking:
        try:
            asking.connect(NAME)
            raw = asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size)
        except OSError:
            return ""
    pid, _, _ = CREDENTIALS.unpack(raw)
    return f" (process {pid})"
