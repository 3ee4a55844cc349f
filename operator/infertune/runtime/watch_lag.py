"""Does the watch still tell us everything?

Role: compare a fresh list with what the watch has shown. Must not know: how either was read.
Trade-off: only changes that others make can show a dead watch; where nothing changes, a dead watch
does no harm yet.
"""

import threading
from collections.abc import Mapping

from infertune.core.snapshot import Key


class WatchLag:
    """Since when the watch has been behind the list."""

    def __init__(self) -> None:
        self._suspects: dict[Key, str] = {}
        self._since: float | None = None
        self._lock = threading.Lock()

    def compare(
        self, listed: Mapping[Key, str], known: Mapping[Key, str], now: float
    ) -> frozenset[Key]:
        """Return the tunings that the watch has missed; they should be read anew.

        One comparison may catch an event on its way, so a tuning is missed only when the version
        of the list before is still unknown. ``now`` is monotonic seconds.
        """
        ahead = {key: version for key, version in listed.items() if _ahead(version, known.get(key))}
        with self._lock:
            missed = frozenset(
                key
                for key, version in self._suspects.items()
                if key in listed and _ahead(version, known.get(key))
            )
            self._suspects = ahead
            if missed and self._since is None:
                self._since = now
        return missed

    def heard(self) -> None:
        """The watch has told something: it lives."""
        with self._lock:
            self._since = None

    def seconds(self, now: float) -> float:
        """Return how long ago the watch first missed something and has not been heard since."""
        with self._lock:
            return 0.0 if self._since is None else now - self._since


def _ahead(listed: str, known: str | None) -> bool:
    if known is None:
        return True
    if listed.isdecimal() and known.isdecimal():
        return int(listed) > int(known)
    return listed != known
