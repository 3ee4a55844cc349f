"""What the watches have told so far, in the little that ticks need of it.

Role: tunings as views, the pods of watched targets, and who targets what. Must not know: what is
decided. Trade-off: a view may be a moment old; every write carries a resource version, so an old
view costs a conflict and a second look, never a wrong write.
"""

import threading
from dataclasses import dataclass
from datetime import datetime

from infertune.api.annotations import wishes_of
from infertune.api.spec import TuningSpec
from infertune.api.v1alpha1 import parse_spec, parse_status
from infertune.core.autoscaling import scaling_active
from infertune.core.manifests.naming import ANNOTATION_LAST_GOOD, ANNOTATION_LOAN
from infertune.core.rollout import ROLLOUT_OPEN
from infertune.core.snapshot import Key, RawObject, Rival, TuningView
from infertune.core.target_reference import recorded_target, target_now
from infertune.ports import TuningSource
from infertune.runtime.loans import Loans
from infertune.runtime.marks import Marks

_RECORDS = (ANNOTATION_LAST_GOOD, ANNOTATION_LOAN)


@dataclass(frozen=True, slots=True)
class WorkloadKey:
    """A workload that tunings may target."""

    namespace: str
    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class WatchedPods:
    """Pods of a target's current revision, as they stood at one version of the workload."""

    names: tuple[str, ...]
    version: str
    read_at: datetime


def view_of(raw: RawObject) -> TuningView:
    """Return the typed tuning."""
    metadata = raw["metadata"]
    return TuningView(
        key=Key(metadata["namespace"], metadata["name"]),
        uid=metadata["uid"],
        generation=int(metadata.get("generation", 0)),
        resource_version=metadata["resourceVersion"],
        spec=parse_spec(raw.get("spec") or {}),
        status=parse_status(raw.get("status") or {}),
        deleting="deletionTimestamp" in metadata,
        finalizers=tuple(metadata.get("finalizers") or ()),
        wishes=wishes_of(metadata.get("annotations")),
        created_at=str(metadata.get("creationTimestamp", "")),
    )


def workload_of(view: TuningView) -> WorkloadKey | None:
    """Return what the tuning acts on now; with an unreadable spec that of its open rollout."""
    if not isinstance(view.spec, TuningSpec):
        open_on = recorded_target(view.status) if view.status.state in ROLLOUT_OPEN else None
        return None if open_on is None else WorkloadKey(view.key.namespace, *open_on)
    kind, name = target_now(view.spec, view.status)
    return WorkloadKey(view.key.namespace, kind, name)


