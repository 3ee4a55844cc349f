"""Keys that want a tick.

Role: hand each key to one worker at a time, the namespaces in turn; a key that is added while it is
worked on comes back once, afterwards. Must not know: what a tick does. Trade-off: no priorities but
this: whoever creates hundreds of tunings at once keeps his own waiting, not those of others.
"""

import threading
from collections import OrderedDict

from infertune.core.snapshot import Key


class WorkQueue:
    """A queue that never holds a key twice and never gives it to two workers at once."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, OrderedDict[Key, None]] = OrderedDict()
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
                self._wait(key)

    def take(self, timeout_seconds: float | None = None) -> Key | None:
        """Return the next key, or None after the timeout or when the queue is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed, timeout_seconds)
            if self._closed or not self._waiting:
                return None
            namespace, keys = self._waiting.popitem(last=False)
            key, _ = keys.popitem(last=False)
            if keys:
                self._waiting[namespace] = keys
            self._working.add(key)
            return key

    def done(self, key: Key) -> None:
        """Say that the tick of this key is over."""
        with self._changed:
            self._working.discard(key)
            if key in self._again:
                self._again.discard(key)
                self._wait(key)

    def close(self) -> None:
        """Let every waiting worker go."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def depth(self) -> int:
        """How many keys wait for a worker."""
        with self._changed:
            return sum(map(len, self._waiting.values())) + len(self._again)

    def _wait(self, key: Key) -> None:
        self._waiting.setdefault(key.namespace, OrderedDict())[key] = None
        self._changed.notify()
