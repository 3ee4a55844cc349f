"""Keys that want a tick.

Role: hand each key to one worker at a time; a key that is added while it is worked on comes back
once, afterwards. Must not know: what a tick does. Trade-off: no priorities; ticks are short.
"""

import threading
from collections import OrderedDict

from infertune.core.snapshot import Key


class WorkQueue:
    """A queue that never holds a key twice and never gives it to two workers at once."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[Key, None] = OrderedDict()
        self._working: set[Key] = set()
        self._again: set[Key] = set()
        self._closed = False
        self._changed = threading.Condition()

    def add(self, key: Key) -> None:
        """Ask for a tick of this key; many calls before the tick give one tick."""
        with self._changed:
            if self._closed:
                return
            if key in self._working:
                self._again.add(key)
            else:
                self._waiting[key] = None
                self._changed.notify()

    def take(self, timeout_seconds: float | None = None) -> Key | None:
        """Return the next key, or None after the timeout or when the queue is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed, timeout_seconds)
            if self._closed or not self._waiting:
                return None
            key, _ = self._waiting.popitem(last=False)
            self._working.add(key)
            return key

    def done(self, key: Key) -> None:
        """Say that the tick of this key is over."""
        with self._changed:
            self._working.discard(key)
            if key in self._again:
                self._again.discard(key)
                self._waiting[key] = None
                self._changed.notify()

    def close(self) -> None:
        """Let every waiting worker go."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def depth(self) -> int:
        """How many keys wait for a worker."""
        with self._changed:
            return len(self._waiting) + len(self._again)
