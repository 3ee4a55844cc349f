"""Who may run a trial now, across all tunings of this operator.

Role: a few slots, by cluster and by namespace, and the line of tunings that wait for one. Must not
know: what a trial is. Trade-off: slots live in memory, where several workers take them under one
lock; after a start they are counted anew from the trial servers that the cluster really holds, and
until that is done nobody gets one.
"""

import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from infertune.core.snapshot import Key, Slot

# Who has not asked again for so long does not wait any more.
FORGOTTEN_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Limits:
    """How many trials may run at once; zero is no limit."""

    cluster: int = 0
    namespace: int = 0

    def allow(self, cluster: int, namespace: int) -> bool:
        """Return whether one more may run beside so many."""
        return not (self.cluster and cluster >= self.cluster) and not (
            self.namespace and namespace >= self.namespace
        )


@dataclass(frozen=True, slots=True)
class _Waiting:
    since: datetime
    asked: datetime


class TrialSlots:
    """Slots and the line before them; safe to use from several threads."""

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._holders: set[Key] = set()
        self._line: dict[Key, _Waiting] = {}
        self._counted = limits is None
        self._lock = threading.Lock()

    def count(self, running: Iterable[Key]) -> None:
        """Give a slot to every tuning whose trial server runs already, whatever the limits say."""
        with self._lock:
            self._holders |= set(running)
            self._counted = True

    def ask(self, key: Key, now: datetime) -> Slot:
        """Take a slot, or a place in the line; a tuning that has one keeps it."""
        with self._lock:
            if key in self._holders:
                return Slot(granted=True)
            before = self._line.get(key)
            self._line[key] = _Waiting(before.since if before else now, now)
            self._line = {
                other: waiting
                for other, waiting in self._line.items()
                if (now - waiting.asked).total_seconds() < FORGOTTEN_SECONDS
            }
            if not self._counted:
                return self._told(key)
            if key in self._next():
                del self._line[key]
                self._holders.add(key)
                return Slot(granted=True)
            return self._told(key)

    def release(self, key: Key) -> None:
        """Give a slot back, or leave the line."""
        with self._lock:
            self._holders.discard(key)
            self._line.pop(key, None)

    def _next(self) -> set[Key]:
        """Return who would get the free slots, first come, first served.

        A full namespace keeps only its own tunings back.
        """
        cluster, by_namespace = len(self._holders), Counter(k.namespace for k in self._holders)
        found: set[Key] = set()
        for key in self._in_order():
            if self._limits.allow(cluster, by_namespace[key.namespace]):
                found.add(key)
                cluster += 1
                by_namespace[key.namespace] += 1
        return found

    def _in_order(self) -> list[Key]:
        return sorted(self._line, key=lambda key: (self._line[key].since, str(key)))

    def _told(self, key: Key) -> Slot:
        line, limits = self._in_order(), self._limits
        inside = [other for other in self._holders if other.namespace == key.namespace]
        if limits.namespace and len(inside) >= limits.namespace:
            line = [other for other in line if other.namespace == key.namespace]
            slot = Slot(scope="namespace", running=len(inside), limit=limits.namespace)
        else:
            slot = Slot(scope="cluster", running=len(self._holders), limit=limits.cluster)
        return replace(slot, place=line.index(key) + 1, waiting=len(line), counted=self._counted)
