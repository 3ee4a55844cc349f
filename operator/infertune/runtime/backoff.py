"""How long to wait after a failed tick.

Role: delays by key, doubling while the failures go on. Must not know: what failed. Trade-off: no
jitter; the keys fail at different times, and there is one operator.
"""

import threading

from infertune.core.failures import FailureName
from infertune.core.snapshot import Key

FIRST_SECONDS: dict[FailureName | None, float] = {
    "Conflict": 0.2,
    "FieldTaken": 0.2,
    "Gone": 0.5,
    "Unavailable": 1.0,
    "Forbidden": 10.0,
    "Refused": 10.0,
    "AlreadyExists": 10.0,
    None: 5.0,
}
LONGEST_SECONDS = 60.0


class Backoff:
    """Delays by key."""

    def __init__(self) -> None:
        self._failures: dict[Key, int] = {}
        self._lock = threading.Lock()

    def next_delay(self, key: Key, failure: FailureName | None) -> float:
        """Return the delay after one more failure; None is a failure that has no name."""
        with self._lock:
            count = self._failures.get(key, 0)
            self._failures[key] = count + 1
        return min(FIRST_SECONDS[failure] * 2.0 ** min(count, 16), LONGEST_SECONDS)

    def reset(self, key: Key) -> None:
        """Forget the failures of a key."""
        with self._lock:
            self._failures.pop(key, None)
