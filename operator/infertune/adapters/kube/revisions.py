"""What earlier revisions of a StatefulSet refer to, read once for each version of it.

Role: remember the ConfigMaps by the version of the StatefulSet they were read at. Must not know:
requests, what they are kept for. Trade-off: a revision that its controller trims without a word in
the StatefulSet is still known until the next version; a copy then stays a while longer. A new one
is never missed: its template is today's, and the controller notes it in the status.
"""

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

from infertune.core.snapshot import RawObject

KEPT = 256
ConfigMaps = frozenset[str]


class Histories:
    """ConfigMaps of earlier revisions, by the UID of their StatefulSet, the last used ones."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[str, ConfigMaps]] = OrderedDict()
        self._lock = Lock()

    def of(self, workload: RawObject, read: Callable[[], ConfigMaps]) -> ConfigMaps:
        """Return what is known at this version, else what is read now."""
        metadata = workload["metadata"]
        uid, version = str(metadata["uid"]), str(metadata["resourceVersion"])
        with self._lock:
            known = self._kept.get(uid)
        if known is not None and known[0] == version:
            return known[1]
        found = read()
        with self._lock:
            self._kept[uid] = (version, found)
            self._kept.move_to_end(uid)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return found
