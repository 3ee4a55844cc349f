"""Which watched objects bear the record of a tuning.

Role: remember the marks that the watches show, so that those of a tuning that is gone are found
without a list. Must not know: what is done about them. Trade-off: an object without our annotation
costs one look into a dictionary and no memory; only marked ones are remembered.
"""

import threading
from collections.abc import Mapping

from infertune.core.manifests.naming import ANNOTATION_LAST_GOOD
from infertune.core.release import Mark, mark_of
from infertune.core.snapshot import Key, RawObject

_Place = tuple[str, str, str]
API_VERSIONS: Mapping[str, str] = {
    "Deployment": "apps/v1",
    "StatefulSet": "apps/v1",
    "HorizontalPodAutoscaler": "autoscaling/v2",
}


class Marks:
    """Marked objects by the tuning they name; safe to use from several threads."""

    def __init__(self) -> None:
        self._marks: dict[_Place, Mark] = {}
        self._texts: dict[_Place, str] = {}
        self._of: dict[Key, set[_Place]] = {}
        self._lock = threading.Lock()

    def seen(self, kind: str, raw: RawObject, *, gone: bool = False) -> None:
        """Take note of an object that a watch has shown."""
        metadata = raw["metadata"]
        text = None if gone else (metadata.get("annotations") or {}).get(ANNOTATION_LAST_GOOD)
        place = (kind, metadata["namespace"], metadata["name"])
        with self._lock:
            if text is None and place not in self._texts:
                return
            known = self._marks.get(place)
            if known and text == self._texts.get(place) and known.uid == metadata["uid"]:
                return
            self._drop(place)
            mark = mark_of(API_VERSIONS[kind], kind, raw) if text is not None else None
            if mark is not None:
                self._marks[place], self._texts[place] = mark, str(text)
                self._of.setdefault(mark.key, set()).add(place)

    def of(self, key: Key) -> tuple[Mark, ...]:
        """Return the marks that name a tuning."""
        with self._lock:
            return tuple(self._marks[place] for place in sorted(self._of.get(key, ())))

    def forget(self, mark: Mark) -> None:
        """Drop a mark that was given back; an object that still bears it comes with its event."""
        with self._lock:
            place = (mark.kind, mark.namespace, mark.name)
            if self._marks.get(place) == mark:
                self._drop(place)

    def keys(self) -> frozenset[Key]:
        """Return every tuning that some mark names, living or not."""
        with self._lock:
            return frozenset(self._of)

    def _drop(self, place: _Place) -> None:
        self._texts.pop(place, None)
        mark = self._marks.pop(place, None)
        if mark is None:
            return
        places = self._of[mark.key]
        places.discard(place)
        if not places:
            del self._of[mark.key]
