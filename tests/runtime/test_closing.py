"""An uninstallation beside an operator that goes back, is slow, or is not there.

The tunings, the Lease and the time are made up; whoever leads acts between two looks.
"""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from infertune.api.annotations import ABORT, wishes_of
from infertune.core.manifests.naming import FINALIZER
from infertune.core.plan import Event
from infertune.core.snapshot import Key, RawObject
from infertune.ports import Conflict, Gone, LeaseRecord, Unavailable
from infertune.runtime.closing import HOLDER, KEPT_SECONDS, SILENT_SECONDS, Closing, Patience

WORD = "uninstalled at noon"
PATIENCE = Patience(limit_seconds=180, leader_stops_seconds=15)
RESTORE = "kubectl -n serving patch deployment server"


def tuning(state: str, *, held: bool = False) -> dict[str, Any]:
    finalizers = ["else.example/keep", FINALIZER] if held else ["else.example/keep"]
    metadata = {"uid": "u", "resourceVersion": "1", "finalizers": finalizers, "annotations": {}}
    return {"metadata": metadata, "status": {"state": state}}


class World:
    """Tunings, a Lease, and a leader that does what a test says, once a second."""

    def __init__(self, **tunings: dict[str, Any]) -> None:
        self.tunings = tunings
        for name, raw in tunings.items():
            raw["metadata"] |= {"namespace": "serving", "name": name}
        self.now = 0.0
        self.asked: list[str] = []
        self.events: list[tuple[str, Event]] = []
        self.lease: LeaseRecord | None = LeaseRecord("operator-1", 15, "1")
        self.leader: Callable[[], None] = lambda: None
        self.lease_at_clearing: LeaseRecord | None = None

    def run(self) -> tuple[str, ...]:
        closing = Closing(self, self, lambda: self.now, self.sleep, WORD)
        return tuple(key.name for key in closing.run(PATIENCE))

    def sleep(self, seconds: float) -> None:
        for _ in range(int(seconds)):
            self.now += 1.0
            self.leader()

    def renew(self) -> None:
        """Renew as a leader does, unless somebody else holds the Lease."""
        if self.lease is not None and self.lease.holder == "operator-1":
            self.lease = LeaseRecord("operator-1", 15, str(self.now))

    def goes_back(self) -> None:
        """Lead, and answer every abort."""
        self.renew()
        for raw in self.tunings.values():
            wish = wishes_of(raw["metadata"]["annotations"]).abort
            if wish is not None:
                raw["status"] = {"state": "Halted", "abortAnswered": wish}
                raw["metadata"]["finalizers"] = ["else.example/keep"]

    def list_tunings(self) -> Mapping[Key, str]:
        return {Key("serving", name): "1" for name in self.tunings}

    def fetch_tuning(self, key: Key) -> RawObject | None:
        return self.tunings.get(key.name)

    def ask_to_abort(self, key: Key, word: str) -> None:
        self.asked.append(key.name)
        self.tunings[key.name]["metadata"]["annotations"][ABORT] = word

    def set_finalizer(self, key: Key, resource_version: str, *, present: bool) -> str:
        assert (resource_version, present) == ("1", False)
        self.lease_at_clearing = self.lease
        self.tunings[key.name]["metadata"]["finalizers"].remove(FINALIZER)
        return "2"

    def post_event(self, key: Key, uid: str, event: Event) -> None:
        self.events.append((key.name, event))

    def record_status(
        self, key: Key, status: Mapping[str, Any], resource_version: str
    ) -> RawObject:
        raise AssertionError("an uninstallation writes no status")

    def fetch_lease(self) -> LeaseRecord | None:
        return self.lease

    def create_lease(self, holder: str, term_seconds: int) -> LeaseRecord:
        self.lease = LeaseRecord(holder, term_seconds, "made")
        return self.lease

    def replace_lease(self, holder: str, term_seconds: int, old: LeaseRecord) -> LeaseRecord:
        assert old == self.lease
        self.lease = LeaseRecord(holder, term_seconds, "taken")
        return self.lease

    def finalizers(self, name: str) -> list[str]:
        return list(self.tunings[name]["metadata"]["finalizers"])


def test_what_works_is_asked_and_waited_for_and_what_rests_is_not() -> None:
    world = World(
        rolls=tuning("Verifying", held=True),
        searches=tuning("Searching"),
        rests=tuning("Stable"),
        halted=tuning("Halted"),
        waits=tuning("Pending"),
    )
    world.leader = world.goes_back
    assert world.run() == ()
    assert world.asked == ["rolls", "searches"]
    assert world.now < 3
    assert world.events == []
    assert world.lease == LeaseRecord("operator-1", 15, str(world.now))


