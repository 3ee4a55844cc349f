"""The Lease object that operators of one installation share.

Role: the lease port over the API server. Must not know: who may take it when. Trade-off: times in
it are written for people and for `kubectl get lease`; no decision reads them, since the clocks of
two machines differ.
"""

from typing import Any

from infertune.adapters.kube.connection import Connection, Request
from infertune.adapters.kube.paths import list_path, object_path
from infertune.core.snapshot import RawObject
from infertune.ports import Clock, Gone, LeaseRecord

API_VERSION = "coordination.k8s.io/v1"
KIND = "Lease"


class KubeLease:
    """One Lease by name."""

    def __init__(self, connection: Connection, clock: Clock, namespace: str, name: str) -> None:
        self._connection = connection
        self._clock = clock
        self._namespace = namespace
        self._name = name
        self._path = object_path(API_VERSION, KIND, namespace, name)

    def fetch_lease(self) -> LeaseRecord | None:
        """Return the Lease, or None when there is none yet."""
        try:
            return _record(self._connection.get(self._path))
        except Gone:
            return None

    def create_lease(self, holder: str, term_seconds: int) -> LeaseRecord:
        """Create it; AlreadyExists when somebody was quicker."""
        now = self._now()
        path = list_path(API_VERSION, KIND, self._namespace)
        body = self._body(LeaseRecord(holder, term_seconds, "", now, 0), now)
        return _record(self._connection.send(Request("POST", path, (), body)))

    def replace_lease(self, holder: str, term_seconds: int, old: LeaseRecord) -> LeaseRecord:
        """Write it anew with the present time; Conflict when it is no longer as ``old`` says."""
        now = self._now()
        passed_on = bool(holder) and holder != old.holder
        since = now if passed_on or not old.since else old.since
        transitions = old.transitions + passed_on
        fresh = LeaseRecord(holder, term_seconds, old.version, since, transitions)
        body = self._body(fresh, now)
        return _record(self._connection.send(Request("PUT", self._path, (), body)))

    def _now(self) -> str:
        return self._clock.now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def _body(self, record: LeaseRecord, renewed: str) -> dict[str, Any]:
        metadata: dict[str, Any] = {"namespace": self._namespace, "name": self._name}
        if record.version:
            metadata["resourceVersion"] = record.version
        spec: dict[str, Any] = {
            "leaseDurationSeconds": record.term_seconds,
            "acquireTime": record.since,
            "renewTime": renewed,
            "leaseTransitions": record.transitions,
        }
        if record.holder:
            spec["holderIdentity"] = record.holder
        return {"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "spec": spec}


def _record(raw: RawObject) -> LeaseRecord:
    spec = raw.get("spec") or {}
    return LeaseRecord(
        holder=str(spec.get("holderIdentity") or ""),
        # A Lease that another hand made may lack it; nobody waits for ever.
        term_seconds=int(spec.get("leaseDurationSeconds") or 15),
        version=str(raw["metadata"]["resourceVersion"]),
        since=str(spec.get("acquireTime") or ""),
        transitions=int(spec.get("leaseTransitions") or 0),
    )