class WatchCache:
    """Tunings and workload versions; safe to use from several threads."""

    def __init__(self, source: TuningSource) -> None:
        self._source = source
        self._views: dict[Key, TuningView] = {}
        self._versions: dict[WorkloadKey, str] = {}
        self._pods: dict[WorkloadKey, WatchedPods] = {}
        self._targeting: dict[WorkloadKey, set[Key]] = {}
        self._objects: dict[WorkloadKey, RawObject] = {}
        self.marks = Marks()
        self.loans = Loans()
        self._lock = threading.Lock()

    def put(self, raw: RawObject) -> bool:
        """Keep a tuning unless a newer one is known; return whether it matters to a tick.

        A change of status alone does not: it is our own writing.
        """
        metadata = raw["metadata"]
        key = Key(metadata["namespace"], metadata["name"])
        with self._lock:
            if _known(self._views.get(key), metadata):
                return False
        # Parsed outside of the lock, and only what is news: most events echo our own writes.
        view = view_of(raw)
        with self._lock:
            old = self._views.get(key)
            if _known(old, metadata):
                return False
            self._views[key] = view
            self._aim(key, old, view)
        return old is None or _wish(old) != _wish(view)

    def fetch(self, key: Key) -> TuningView | None:
        """Return the tuning as known, else as read now; None when it is gone."""
        with self._lock:
            known = self._views.get(key)
        if known is not None:
            return known
        raw = self._source.fetch_tuning(key)
        if raw is None:
            return None
        self.put(raw)
        with self._lock:
            return self._views.get(key)

    def forget(self, key: Key) -> None:
        """Drop a tuning, so that the next tick reads it anew."""
        with self._lock:
            self._aim(key, self._views.pop(key, None), None)

    def versions(self) -> dict[Key, str]:
        """Return the resource version of every known tuning."""
        with self._lock:
            return {key: view.resource_version for key, view in self._views.items()}

    def targeting(self, workload: WorkloadKey) -> tuple[Key, ...]:
        """Return the tunings that target a workload."""
        with self._lock:
            return tuple(sorted(self._targeting.get(workload, ()), key=str))

    def beside(self, key: Key) -> tuple[Key, ...]:
        """Return the other tunings of the target of this one."""
        with self._lock:
            view = self._views.get(key)
        workload = None if view is None else workload_of(view)
        return () if workload is None else tuple(k for k in self.targeting(workload) if k != key)

    def rival_of(self, view: TuningView) -> Rival | None:
        """Return the tuning that has this one's target already: the one that was made first."""
        workload = workload_of(view)
        if workload is None:
            return None
        with self._lock:
            keys = self._targeting.get(workload, set()) - {view.key}
            others = [self._views[key] for key in keys]
        older = [other for other in others if _age(other) < _age(view)]
        first = min(older, key=_age, default=None)
        return None if first is None else Rival(first.key, first.created_at)

    def published(self) -> dict[str, str]:
        """Return the ConfigMap of each tuning's recommendation, by UID, where there is one."""
        with self._lock:
            views = tuple(self._views.values())
        found = ((view.uid, view.status.recommendation) for view in views)
        return {uid: one.patch_config_map for uid, one in found if one and one.patch_config_map}

    def of_uid(self, uid: str) -> Key | None:
        """Return the tuning with this UID, or None."""
        with self._lock:
            return next((view.key for view in self._views.values() if view.uid == uid), None)

    def workload_is_at(self, workload: WorkloadKey, version: str) -> None:
        """Note the version of a workload that a watch has shown."""
        with self._lock:
            self._versions[workload] = version

    def workload_gone(self, workload: WorkloadKey) -> None:
        """Forget a workload."""
        with self._lock:
            self._versions.pop(workload, None)
            self._pods.pop(workload, None)
            self._objects.pop(workload, None)

    def keep_object(self, where: WorkloadKey, raw: RawObject) -> None:
        """Remember of a target or autoscaler what rest needs, unless a newer one is known."""
        metadata = raw["metadata"]
        with self._lock:
            old = self._objects.get(where)
            if old is not None and _is_older(metadata, old["metadata"]):
                return
            self._objects[where] = projected(raw)

    def object(self, where: WorkloadKey) -> RawObject | None:
        """Return a remembered object, or None."""
        with self._lock:
            return self._objects.get(where)

    def drop_object(self, where: WorkloadKey) -> None:
        """Forget an object that is gone, or that no tuning targets any more."""
        with self._lock:
            self._objects.pop(where, None)

    def keep_pods(self, workload: WorkloadKey, pods: WatchedPods) -> None:
        """Remember the pods of a target, and its version where no watch has shown one.

        The list of workloads may come in before the tuning that makes one of them a target.
        """
        with self._lock:
            self._pods[workload] = pods
            self._versions.setdefault(workload, pods.version)

    def pods(self, workload: WorkloadKey, now: datetime, seconds: float) -> WatchedPods | None:
        """Return the remembered pods while the workload has not moved since, else None."""
        with self._lock:
            known, version = self._pods.get(workload), self._versions.get(workload)
        if known is None or version is None or known.version != version:
            return None
        # An age below zero is that of a clock which was set back.
        return known if 0 <= (now - known.read_at).total_seconds() < seconds else None

    def _aim(self, key: Key, old: TuningView | None, new: TuningView | None) -> None:
        """Keep the index of targets; the lock is held."""
        before = None if old is None else workload_of(old)
        after = None if new is None else workload_of(new)
        if before == after:
            return
        if before is not None:
            keys = self._targeting[before]
            keys.discard(key)
            if not keys:
                del self._targeting[before]
        if after is not None:
            self._targeting.setdefault(after, set()).add(key)


def autoscaler_key(workload: WorkloadKey) -> WorkloadKey:
    """Return the key under which the autoscaler of a workload is kept."""
    return WorkloadKey(workload.namespace, f"autoscaler of {workload.kind}", workload.name)


def projected(raw: RawObject) -> RawObject:
    """Return what a resting tuning is checked by: our records, managers, the spec.

    Of the status, what an autoscaler says of its metric.
    """
    metadata = raw["metadata"]
    annotations = metadata.get("annotations") or {}
    kept = {name: metadata[name] for name in ("namespace", "name", "uid", "resourceVersion")}
    kept["annotations"] = {name: annotations[name] for name in _RECORDS if name in annotations}
    kept["managedFields"] = [
        entry for entry in metadata.get("managedFields") or () if not entry.get("subresource")
    ]
    active = scaling_active(raw)
    status = {} if active is None else {"status": {"conditions": [active]}}
    return {"metadata": kept, "spec": raw.get("spec") or {}, **status}


def _is_older(metadata: RawObject, than: RawObject) -> bool:
    version, known = str(metadata["resourceVersion"]), str(than["resourceVersion"])
    numbers = version.isdecimal() and known.isdecimal()
    return metadata["uid"] == than["uid"] and numbers and int(version) < int(known)


def _age(view: TuningView) -> tuple[str, str]:
    """Return what tells the older of two tunings; times of Kubernetes sort as text."""
    return view.created_at, view.uid


def _known(old: TuningView | None, metadata: RawObject) -> bool:
    """Whether the same object is known at this version or a later one."""
    if old is None or old.uid != metadata["uid"]:
        return False
    version = metadata["resourceVersion"]
    # Resource versions of one resource are comparable numbers; anything else is taken as newer.
    if version.isdecimal() and old.resource_version.isdecimal():
        return int(version) <= int(old.resource_version)
    return bool(version == old.resource_version)


def _wish(view: TuningView) -> tuple[object, ...]:
    return view.uid, view.generation, view.deleting, view.finalizers, view.wishes
