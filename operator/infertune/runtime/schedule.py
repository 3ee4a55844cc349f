"""When to look again though nothing happened.

Role: one heap of due times for all keys. Must not know: why a key is due. Trade-off: a key has one
due time; setting a new one leaves the old entry in the heap until it comes up, where it is skipped.
"""

import heapq
import threading
from datetime import datetime

from infertune.core.snapshot import Key


class Schedule:
    """Due times by key; safe to use from several threads."""

    def __init__(self) -> None:
        self._heap: list[tuple[datetime, int, Key]] = []
        self._due: dict[Key, tuple[datetime, int]] = {}
        self._count = 0
        self._lock = threading.Lock()

    def put(self, key: Key, due: datetime) -> None:
        """Set the due time of a key; it replaces the one before."""
        with self._lock:
            self._count += 1
            self._due[key] = (due, self._count)
            heapq.heappush(self._heap, (due, self._count, key))

    def drop(self, key: Key) -> None:
        """Forget a key."""
        with self._lock:
            self._due.pop(key, None)

    def pop_due(self, now: datetime) -> tuple[Key, ...]:
        """Return the keys that are due, earliest first, and forget their due times."""
        found: list[Key] = []
        with self._lock:
            while self._heap and self._heap[0][0] <= now:
                due, number, key = heapq.heappop(self._heap)
                if self._due.get(key) == (due, number):
                    del self._due[key]
                    found.append(key)
        return tuple(found)

    def next_due(self) -> datetime | None:
        """Return the earliest due time, or None when nothing is due."""
        with self._lock:
            return min((due for due, _ in self._due.values()), default=None)

    def __len__(self) -> int:
        with self._lock:
            return len(self._due)
