"""Every key gets its tick, never two at once, and none is lost."""

import threading
from datetime import timedelta

from infertune.core.snapshot import Key
from infertune.runtime.backoff import Backoff
from infertune.runtime.queue import WorkQueue
from infertune.runtime.schedule import Schedule
from infertune.runtime.watch_lag import WatchLag
from tests.fakes.clock import START

A, B = Key("ns", "a"), Key("ns", "b")


def test_many_bells_give_one_tick() -> None:
    queue = WorkQueue()
    for _ in range(5):
        queue.add(A)
    assert queue.take(0) == A
    assert queue.take(0) is None


def test_a_bell_during_the_tick_gives_one_more_afterwards() -> None:
    queue = WorkQueue()
    queue.add(A)
    assert queue.take(0) == A
    queue.add(A)
    queue.add(A)
    assert queue.take(0) is None, "never two ticks of one key at once"
    queue.done(A)
    assert queue.take(0) == A
    queue.done(A)
    assert queue.take(0) is None


def test_keys_wait_in_the_order_they_came() -> None:
    queue = WorkQueue()
    for key in (B, A, B):
        queue.add(key)
    assert (queue.take(0), queue.take(0)) == (B, A)


def test_namespaces_take_turns_so_that_hundreds_of_one_do_not_starve_another() -> None:
    queue = WorkQueue()
    crowd = [Key("crowd", str(number)) for number in range(100)]
    for key in (*crowd, A, B):
        queue.add(key)
    assert queue.depth == 102
    assert [queue.take(0) for _ in range(5)] == [crowd[0], A, crowd[1], B, crowd[2]]
    queue.add(A)
    queue.done(A)
    assert [queue.take(0) for _ in range(3)] == [crowd[3], A, crowd[4]]


def test_closing_lets_waiting_workers_go() -> None:
    queue = WorkQueue()
    taken: list[Key | None] = []
    worker = threading.Thread(target=lambda: taken.append(queue.take()))
    worker.start()
    queue.close()
    worker.join(5)
    queue.add(A)
    assert (taken, queue.take(0)) == ([None], None)


def test_a_new_due_time_replaces_the_one_before() -> None:
    schedule = Schedule()
    schedule.put(A, START + timedelta(seconds=10))
    schedule.put(A, START + timedelta(seconds=60))
    schedule.put(B, START + timedelta(seconds=20))
    assert schedule.next_due() == START + timedelta(seconds=20)
    assert schedule.pop_due(START + timedelta(seconds=30)) == (B,)
    assert schedule.pop_due(START + timedelta(seconds=60)) == (A,)
    assert (len(schedule), schedule.next_due()) == (0, None)


def test_a_dropped_key_is_never_due() -> None:
    schedule = Schedule()
    schedule.put(A, START)
    schedule.drop(A)
    assert schedule.pop_due(START + timedelta(days=1)) == ()


def test_waits_double_to_a_minute_and_start_anew_after_success() -> None:
    backoff = Backoff()
    waits = [backoff.next_delay(A, "Unavailable") for _ in range(8)]
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]
    backoff.reset(A)
    assert backoff.next_delay(A, "Unavailable") == 1
    assert backoff.next_delay(B, None) == 5


def test_a_tuning_is_missed_when_two_lists_in_a_row_know_more() -> None:
    lag = WatchLag()
    assert lag.compare({A: "7"}, {A: "5"}, now=0.0) == frozenset()
    assert lag.compare({A: "7"}, {A: "7"}, now=100.0) == frozenset(), "it was on its way"
    assert lag.compare({A: "9"}, {A: "7"}, now=200.0) == frozenset()
    assert lag.compare({A: "9", B: "8"}, {A: "7"}, now=300.0) == {A}
    assert lag.seconds(420.0) == 120.0
    lag.heard()
    assert lag.seconds(500.0) == 0.0


def test_our_own_newer_write_is_no_lag() -> None:
    lag = WatchLag()
    for now in (0.0, 100.0):
        assert lag.compare({A: "7"}, {A: "9"}, now) == frozenset()
