"""Giving ownership back: what is ours on an object goes, every value stays.

Role: from a live object to the JSON patch of a release, and from a record on an object to whose it
is. Must not know: when ownership is given back. Trade-off: the whole list of managers is written
anew, which is safe only because the patch tests the resource version that it was computed from.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from infertune.core.manifests.naming import ANNOTATION_LAST_GOOD
from infertune.core.ownership import field_path, keeping, managed_fields_of
from infertune.core.plan import ReleaseFields
from infertune.core.snapshot import Key, RawObject

_ANNOTATION = ("metadata", "annotations", ANNOTATION_LAST_GOOD)


@dataclass(frozen=True, slots=True)
class Mark:
    """An object that bears our record, and the tuning it names."""

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str
    tuning: str

    @property
    def key(self) -> Key:
        """Return the tuning that the record names; it lives in the namespace of the object."""
        return Key(self.namespace, self.tuning)


def release(mark: Mark) -> ReleaseFields:
    """Return the effect that gives a marked object back as a whole."""
    return ReleaseFields(
        mark.api_version, mark.kind, mark.namespace, mark.name, mark.uid, mark.tuning
    )


def release_of(api_version: str, kind: str, raw: RawObject, tuning: Key) -> ReleaseFields:
    """Return the effect that gives an object back as a whole, whether it is marked or not."""
    metadata = raw["metadata"]
    name, uid = str(metadata["name"]), str(metadata["uid"])
    return ReleaseFields(api_version, kind, tuning.namespace, name, uid, tuning.name)


def release_patch(live: RawObject, effect: ReleaseFields) -> list[Mapping[str, Any]] | None:
    """Return the JSON patch that gives up what is ours; None when there is nothing to give up.

    An object under another UID, or with the record of another tuning, is not the one that is meant.
    """
    metadata = live["metadata"]
    marked = tuning_named_on(live)
    if metadata["uid"] != effect.uid or marked not in (None, effect.tuning):
        return None
    found = list(managed_fields_of(live))
    keep = [field_path(path) for path in (*effect.keep, _ANNOTATION)] if effect.keep else []
    left = keeping(found, keep)
    bears_record = ANNOTATION_LAST_GOOD in (metadata.get("annotations") or {})
    unmark = bears_record and not effect.keep
    if left == found and not unmark:
        return None
    version = metadata["resourceVersion"]
    patch: list[Mapping[str, Any]] = [
        {"op": "test", "path": "/metadata/resourceVersion", "value": version},
        # An empty list would leave the managers as they are; one empty entry means none.
        {"op": "replace", "path": "/metadata/managedFields", "value": left or [{}]},
    ]
    if unmark:
        name = ANNOTATION_LAST_GOOD.replace("~", "~0").replace("/", "~1")
        patch.append({"op": "remove", "path": f"/metadata/annotations/{name}"})
    return patch


def mark_of(api_version: str, kind: str, raw: RawObject) -> Mark | None:
    """Return whose record an object bears; None when it bears none that can be read."""
    tuning = tuning_named_on(raw)
    if tuning is None:
        return None
    metadata = raw["metadata"]
    return Mark(api_version, kind, metadata["namespace"], metadata["name"], metadata["uid"], tuning)


def tuning_named_on(raw: RawObject) -> str | None:
    """Return the name of the tuning whose record an object bears, or None."""
    text = (raw["metadata"].get("annotations") or {}).get(ANNOTATION_LAST_GOOD)
    if text is None:
        return None
    try:
        name: Any = json.loads(text)["tuning"]["name"]
    except (ValueError, LookupError, TypeError):
        return None
    return name if isinstance(name, str) and name else None