def test_one_that_is_being_deleted_is_waited_for_and_not_asked() -> None:
    world = World(going=tuning("RollingBack", held=True))
    world.tunings["going"]["metadata"]["deletionTimestamp"] = "2026-03-01T12:00:00Z"

    def leader() -> None:
        world.renew()
        if world.now >= 5:
            world.tunings.clear()

    world.leader = leader
    assert world.run() == ()
    assert (world.asked, world.now) == ([], 5.0)


def test_an_older_abort_is_no_answer_to_this_one() -> None:
    """Aborted once, started anew by an edit: its annotation still says the old word."""
    world = World(again=tuning("Probing"))
    world.tunings["again"]["metadata"]["annotations"][ABORT] = "last year"
    world.leader = world.goes_back
    assert world.run() == ()
    assert world.asked == ["again"]


def test_a_leader_that_is_slow_loses_the_lease_before_a_finalizer_is_taken() -> None:
    world = World(slow=tuning("RollingBack", held=True))
    world.tunings["slow"]["status"]["rollout"] = {"restoreCommand": RESTORE}

    def leader() -> None:
        world.renew()
        leads = world.lease is not None and world.lease.holder == "operator-1"
        if leads and FINALIZER not in world.finalizers("slow"):
            world.tunings["slow"]["metadata"]["finalizers"].append(FINALIZER)

    world.leader = leader
    assert world.run() == ("slow",)
    assert world.now == PATIENCE.limit_seconds + PATIENCE.leader_stops_seconds
    assert world.lease_at_clearing == LeaseRecord(HOLDER, KEPT_SECONDS, "taken")
    world.sleep(10)
    assert world.finalizers("slow") == ["else.example/keep"]
    ((name, event),) = world.events
    assert (name, event.type, event.reason) == ("slow", "Warning", "RolloutAbandoned")
    assert event.message.endswith(f"the values before: {RESTORE}")


@pytest.mark.parametrize("lease", [LeaseRecord("operator-1", 15, "1"), None], ids=["old", "none"])
def test_where_nobody_leads_the_wait_is_short(lease: LeaseRecord | None) -> None:
    world = World(left=tuning("Applying", held=True))
    world.lease = lease
    assert world.run() == ("left",)
    assert world.now == SILENT_SECONDS + 1 + PATIENCE.leader_stops_seconds
    assert world.finalizers("left") == ["else.example/keep"]
    assert world.events[0][1].message.endswith("the target's annotation has the way back")


def test_where_nobody_leads_a_lent_replica_is_told_with_the_way_back() -> None:
    world = World(lends=tuning("Searching", held=True))
    world.tunings["lends"]["status"]["borrowed"] = {"restoreCommand": RESTORE}
    assert world.run() == ("lends",)
    ((_, event),) = world.events
    words = "uninstalled while a replica was lent to trials, and no operator gave it back in time"
    assert (event.reason, event.message) == ("BorrowAbandoned", f"{words}: {RESTORE}")


def test_where_nobody_leads_a_search_that_nobody_ends_holds_nothing_up() -> None:
    world = World(searches=tuning("Searching"))
    assert world.run() == ()
    assert world.now == SILENT_SECONDS + 1
    assert world.lease == LeaseRecord("operator-1", 15, "1"), "there was nothing to take"


def test_a_cluster_that_is_away_for_a_while_is_asked_again() -> None:
    world = World(rolls=tuning("Verifying", held=True))
    world.leader = world.goes_back
    listed = world.list_tunings

    def away() -> Mapping[Key, str]:
        if world.now < 20:
            raise Unavailable("connection refused")
        return listed()

    world.list_tunings = away  # type: ignore[method-assign]
    assert world.run() == ()
    assert world.now >= 20


def test_a_cluster_that_stays_away_fails_the_uninstallation() -> None:
    world = World(rolls=tuning("Verifying", held=True))

    def away() -> Mapping[Key, str]:
        raise Unavailable("connection refused")

    world.list_tunings = away  # type: ignore[method-assign]
    with pytest.raises(Unavailable):
        world.run()
    assert world.now == PATIENCE.limit_seconds


def test_a_tuning_that_moved_on_is_read_and_let_go_again() -> None:
    world = World(busy=tuning("Applying", held=True), gone=tuning("Applying", held=True))
    failures: list[Exception] = [Conflict("moved on"), Gone("deleted")]
    take = world.set_finalizer

    def refused(key: Key, resource_version: str, *, present: bool) -> str:
        if failures:
            raise failures.pop(0)
        return take(key, resource_version, present=present)

    world.set_finalizer = refused  # type: ignore[method-assign]
    assert sorted(world.run()) == ["busy", "gone"]
    assert world.finalizers("busy") == world.finalizers("gone") == ["else.example/keep"]
