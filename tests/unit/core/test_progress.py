"""Deadlines count the time in which somebody looked, and no other."""

from datetime import timedelta

from infertune.core.progress import looked_at, watched_seconds
from tests.builders import NOW, after, rollout_of


def test_looks_every_two_seconds_are_noted_now_and_then_and_none_is_idle() -> None:
    rollout, notes = rollout_of(started_at=NOW), 0
    for second in range(0, 600, 2):
        seen = looked_at(rollout, after(second))
        notes += seen != rollout
        rollout = seen
    assert (notes, rollout.idle_seconds) == (38, 0)
    assert watched_seconds(rollout, NOW, after(600)) == 600


def test_an_hour_without_a_look_does_not_count() -> None:
    rollout = looked_at(rollout_of(started_at=NOW), NOW)
    rollout = looked_at(rollout, after(3600))
    assert (rollout.idle_seconds, rollout.seen_at) == (3600, after(3600))
    assert watched_seconds(rollout, NOW, after(3610)) == 10
    rollout = looked_at(rollout, after(7200))
    assert watched_seconds(rollout, NOW, after(7200)) == 0


def test_a_clock_that_jumps_back_makes_no_negative_time() -> None:
    rollout = looked_at(rollout_of(started_at=NOW), NOW)
    assert looked_at(rollout, NOW - timedelta(hours=1)) == rollout
    assert watched_seconds(rollout, NOW, NOW - timedelta(hours=1)) == 0
    assert watched_seconds(rollout, None, after(5)) == 0
