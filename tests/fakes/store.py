"""Objects as an API server keeps them: versions, UIDs, generations, finalizers, owners.

Role: the state behind ``FakeCluster``. Trade-off: one lock-free dictionary; tests are single
threaded.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from infertune.ports import AlreadyExists, Conflict, Gone
from tests.fakes.clock import FakeClock
from tests.fakes.copies import copied
from tests.fakes.ownership import Ownership, leaves

Place = tuple[str, str, str]
Listener = Callable[[str, dict[str, Any]], None]


class ObjectStore:
    """Every object of one cluster, by kind, namespace and name."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.listeners: list[Listener] = []
        self._objects: dict[Place, dict[str, Any]] = {}
        self._views: dict[Place, dict[str, Any]] = {}
        self._owners: dict[str, Ownership] = {}
        self._version = 1000
        self._uid = 0

    def add(self, raw: Mapping[str, Any], manager: str = "kubectl-client-side-apply") -> Any:
        """Create an object; return it as stored."""
        made = copied(dict(raw))
        metadata = made["metadata"]
        place = place_of(made)
        if place in self._objects:
            msg = f"{made['kind']} {metadata['name']!r} already exists"
            raise AlreadyExists(msg)
        self._uid += 1
        metadata["uid"] = f"uid-{self._uid:04d}"
        metadata["creationTimestamp"] = self.clock.stamp()
        metadata["generation"] = 1
        self._owners[metadata["uid"]] = Ownership()
        self._owners[metadata["uid"]].take(manager, set(leaves(made)))
        self._objects[place] = made
        self._touch("ADDED", made)
        return self.read(*place)

    def read(self, kind: str, namespace: str, name: str) -> dict[str, Any]:
        """Return a copy of an object."""
        raw = copied(self._live(kind, namespace, name))
        raw["metadata"]["managedFields"] = self._owners[raw["metadata"]["uid"]].managed_fields()
        return raw

    def look(self, kind: str, namespace: str, name: str) -> dict[str, Any] | None:
        """Return an object to look at, or None; it is shared, so whoever wants to change it copies.

        Stored objects are replaced and never changed, which makes this safe and the stories fast.
        """
        place = (kind, namespace, name)
        view = self._views.get(place)
        if view is None and place in self._objects:
            raw = self._objects[place]
            owner = self._owners[raw["metadata"]["uid"]]
            managed = {"managedFields": owner.managed_fields()}
            view = self._views[place] = {**raw, "metadata": {**raw["metadata"], **managed}}
        return view

    def _seen(self, place: Place) -> dict[str, Any]:
        self._live(*place)
        return self.look(*place) or {}

    def look_at_all(self, kind: str, namespace: str | None = None) -> list[dict[str, Any]]:
        """Return all objects of a kind to look at, by name (see ``look``)."""
        places = [p for p in self._objects if p[0] == kind and namespace in (None, p[1])]
        found = (self.look(*place) for place in sorted(places))
        return [raw for raw in found if raw is not None]

    def find(self, kind: str, namespace: str, name: str) -> dict[str, Any] | None:
        """Return a copy of an object, or None."""
        return (
            self.read(kind, namespace, name) if (kind, namespace, name) in self._objects else None
        )

    def all(self, kind: str, namespace: str | None = None) -> list[dict[str, Any]]:
        """Return copies of all objects of a kind, by name."""
        return [
            self.read(*place)
            for place in sorted(self._objects)
            if place[0] == kind and namespace in (None, place[1])
        ]

    def replace(self, raw: Mapping[str, Any], *, status_only: bool = False) -> dict[str, Any]:
        """Write an object that was read before; Conflict when it has moved on."""
        place = place_of(raw)
        live = self._live(*place)
        version = raw["metadata"].get("resourceVersion")
        if version is not None and version != live["metadata"]["resourceVersion"]:
            msg = f"{raw['kind']} {place[2]!r}: the object has been modified"
            raise Conflict(msg)
        if status_only:
            changed = {**live, "status": copied(raw.get("status", {}))}
        else:
            changed = {**copied(dict(raw)), "status": live.get("status", {})}
            changed["metadata"].pop("managedFields", None)
        self._write(place, live, changed)
        return self._seen(place)

    def edit(
        self,
        kind: str,
        namespace: str,
        name: str,
        change: Callable[[dict[str, Any]], None],
        manager: str = "kubectl-edit",
    ) -> dict[str, Any]:
        """Change an object by somebody else's hand; what changes belongs to them."""
        live = self._live(kind, namespace, name)
        changed = copied(live)
        change(changed)
        before, after = leaves(live), leaves(changed)
        touched = {path for path, value in after.items() if before.get(path) != value}
        owner = self._owners[live["metadata"]["uid"]]
        for owned in owner.fields.values():
            owned.difference_update(set(before) - set(after))
        owner.take(manager, touched)
        self._views.pop((kind, namespace, name), None)
        self._write((kind, namespace, name), live, changed)
        return self.read(kind, namespace, name)

    def apply(self, document: Mapping[str, Any], manager: str, *, force: bool) -> dict[str, Any]:
        """Server-side apply to an existing object."""
        place = place_of(document)
        live = self._live(*place)
        if live["metadata"]["uid"] != document["metadata"].get("uid"):
            msg = f"{place[0]} {place[2]!r}: the UID is another one"
            raise Conflict(msg)
        owner = self._owners[live["metadata"]["uid"]]
        changed = owner.apply(live, document, manager, force=force)
        self._views.pop(place, None)
        self._write(place, live, changed)
        return self._seen(place)

    def patch_metadata(self, place: Place, patch: list[Mapping[str, Any]]) -> None:
        """Carry out a JSON patch of managers and annotations; Conflict when its test fails."""
        live = self._live(*place)
        changed = copied(live)
        metadata = changed["metadata"]
        for step in patch:
            _, _, field, *rest = step["path"].split("/")
            match step["op"], field:
                case "test", _:
                    if metadata[field] != step["value"]:
                        msg = f"{place[0]} {place[2]!r}: the version is another one"
                        raise Conflict(msg)
                case "replace", "managedFields":
                    self._owners[metadata["uid"]].keep_only(step["value"])
                case "remove", "annotations":
                    del metadata[field][rest[0].replace("~1", "/").replace("~0", "~")]
                case other:
                    raise AssertionError(other)
        self._objects[place] = changed
        self._views.pop(place, None)
        self._touch("MODIFIED", changed)

    def delete(self, kind: str, namespace: str, name: str, uid: str | None = None) -> None:
        """Delete an object; with finalizers it only begins to go."""
        place = (kind, namespace, name)
        live = self._live(*place)
        if uid is not None and live["metadata"]["uid"] != uid:
            msg = f"{kind} {name!r}: the UID is another one"
            raise Conflict(msg)
        if live["metadata"].get("finalizers"):
            if "deletionTimestamp" not in live["metadata"]:
                changed = copied(live)
                changed["metadata"]["deletionTimestamp"] = self.clock.stamp()
                self._write(place, live, changed)
            return
        self._drop(place)

    def collect_garbage(self) -> None:
        """Delete what names only owners that are gone."""
        while orphans := list(self._orphans()):
            for place in orphans:
                self._drop(place)

    def _orphans(self) -> Iterator[Place]:
        uids = {raw["metadata"]["uid"] for raw in self._objects.values()}
        for place, raw in self._objects.items():
            owners = raw["metadata"].get("ownerReferences") or ()
            if owners and not any(owner["uid"] in uids for owner in owners):
                yield place

    def _live(self, kind: str, namespace: str, name: str) -> dict[str, Any]:
        found = self._objects.get((kind, namespace, name))
        if found is None:
            msg = f"{kind} {name!r} not found in {namespace!r}"
            raise Gone(msg)
        return found

    def _write(self, place: Place, live: dict[str, Any], changed: dict[str, Any]) -> None:
        kept = ("uid", "creationTimestamp", "generation", "resourceVersion")
        for key in kept:
            changed["metadata"][key] = live["metadata"][key]
        if changed == live:
            return
        if changed.get("spec") != live.get("spec") or (
            "deletionTimestamp" in changed["metadata"]
            and "deletionTimestamp" not in live["metadata"]
        ):
            changed["metadata"]["generation"] = live["metadata"]["generation"] + 1
        self._objects[place] = changed
        self._touch("MODIFIED", changed)
        if "deletionTimestamp" in changed["metadata"] and not changed["metadata"].get("finalizers"):
            self._drop(place)

    def _drop(self, place: Place) -> None:
        raw = self._objects.pop(place)
        self._touch("DELETED", raw)

    def _touch(self, event: str, raw: dict[str, Any]) -> None:
        self._version += 1
        # A new dictionary: what somebody looked at before stays as it was.
        raw["metadata"] = {**raw["metadata"], "resourceVersion": str(self._version)}
        self._views.pop(place_of(raw), None)
        for listener in self.listeners:
            listener(event, self.look(*place_of(raw)) or raw)


def place_of(raw: Mapping[str, Any]) -> Place:
    """Return where an object lives."""
    return raw["kind"], raw["metadata"]["namespace"], raw["metadata"]["name"]
