"""Two operators and one Lease: at no moment may both write, and one of them soon does.

Time is a number that the tests move; the store refuses a write that was made from an old look, as
an API server does.
"""

import random
import threading
from contextlib import suppress
from dataclasses import dataclass, field

import pytest

from infertune.ports import (
    AlreadyExists,
    ClusterError,
    Conflict,
    Gone,
    LeaseRecord,
    Unavailable,
)
from infertune.runtime.lease import Leadership, LeaseKeeper, Terms

TERMS = Terms()


@dataclass
class Time:
    seconds: float = 1000.0

    def __call__(self) -> float:
        return self.seconds


@dataclass
class FakeLease:
    """A Lease in memory; ``failure`` is raised by the next calls, before or after they work."""

    record: LeaseRecord | None = None
    version: int = 0
    failure: ClusterError | None = None
    late_failure: ClusterError | None = None
    writers: list[str] = field(default_factory=list)

    def fetch_lease(self) -> LeaseRecord | None:
        self._fail()
        return self.record

    def create_lease(self, holder: str, term_seconds: int) -> LeaseRecord:
        self._fail()
        if self.record is not None:
            raise AlreadyExists(holder)
        return self._store(holder, term_seconds)

    def replace_lease(self, holder: str, term_seconds: int, old: LeaseRecord) -> LeaseRecord:
        self._fail()
        if self.record is None:
            raise Gone(holder)
        if old.version != self.record.version:
            raise Conflict(holder)
        return self._store(holder, term_seconds)

    def _store(self, holder: str, term_seconds: int) -> LeaseRecord:
        self.version += 1
        self.record = LeaseRecord(holder, term_seconds, str(self.version))
        self.writers.append(holder)
        if self.late_failure is not None:
            raise self.late_failure
        return self.record

    def _fail(self) -> None:
        if self.failure is not None:
            raise self.failure


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def store() -> FakeLease:
    return FakeLease()


def side(name: str, store: FakeLease, time: Time) -> Leadership:
    return Leadership(store, name, time, TERMS)


def may_write(one: Leadership) -> bool:
    try:
        one.ensure()
    except Unavailable:
        return False
    return True


def test_the_first_leads_and_the_second_waits_and_says_for_whom(
    store: FakeLease, time: Time
) -> None:
    first, second = side("first", store, time), side("second", store, time)
    assert first.step() == TERMS.renew_seconds
    assert second.step() == TERMS.look_seconds
    assert (first.standing, second.standing) == ("leading", "waiting")
    assert first.sentence() == "leading as first"
    assert second.sentence() == "waiting: the Lease is held by first"
    assert (may_write(first), may_write(second)) == (True, False)


def test_a_killed_leader_is_followed_after_one_term_and_not_before(
    store: FakeLease, time: Time
) -> None:
    first, second = side("first", store, time), side("second", store, time)
    first.step()
    second.step()
    time.seconds += TERMS.term_seconds - 0.1
    second.step()
    assert second.standing == "waiting"
    time.seconds += 0.1
    second.step()
    assert second.standing == "leading"


def test_a_leader_that_was_stopped_writes_nothing_when_it_wakes_up_and_ends(
    store: FakeLease, time: Time
) -> None:
    first, second = side("first", store, time), side("second", store, time)
    first.step()
    second.step()
    time.seconds += 60.0
    second.step()
    assert not may_write(first), "it slept through its Lease; nothing was asked of the server yet"
    first.step()
    assert (first.standing, second.standing) == ("lost", "leading")
    assert first.sentence() == "not leading: second took the Lease; ending"
    first.step()
    time.seconds += 60.0
    first.step()
    assert store.writers == ["first", "second"], "whoever lost does not come back"


def test_a_leader_without_an_api_server_stops_writing_and_goes_on_when_nobody_took_over(
    store: FakeLease, time: Time
) -> None:
    leader = side("first", store, time)
    leader.step()
    store.failure = Unavailable("away")
    time.seconds += TERMS.hold_seconds
    with pytest.raises(Unavailable):
        leader.step()
    assert leader.standing == "unsure"
    assert not may_write(leader)
    time.seconds += 60.0
    store.failure = None
    leader.step()
    assert leader.standing == "leading"


