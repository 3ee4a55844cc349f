"""Reading a target and its autoscaler, and remembering what was read.

Role: fresh reads for the states that act; for resting ones what the watches have shown last. Must
not know: what is decided from it. Trade-off: whatever is newest by resource version is kept, so
that a watch which lags behind our own write never makes that write look undone.
"""

from infertune.core.snapshot import RawObject, TargetView, TuningView, WatchedObjects
from infertune.ports import Namespace
from infertune.runtime.cache import WatchCache, WorkloadKey, autoscaler_key, workload_of


class TargetReader:
    """Reads targets of tunings; one object serves all workers."""

    def __init__(self, namespace: Namespace, cache: WatchCache) -> None:
        self._namespace = namespace
        self._cache = cache

    def fetch_target(self, workload: WorkloadKey) -> TargetView | None:
        """Return the workload as read now."""
        found = self._namespace.fetch_target(workload.namespace, workload.kind, workload.name)
        if found is not None:
            self._cache.keep_object(workload, found.raw)
        return found

    def list_autoscalers(self, workload: WorkloadKey) -> tuple[RawObject, ...]:
        """Return the workload's autoscalers as read now; the first is the one that is tuned."""
        found = self._namespace.list_autoscalers(workload.namespace, workload.kind, workload.name)
        if found:
            self._cache.keep_object(autoscaler_key(workload), found[0])
        return found

    def watched(self, tuning: TuningView) -> WatchedObjects | None:
        """Return what a resting tuning has written to, as last shown; read where nothing was shown.

        A tuning that has written nothing costs nothing: it is told what the watches show.
        """
        workload, rollout = workload_of(tuning), tuning.status.rollout
        if workload is None:
            return None
        scaled = autoscaler_key(workload)
        if rollout is None or rollout.intent is None:
            return WatchedObjects(self._cache.object(workload), self._cache.object(scaled))
        if self._cache.object(workload) is None:
            self.fetch_target(workload)
        if rollout.intent.autoscaler is not None and self._cache.object(scaled) is None:
            self.list_autoscalers(workload)
        return WatchedObjects(self._cache.object(workload), self._cache.object(scaled))
