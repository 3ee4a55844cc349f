"""Somebody sets the clock in the middle of a story: an hour on, an hour back.

What waits inside the process counts a time that never jumps. What is written in status is wall
clock: an hour that seems to have passed may end a trial or a rollout too early, which costs a
result and never a whole target; an hour that seems to lie ahead makes something wait, and every
wait of that kind has a second end (a Job's own deadline, the next clock step back).
"""

from datetime import datetime, timedelta

import pytest

from tests.fakes.cases import FASTER_IMAGE, IMAGE
from tests.fakes.clock import FakeClock
from tests.scenario.stories import RESTING, Stage

HOUR = 3600.0
STATES = ("Pending", "Probing", "Searching", "Applying", "Verifying", "Stable")
BEFORE = (IMAGE, "1")
WHOLE = {BEFORE, (IMAGE, "4"), (IMAGE, "16"), (FASTER_IMAGE, "1")}


class OneMachine:
    """The clock of the operator's machine, which may be set while the cluster's is not."""

    def __init__(self, cluster: FakeClock) -> None:
        self._cluster = cluster
        self._off = timedelta()

    def now(self) -> datetime:
        return self._cluster.now() + self._off

    def steady(self) -> datetime:
        return self._cluster.steady()

    def advance(self, seconds: float) -> None:
        self._cluster.advance(seconds)

    def jump(self, seconds: float) -> None:
        """Set the clock of this machine."""
        self._off += timedelta(seconds=seconds)


def jumping(where: str, **spec: object) -> tuple[Stage, FakeClock | OneMachine]:
    """Return a stage, and the clock that jumps."""
    stage = Stage(mode="Apply", **spec)
    if where == "everywhere":
        return stage, stage.clock
    clock = OneMachine(stage.clock)
    stage.harness.clock = clock  # type: ignore[assignment]
    stage.harness.start_operator()
    return stage, clock


@pytest.mark.parametrize("where", ["everywhere", "on the operator's machine"])
@pytest.mark.parametrize("seconds", [HOUR, -HOUR], ids=["an hour on", "an hour back"])
@pytest.mark.parametrize("state", STATES)
def test_the_target_stays_whole_and_the_story_ends(state: str, seconds: float, where: str) -> None:
    stage, clock = jumping(where)
    stage.until(state)
    clock.jump(seconds)
    stage.until(*RESTING, seconds=3 * HOUR)
    for _ in range(30):
        stage.harness.step(10.0)
    assert stage.state() in RESTING
    assert stage.values() in WHOLE
    low, high = stage.bounds()
    assert 1 <= low <= high <= 6
    if stage.state() == "Halted":
        assert stage.values() == BEFORE, "what was turned back is back"


def test_a_clock_that_is_set_back_lets_nobody_sleep_for_an_hour() -> None:
    stage, clock = jumping("everywhere")
    stage.until("Stable")
    clock.jump(-HOUR)
    ticks: list[str] = []
    run = stage.harness.engine._run
    stage.harness.engine._run = lambda key: (ticks.append(str(key)), run(key))[1]
    for _ in range(130):
        stage.harness.step(1.0)
    assert len(ticks) >= 2, "the look of every minute goes on"
