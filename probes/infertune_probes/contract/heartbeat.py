"""A line on a terminal while a probe works: which probe, for how long, and until when at most.

Emit side: standard library only, Python 3.8. It must not know what is measured, and says nothing
where nobody looks: without a terminal on standard error it does not even start. Trade-off: one
write a second from a thread of its own, which the probe does not notice.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import TextIO

PATIENCE_SECONDS = 5.0
_BEAT_SECONDS = 1.0


class Heartbeat:
    """Starts to speak after the patience, and wipes its line when it is stopped."""

    def __init__(
        self,
        probe: str,
        stream: TextIO,
        at_most_seconds: float | None,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        """Keep what there is to say; nothing is said yet."""
        self._probe, self._stream, self._most = probe, stream, at_most_seconds
        self._patience = patience_seconds
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def start(self) -> None:
        """Begin to count, on a terminal."""
        if self._stream.isatty():
            self._thread.start()

    def stop(self) -> None:
        """Fall silent; the line is gone when this returns."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join(_BEAT_SECONDS)

    def _beat(self) -> None:
        began = time.monotonic()
        if self._over.wait(self._patience):
            return
        most = "" if self._most is None else f" of at most {self._most:.0f}"
        while True:
            seconds = time.monotonic() - began
            self._stream.write(f"\r\033[K{self._probe}: working, {seconds:.0f} s{most}")
            self._stream.flush()
            if self._over.wait(_BEAT_SECONDS):
                break
        self._stream.write("\r\033[K")
        self._stream.flush()
