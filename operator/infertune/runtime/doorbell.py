"""What a watch event sets in motion: it is kept, and a key is queued. Nothing else.

Role: the one place where events come in, whoever brings them. Must not know: kopf, decisions.
Trade-off: an event that changes nothing a tick would look at rings no bell, so a busy autoscaler
does not keep a stable tuning awake.
"""

import threading
from collections.abc import Callable

from infertune.core.manifests.naming import ANNOTATION_LAST_GOOD, LABEL_TUNING_UID
from infertune.core.snapshot import Key, RawObject
from infertune.runtime.cache import WatchCache, WorkloadKey, autoscaler_key

DELETED = "DELETED"
_PROGRESS = ("observedGeneration", "replicas", "updatedReplicas", "readyReplicas")


class Doorbell:
    """Takes watch events; safe to ring from any thread, returns at once."""

    def __init__(
        self,
        cache: WatchCache,
        add: Callable[[Key], None],
        heard: Callable[[], None] = lambda: None,
    ) -> None:
        self._cache = cache
        self._add = add
        self._heard = heard
        self._seen: dict[WorkloadKey, tuple[object, ...]] = {}
        self._lock = threading.Lock()

    def tuning(self, kind_of_event: str | None, raw: RawObject) -> None:
        """A tuning was added, changed or deleted."""
        self._heard()
        metadata = raw["metadata"]
        key = Key(metadata["namespace"], metadata["name"])
        beside = self._cache.beside(key)
        if kind_of_event == DELETED:
            self._cache.forget(key)
        elif not self._cache.put(raw):
            return
        # Whoever waits for this target, or now has to, is to know.
        for one in dict.fromkeys((key, *beside, *self._cache.beside(key))):
            self._add(one)

    def workload(self, kind_of_event: str | None, kind: str, raw: RawObject) -> None:
        """A Deployment or StatefulSet changed; most of them are nobody's target."""
        metadata = raw["metadata"]
        where = WorkloadKey(metadata["namespace"], kind, metadata["name"])
        if kind_of_event == DELETED:
            self._cache.workload_gone(where)
            seen: tuple[object, ...] = ()
        else:
            status = raw.get("status") or {}
            progress = tuple(status.get(name) for name in _PROGRESS)
            marked = ANNOTATION_LAST_GOOD in (metadata.get("annotations") or {})
            seen = (metadata["uid"], metadata.get("generation"), marked, *progress)
        self._cache.marks.seen(kind, raw, gone=kind_of_event == DELETED)
        self._cache.loans.seen(kind, raw, gone=kind_of_event == DELETED)
        keys = self._cache.targeting(where)
        if not keys:
            self._cache.drop_object(where)
        elif kind_of_event != DELETED:
            self._cache.workload_is_at(where, metadata["resourceVersion"])
            self._cache.keep_object(where, raw)
        self._ring(where, seen, keys)

    def autoscaler(self, kind_of_event: str | None, raw: RawObject) -> None:
        """A HorizontalPodAutoscaler changed; only its bounds and its target are of interest."""
        metadata, spec = raw["metadata"], raw.get("spec") or {}
        reference = spec.get("scaleTargetRef") or {}
        kind, name = str(reference.get("kind", "")), str(reference.get("name", ""))
        where = WorkloadKey(metadata["namespace"], kind, name)
        seen = (
            kind_of_event == DELETED,
            metadata["uid"],
            spec.get("minReplicas"),
            spec.get("maxReplicas"),
            ANNOTATION_LAST_GOOD in (metadata.get("annotations") or {}),
        )
        gone, keys, place = (
            kind_of_event == DELETED,
            self._cache.targeting(where),
            autoscaler_key(where),
        )
        self._cache.marks.seen("HorizontalPodAutoscaler", raw, gone=gone)
        self._cache.loans.seen("HorizontalPodAutoscaler", raw, gone=gone)
        if gone or not keys:
            self._cache.drop_object(place)
        else:
            self._cache.keep_object(place, raw)
        self._ring(place, seen, keys)

    def owned(self, raw: RawObject) -> None:
        """A Job or pod of ours changed."""
        uid = (raw["metadata"].get("labels") or {}).get(LABEL_TUNING_UID, "")
        key = self._cache.of_uid(uid)
        if key is not None:
            self._add(key)

    def _ring(self, where: WorkloadKey, seen: tuple[object, ...], keys: tuple[Key, ...]) -> None:
        with self._lock:
            if not keys:
                self._seen.pop(where, None)
                return
            before = self._seen.get(where)
            self._seen[where] = seen
        if seen != before:
            for key in keys:
                self._add(key)