def test_a_renewal_counts_from_its_start_not_from_its_answer(store: FakeLease, time: Time) -> None:
    class Slow(FakeLease):
        def _store(self, holder: str, term_seconds: int) -> LeaseRecord:
            time.seconds += 9.0
            return super()._store(holder, term_seconds)

    leader = side("first", Slow(), time)
    leader.step()
    time.seconds += 0.9
    assert may_write(leader)
    time.seconds += 0.2
    assert not may_write(leader)


def test_a_renewal_that_worked_though_it_seemed_to_fail_is_no_loss(
    store: FakeLease, time: Time
) -> None:
    leader = side("first", store, time)
    leader.step()
    store.late_failure = Unavailable("timed out")
    with pytest.raises(Unavailable):
        leader.step()
    store.late_failure = None
    assert leader.step() == 0.0, "the record moved on: look again at once"
    leader.step()
    assert leader.standing == "leading"


def test_a_lease_given_back_is_taken_at_the_next_look(store: FakeLease, time: Time) -> None:
    first, second = side("first", store, time), side("second", store, time)
    first.step()
    second.step()
    first.release()
    assert not may_write(first)
    time.seconds += TERMS.look_seconds
    second.step()
    assert second.standing == "leading"
    assert store.writers == ["first", "", "second"]


def test_a_lease_that_somebody_deleted_is_made_again(store: FakeLease, time: Time) -> None:
    leader = side("first", store, time)
    leader.step()
    store.record = None
    leader.step()
    assert (leader.standing, store.writers) == ("leading", ["first", "first"])


def test_whoever_only_waited_gives_nothing_back(store: FakeLease, time: Time) -> None:
    first, second = side("first", store, time), side("second", store, time)
    first.step()
    second.step()
    second.release()
    assert store.writers == ["first"]


# Around every limit: renewal, trust, term.
PAUSES = (0.0, 0.1, 1.0, 2.0, 4.0, 9.9, 10.1, 14.9, 15.0, 15.5, 40.0)
MOVES = 20_000


@pytest.mark.parametrize("seed", range(3))
def test_never_two_at_once(seed: int) -> None:
    """Whoever steps when, dies, starts again, whatever the server does: one writer at most."""
    chance, time, store = random.Random(seed), Time(), FakeLease()
    sides = [side(f"process {number}", store, time) for number in range(3)]
    led = set()
    for number in range(3, MOVES):
        time.seconds += chance.choice(PAUSES)
        assert sum(may_write(one) for one in sides) <= 1
        at = chance.randrange(3)
        if chance.random() < 0.1:
            store.failure = None if store.failure else Unavailable("away")
        with suppress(Unavailable):
            sides[at].step()
        writers = [one for one in sides if may_write(one)]
        assert len(writers) <= 1
        led.update(one.sentence() for one in writers)
        if sides[at].standing == "lost" or chance.random() < 0.02:
            sides[at] = side(f"process {number}", store, time)
    assert len(led) > 100, "the Lease changed hands often"


def test_the_keeper_tells_when_it_leads_when_it_lost_and_when_it_hangs(
    store: FakeLease, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    terms = Terms(renew_seconds=0.01, look_seconds=0.01)
    leadership = Leadership(store, "first", time, terms)
    lost, stop = threading.Event(), threading.Event()
    keeper = LeaseKeeper(leadership, lost.set)
    keeper.start()
    assert keeper.wait_until_leading(stop)
    assert (keeper.waiting, keeper.problems()) == (False, ())
    store.record = LeaseRecord("second", 15, "another")
    assert lost.wait(5)
    assert keeper.problems() == ("not leading: second took the Lease; ending",)
    keeper.stop()
    assert store.writers[-1] == "first", "what another holds is not given back"


def test_who_is_told_to_stop_does_not_wait_for_the_lease(store: FakeLease, time: Time) -> None:
    store.record = LeaseRecord("another", 15, "1")
    stop = threading.Event()
    keeper = LeaseKeeper(side("first", store, time), stop.set)
    keeper.start()
    stop.set()
    assert not keeper.wait_until_leading(stop)
    assert keeper.waiting
    keeper.stop()
