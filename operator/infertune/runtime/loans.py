"""Loans that the watches show, by the tuning that lent.

Role: remember the few objects that bear the note of a loan, so that one whose tuning is gone is
found without a list. Must not know: what is written to end it (``core.loan_return``). Trade-off: a
loan that a living tuning answers for is left to it, though that may take a while; two hands on one
loan would look to the user like somebody who took it back.
"""

import threading

from infertune.core.loan_return import LentObject, lent_object
from infertune.core.manifests.naming import ANNOTATION_LAST_GOOD, ANNOTATION_LOAN
from infertune.core.snapshot import Key, RawObject

_Place = tuple[str, str, str]
_KEPT_NOTES = (ANNOTATION_LOAN, ANNOTATION_LAST_GOOD)
_KEPT_FIELDS = ("minReplicas", "maxReplicas", "replicas")


class Loans:
    """Objects that bear the note of a loan; safe to use from several threads."""

    def __init__(self) -> None:
        self._found: dict[_Place, LentObject] = {}
        self._lock = threading.Lock()

    def seen(self, kind: str, raw: RawObject, *, gone: bool = False) -> None:
        """Take note of an object that a watch has shown."""
        metadata = raw["metadata"]
        noted = not gone and ANNOTATION_LOAN in (metadata.get("annotations") or {})
        found = lent_object(kind, _reduced(raw)) if noted else None
        place = (kind, metadata["namespace"], metadata["name"])
        with self._lock:
            if found is not None:
                self._found[place] = found
            else:
                self._found.pop(place, None)

    def of(self, key: Key) -> tuple[LentObject, ...]:
        """Return what a tuning of this name has lent."""
        with self._lock:
            return tuple(found for found in self._found.values() if found.key == key)

    def forget(self, ended: LentObject) -> None:
        """Drop a loan that was ended; an object that still bears its note comes with its event."""
        with self._lock:
            self._found = {place: one for place, one in self._found.items() if one != ended}

    def keys(self) -> frozenset[Key]:
        """Return every tuning that some loan names, living or not."""
        with self._lock:
            return frozenset(found.key for found in self._found.values())


def _reduced(raw: RawObject) -> RawObject:
    metadata, spec = raw["metadata"], raw.get("spec") or {}
    annotations = metadata.get("annotations") or {}
    return {
        "metadata": {
            **{name: metadata[name] for name in ("namespace", "name", "uid")},
            "annotations": {name: annotations[name] for name in _KEPT_NOTES if name in annotations},
        },
        "spec": {name: spec[name] for name in _KEPT_FIELDS if name in spec},
    }
