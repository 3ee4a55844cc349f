"""Writes to the cluster, each safe to repeat.

Role: create, delete, server-side apply, with the precondition read right before. Must not know:
why something is written. Trade-off: one more read per write, and the resource version of that read
goes with an apply, so that nothing can slip in between the look and the write.
"""

from collections.abc import Callable
from typing import Any

from infertune.adapters.kube.connection import APPLY_PATCH, JSON_PATCH, Connection, Request
from infertune.adapters.kube.paths import list_path, object_path
from infertune.core.manifests.naming import LENDING_MANAGER
from infertune.core.manifests.sent_document import sent_document
from infertune.core.ownership import FIELD_MANAGER
from infertune.core.plan import ApplyFields, DeleteObject, ReleaseFields, ScaleWorkload
from infertune.core.preconditions import AlreadyDone, Violated, check
from infertune.core.release import release_patch
from infertune.core.snapshot import RawObject
from infertune.ports import AlreadyExists, Conflict, FieldTaken, Gone, Refused

APPLY_ATTEMPTS = 5


class KubeWriter:
    """The writing half of the cluster port."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def create_object(self, manifest: RawObject) -> None:
        """Create; an existing object with the same owner UID is success, else AlreadyExists."""
        metadata = manifest["metadata"]
        where = (manifest["apiVersion"], manifest["kind"], metadata["namespace"])
        query = (("fieldManager", FIELD_MANAGER),)
        try:
            self._connection.send(Request("POST", list_path(*where), query, manifest))
        except AlreadyExists:
            self._adopt_or_refuse(object_path(*where, metadata["name"]), manifest)

    def delete_object(self, effect: DeleteObject) -> None:
        """Delete by UID, dependents too; gone already is success."""
        path = object_path(effect.api_version, effect.kind, effect.namespace, effect.name)
        body = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": {"uid": effect.uid},
            "propagationPolicy": "Background",
        }
        try:
            self._connection.send(Request("DELETE", path, (), body))
        except (Gone, Conflict):
            # A conflict says that another object took the name: ours is gone.
            return

    def apply_fields(self, effect: ApplyFields) -> None:
        """Read fresh, check the expectations, apply; FieldTaken when a field is foreign."""
        document = effect.document
        wanted = document["metadata"]
        path = object_path(
            document["apiVersion"], document["kind"], wanted["namespace"], wanted["name"]
        )
        _repeat(lambda: self._apply_once(path, effect))

    def scale_workload(self, effect: ScaleWorkload) -> None:
        """Read the scale fresh, check UID and replicas, write; FieldTaken for a foreign value."""
        where = (effect.api_version, effect.kind, effect.namespace, effect.name)
        path = f"{object_path(*where)}/scale"
        _repeat(lambda: self._scale_once(path, effect))

    def _scale_once(self, path: str, effect: ScaleWorkload) -> None:
        live = self._connection.get(path)
        if live["metadata"]["uid"] != effect.uid:
            message = f"{effect.kind} {effect.name}: another object stands there"
            raise Gone(message)
        found = int(live.get("spec", {}).get("replicas", 0))
        if found == effect.new:
            return
        if found != effect.old:
            raise FieldTaken("spec.replicas", "", f"holds {found}")
        body = {**live, "spec": {"replicas": effect.new}}
        query = (("fieldManager", LENDING_MANAGER),)
        self._connection.send(Request("PUT", path, query, body))

    def release_fields(self, effect: ReleaseFields) -> None:
        """Read fresh and give up what is ours there, values untouched; gone already is success."""
        path = object_path(effect.api_version, effect.kind, effect.namespace, effect.name)
        try:
            _repeat(lambda: self._release_once(path, effect))
        except Gone:
            return

    def _release_once(self, path: str, effect: ReleaseFields) -> None:
        patch = release_patch(self._connection.get(path), effect)
        if patch is None:
            return
        query = (("fieldManager", FIELD_MANAGER),)
        try:
            self._connection.send(Request("PATCH", path, query, patch, JSON_PATCH))
        except Refused as error:
            # The only operation of this patch that can fail on a valid object is its test.
            raise Conflict(str(error)) from error

    def _apply_once(self, path: str, effect: ApplyFields) -> None:
        wanted = effect.document["metadata"]
        live = self._connection.get(path)
        refuse_other_object(live, wanted)
        match check(live, effect.expectations):
            case AlreadyDone():
                return
            case Violated(field, value, owners):
                raise FieldTaken(field, ", ".join(owners), f"holds {value}")
        version = live["metadata"]["resourceVersion"]
        body: dict[str, Any] = {
            **sent_document(effect, live),
            "metadata": {**wanted, "resourceVersion": version},
        }
        force = "true" if effect.adopt else "false"
        query = (("fieldManager", effect.manager), ("force", force))
        self._connection.send(Request("PATCH", path, query, body, APPLY_PATCH))

    def _adopt_or_refuse(self, path: str, manifest: RawObject) -> None:
        try:
            existing = self._connection.get(path)
        except Gone as error:
            message = "the object of that name is just going: try again"
            raise Conflict(message) from error
        refuse_foreign(existing, manifest)


def _repeat(write: Callable[[], None]) -> None:
    """Look and write again when somebody came in between, a few times.

    Controllers bump the version of an object all the time; the look is repeated with the write.
    """
    for attempt in range(1, APPLY_ATTEMPTS + 1):
        try:
            write()
        except Conflict:
            if attempt == APPLY_ATTEMPTS:
                raise
        else:
            return


def refuse_other_object(live: RawObject, wanted: RawObject) -> None:
    """Raise Gone unless the live object is the very one that the document names."""
    if live["metadata"]["uid"] != wanted.get("uid"):
        message = (
            f"{live['metadata'].get('name')}: an object with UID {live['metadata']['uid']} stands "
            f"where {wanted.get('uid')} was"
        )
        raise Gone(message)


def refuse_foreign(existing: RawObject, manifest: RawObject) -> None:
    """Raise unless the existing object has the manifest's owner and is there to stay."""
    metadata = existing["metadata"]
    if not owner_uids(existing) & owner_uids(manifest):
        message = f"{manifest['kind']} {metadata['name']} exists and is not ours"
        raise AlreadyExists(message)
    if "deletionTimestamp" in metadata:
        message = f"{manifest['kind']} {metadata['name']} is being deleted: try again"
        raise Conflict(message)


def owner_uids(raw: RawObject) -> frozenset[str]:
    """Return the UIDs of the owners that an object names."""
    owners = raw["metadata"].get("ownerReferences") or ()
    return frozenset(str(owner["uid"]) for owner in owners)
