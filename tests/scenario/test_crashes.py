"""The operator dies at every single write, and the end is the same.

A story is run once to count its writes. Then it is run again for each of them, and killed just
after that write, so that the operator never learns whether it happened. To the cluster that is the
same as killed just before the next write: effects and status writes are counted alike. A new
operator starts with nothing but what the cluster holds. The same for a 409 on each status write.
At every point in between, each object is wholly old or wholly new, and the autoscaler's bounds
suffice for the template that stands.
"""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import pytest

from infertune.ports import Conflict
from tests.fakes.cases import IMAGE
from tests.fakes.harness import OperatorKilled
from tests.fakes.metrics import steady
from tests.scenario.stories import LIVE_RATE, Stage

OLD, NEW = (IMAGE, "1"), (IMAGE, "16")
OLD_BOUNDS, WIDE_BOUNDS, NEW_BOUNDS = (2, 2), (2, 3), (1, 3)
SAFE = {(OLD, OLD_BOUNDS), (OLD, WIDE_BOUNDS), (NEW, WIDE_BOUNDS), (NEW, NEW_BOUNDS)}


@dataclass(frozen=True, slots=True)
class End:
    """What must be the same however often the operator died."""

    state: str
    values: tuple[str, str | None]
    bounds: tuple[int, int]
    spec: dict[str, Any]
    annotated: bool
    jobs: tuple[str, ...]
    trials: tuple[tuple[int | None, str], ...]


SHORT: dict[str, Any] = {
    "mode": "Apply",
    "probes": {"benchmark": "Disabled"},
    "knobs": {
        "batchSize": {"env": "MAX_BATCH_SIZE", "values": [16]},
        "replicas": {"min": 1, "max": 4},
    },
}


def happy() -> Stage:
    stage = Stage(**SHORT)
    stage.world.seconds_by_role["load"] = 4.0
    stage.step_seconds = 3.0
    return stage


def broken_promise() -> Stage:
    stage = happy()
    stage.live = lambda query: steady(query, 150.0 if stage.values() == OLD else 900.0, LIVE_RATE)
    return stage


STORIES = {"applied and verified": happy, "rolled back": broken_promise}
ENDS = {"applied and verified": ("Stable", NEW), "rolled back": ("Halted", OLD)}


@pytest.mark.parametrize("story", STORIES)
def test_killed_at_every_write_the_story_ends_the_same(
    story: str, capsys: pytest.CaptureFixture[str]
) -> None:
    undisturbed = STORIES[story]()
    undisturbed.settle()
    wanted, writes = end_of(undisturbed), list(undisturbed.cluster.writes)
    assert (wanted.state, wanted.values) == ENDS[story]
    kills = [("before", 0), *(("after", number) for number in range(len(writes)))]
    for when, number in kills:
        stage = STORIES[story]()
        play_with_a_kill(stage, when, number)
        assert end_of(stage) == wanted, f"killed {when} write {number}, {writes[number]}"
    with capsys.disabled():
        print(f"\n{story}: {len(writes)} writes, {len(kills)} kills, one end")  # noqa: T201  # the count is part of the claim


@pytest.mark.parametrize("story", STORIES)
def test_a_conflict_at_each_status_write_changes_nothing_about_the_end(story: str) -> None:
    undisturbed = STORIES[story]()
    undisturbed.settle()
    count = undisturbed.cluster.writes.count("record_status")
    for number in range(count):
        stage = STORIES[story]()
        stage.cluster.before = at_call(number, {"record_status"}, Conflict("it has moved on"))
        stage.settle()
        assert end_of(stage) == end_of(undisturbed), f"409 at status write {number}"


@pytest.mark.parametrize("story", STORIES)
def test_half_of_all_writes_fail_and_the_end_is_still_the_same(story: str) -> None:
    undisturbed = STORIES[story]()
    undisturbed.settle()
    stage = STORIES[story]()
    calls = iter(range(10**6))

    def fail_half(method: str) -> None:
        if sha256(str(next(calls)).encode()).digest()[0] % 2:
            msg = f"409 at {method}"
            raise Conflict(msg)

    stage.cluster.before = fail_half
    stage.settle()
    assert end_of(stage) == end_of(undisturbed)


def play_with_a_kill(stage: Stage, when: str, number: int) -> None:
    """Settle the stage, with one kill at the given write and a look at the mix after each write."""
    kill = at_call(number, None, OperatorKilled())

    def look(method: str) -> None:
        assert (stage.values(), stage.bounds()) in SAFE
        if when == "after":
            kill(method)

    stage.cluster.after = look
    if when == "before":
        stage.cluster.before = kill
    try:
        stage.settle()
    except OperatorKilled:
        assert (stage.values(), stage.bounds()) in SAFE
        stage.harness.start_operator()
        stage.settle()


def at_call(number: int, methods: set[str] | None, error: BaseException) -> Callable[[str], None]:
    """Return a hook that raises once, at the call with this number (among these methods)."""
    seen = iter(range(10**6))

    def hook(method: str) -> None:
        if (methods is None or method in methods) and next(seen) == number:
            raise error

    return hook


def end_of(stage: Stage) -> End:
    status = stage.status()
    return End(
        state=stage.state(),
        values=stage.values(),
        bounds=stage.bounds(),
        spec=stage.target()["spec"],
        annotated=bool(stage.annotations()),
        jobs=tuple(stage.jobs()),
        trials=tuple((t.candidate.batch_size, t.phase) for t in status.trials),
    )
