"""Play a story, undisturbed or with one disturbance, and look at the world after every call.

Role: the doorkeeper that counts calls, carries out the disturbance, and checks what must hold at
every step. Trade-off: polls that see the same recorded world are one point: of the reads of one
method between two writes in one state, the first is disturbed.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from infertune.api.v1alpha1 import KIND
from infertune.core.manifests.naming import ANNOTATION_LOAN, FINALIZER
from infertune.core.rollout import ROLLOUT_OPEN
from tests.fakes.doors import Call
from tests.fakes.harness import OperatorKilled
from tests.scenario.book import Act, End, Story, end_of
from tests.scenario.disturbances import (
    DEAD_SECONDS,
    FAULTS,
    NEVER_FAIL,
    OUTAGE,
    OUTAGE_SECONDS,
    Point,
)
from tests.scenario.stories import Stage

LONGEST_SECONDS = 3600.0
RECOVERY_SECONDS = 600.0
LONGEST_REST_SECONDS = 900.0
TARGETS = frozenset({"Deployment", "StatefulSet", "HorizontalPodAutoscaler"})


@dataclass(frozen=True, slots=True)
class Seen:
    """One call of the undisturbed story, and how many writes came before it in which state."""

    call: Call
    number: int
    writes_before: int
    state: str


class Unsafe(BaseException):
    """Something was seen that must never be."""


class Keeper:
    """Stands at the doors of one stage."""

    def __init__(self, story: Story, stage: Stage, point: Point | None) -> None:
        self.story, self.stage, self.point = story, stage, point
        self.seen: list[Seen] = []
        self.fired = False
        self._writes = 0
        self._left = 0
        self._dark_until: datetime | None = None
        stage.harness.doors.keeper = self

    def __call__(self, call: Call, go: Callable[[], Any]) -> Any:
        number = len(self.seen)
        self.seen.append(Seen(call, number, self._writes, self.stage.state()))
        if not call.writes:
            return self._answered(call, number, go)
        try:
            before = Licence.of(self.stage, call)
            answer = self._answered(call, number, go)
            self._writes += 1
            check_whole(self.story, self.stage)
            if before is not None:
                before.check_after(self.stage)
        except AssertionError as error:
            # The tick guard takes every Exception for a bug of one tick; this one ends the story.
            raise Unsafe(str(error)) from error
        return answer

    def _answered(self, call: Call, number: int, go: Callable[[], Any]) -> Any:
        point = self.point
        if point is None:
            return go()
        here = number == point.number and not self.fired
        if here:
            assert call.method == point.method, "the story is not the same twice"
            self.fired = True
        if point.kind in DEAD_SECONDS:
            return self._killed(point, go) if here else go()
        if point.kind == OUTAGE:
            return self._dark(call, go, begins=here)
        fault = FAULTS[point.kind]
        if here:
            self._left = fault.times
        if self._left and call.method == point.method:
            self._left -= 1
            return fault.answer(call, go)
        return go()

    def _killed(self, point: Point, go: Callable[[], Any]) -> Any:
        if not point.before:
            go()
        raise OperatorKilled

    def _dark(self, call: Call, go: Callable[[], Any], *, begins: bool) -> Any:
        now = self.stage.clock.now()
        if begins:
            self._dark_until = now + timedelta(seconds=OUTAGE_SECONDS)
        if self._dark_until is None or now >= self._dark_until or call.method in NEVER_FAIL:
            return go()
        return FAULTS["timeout, not done"].answer(call, go)


@dataclass(frozen=True, slots=True)
class Licence:
    """What allows a write to a target: an open rollout that an earlier tick recorded.

    With none open a target's spec must be the same before and after: only our notes on it, or who
    owns a field, may change then.
    """

    place: tuple[str, str, str]
    spec: Any
    rollout_open: bool

    @classmethod
    def of(cls, stage: Stage, call: Call) -> "Licence | None":
        """Return the licence of a call that may write to a target; raise when it has none."""
        place = _place_of(call)
        if place is None:
            return None
        live = stage.cluster.store.look(*place)
        raw = stage.cluster.store.look(KIND, *stage.place())
        rollout_open = raw is not None and raw["status"]["state"] in ROLLOUT_OPEN
        if rollout_open and raw is not None and call.effect == "ApplyFields":
            intent = (raw["status"].get("rollout") or {}).get("intent")
            assert intent is not None, "a write without a recorded intent"
            held = FINALIZER in raw["metadata"].get("finalizers", ())
            assert held, "a write without the finalizer"
            document = call.args[0].document
            uids = {intent["targetUid"], intent.get("autoscalerUid")}
            assert document["metadata"]["uid"] in uids, "a write to another object than intended"
            assert "replicas" not in document.get("spec", {}), "spec.replicas is never ours"
        if raw is not None and not rollout_open:
            rollout_open = _lends(raw, call)
        elif raw is None and live is not None:
            # Of a tuning that is gone the note alone is left, and allows the return.
            rollout_open = ANNOTATION_LOAN in (live["metadata"].get("annotations") or {})
        return cls(place, live and live["spec"], rollout_open)

    def check_after(self, stage: Stage) -> None:
        """Assert that a write outside of a rollout left the spec as it was."""
        live = stage.cluster.store.look(*self.place)
        same = live is None or live["spec"] == self.spec
        assert self.rollout_open or same, f"{self.place[0]} was changed with no rollout open"


def _lends(raw: Mapping[str, Any], call: Call) -> bool:
    """Return whether this call lends a replica to trials or gives it back, as was recorded."""
    lent = raw["status"].get("borrowed")
    if lent is None or call.effect not in {"ApplyFields", "ScaleWorkload"}:
        return False
    assert FINALIZER in raw["metadata"].get("finalizers", ()), "a loan without the finalizer"
    if call.effect == "ScaleWorkload":
        assert "autoscaler" not in lent, "an autoscaler has the word on replicas"
        assert call.args[0].uid == lent["targetUid"]
    else:
        lender = lent.get("autoscalerUid") or lent["targetUid"]
        assert call.args[0].document["metadata"]["uid"] == lender
    return True


def _place_of(call: Call) -> tuple[str, str, str] | None:
    if call.effect == "ApplyFields":
        metadata = call.args[0].document["metadata"]
        place = call.args[0].document["kind"], metadata["namespace"], metadata["name"]
    elif call.effect in {"ReleaseFields", "ScaleWorkload"}:
        place = call.args[0].kind, call.args[0].namespace, call.args[0].name
    else:
        return None
    return place if place[0] in TARGETS else None


def check_whole(story: Story, stage: Stage) -> None:
    """Assert that every object is wholly old or wholly new, and the mix of them safe."""
    mix = story.mix(stage)
    assert mix in story.safe, f"{story.name}: {mix} must never be seen"
    for raw in stage.cluster.store.look_at_all("Deployment"):
        for entry in raw["metadata"]["managedFields"]:
            if entry["manager"] == "infertune":
                assert "f:replicas" not in entry["fieldsV1"].get("f:spec", {}), "replicas are ours"


@dataclass(slots=True)
class Played:
    """A story that was played to its end."""

    stage: Stage
    keeper: Keeper
    end: End


def play(story: Story, point: Point | None = None, wanted: End | None = None) -> Played:
    """Play a story to its end; with a wanted end, as long as it may take to get there."""
    try:
        return _played(story, point, wanted)
    except Unsafe as unsafe:
        raise AssertionError(str(unsafe)) from unsafe


def _played(story: Story, point: Point | None, wanted: End | None) -> Played:
    stage = story.stage()
    keeper = Keeper(story, stage, point)
    acts = list(story.acts)
    waited = rested = 0.0
    while acts or not story.rest(stage):
        assert waited < LONGEST_SECONDS, f"{story.name} rests in no state: {stage.state()}"
        passed = step(story, stage, keeper, acts)
        waited += passed
        rested = rested + passed if story.rest(stage) else 0.0
        if rested > LONGEST_REST_SECONDS:
            break  # the moment of an act has not come: the end will tell
    for _ in range(5):
        step(story, stage, keeper, acts)
    waited = 0.0
    while wanted is not None and end_of(story, stage) != wanted and waited < RECOVERY_SECONDS:
        waited += step(story, stage, keeper, acts)
    assert stage.harness.noticed.crashed_ticks == 0, "a tick crashed"
    return Played(stage, keeper, end_of(story, stage))


def step(story: Story, stage: Stage, keeper: Keeper, acts: list[Act]) -> float:
    """Let time pass once; a process that ends is started anew. Returns the seconds that passed."""
    passed = stage.step_seconds
    try:
        stage.harness.step(passed)
    except OperatorKilled:
        check_whole(story, stage)
        assert keeper.point is not None
        dead = DEAD_SECONDS[keeper.point.kind]
        while dead > 0:
            stage.clock.advance(passed)
            stage.harness.node.tick()
            dead -= passed
            passed += stage.step_seconds
            _act(stage, acts)
        stage.harness.start_operator()
    check_whole(story, stage)
    _act(stage, acts)
    return passed


def _act(stage: Stage, acts: list[Act]) -> None:
    if acts and acts[0].when(stage):
        acts.pop(0).do(stage)


@cache
def undisturbed(story: Story) -> Played:
    """Return the story as it goes when nothing goes wrong."""
    return play(story)


def points(story: Story, kind: str) -> tuple[Point, ...]:
    """Return every point at which this disturbance can meet the story."""
    return () if kind in story.not_tried else tuple(_points(story, kind))


def _points(story: Story, kind: str) -> Iterator[Point]:
    calls = [one for one in undisturbed(story).keeper.seen if one.call.writes]
    if kind in DEAD_SECONDS:
        first = calls[0]
        yield Point(kind, first.number, first.call.method, first.call.effect, before=True)
    elif kind == OUTAGE:
        calls = [one for one in calls if one.call.method not in NEVER_FAIL]
    else:
        fault = FAULTS[kind]
        fitting = [one for one in calls if fault.fits(one.call)]
        reads = [one for one in _distinct_reads(story) if fault.fits(one.call)]
        calls = [*fitting, *reads[:: fault.one_read_in]]
    for one in sorted(calls, key=lambda one: one.number):
        yield Point(kind, one.number, one.call.method, one.call.effect)


def _distinct_reads(story: Story) -> Iterator[Seen]:
    polls: set[tuple[str, int, str]] = set()
    for one in undisturbed(story).keeper.seen:
        poll = (one.call.method, one.writes_before, one.state)
        if not one.call.writes and poll not in polls:
            polls.add(poll)
            yield one
