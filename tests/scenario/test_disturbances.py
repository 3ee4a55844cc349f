"""Every story, with a kill or a failed call at each of its points: the end is the same.

A story is played once undisturbed, to count its calls. Then it is played again for each point: the
operator dies just after (or before) that write and a new one starts with nothing but what the
cluster holds, or that call is answered with an error. After every write and every step each object
must be wholly old or wholly new and the mix of them safe (``Story.safe``), every write must follow
from a recorded intent, and the end must be the one of the undisturbed story.
"""

import pytest

from tests.scenario import tally
from tests.scenario.book import Story, end_of
from tests.scenario.disturbances import DEAD_SECONDS, FAULTS, KILLED, KINDS, OUTAGE, Point
from tests.scenario.play import Played, play, points, undisturbed
from tests.scenario.tales import BOOK

pytestmark = pytest.mark.timeout(3600)
# Effects and methods that no story can reach, each with its reason.
UNTOLD: dict[str, str] = {}


@pytest.fixture(params=tally.mine())
def story(request: pytest.FixtureRequest) -> Story:
    return BOOK[request.param]


def test_undisturbed_the_story_ends_as_it_is_told(story: Story) -> None:
    end = undisturbed(story).end
    assert (end.state, end.mix, end.annotated) == (story.state, story.end, story.annotated)
    assert (end.jobs, end.finalizers) == ((), ())
    assert not end.managed, "a tuning that is gone owns nothing"
    assert set(end.config_maps) == set(story.leaves)


@pytest.mark.parametrize("kind", KINDS)
def test_disturbed_the_story_ends_the_same(story: Story, kind: str) -> None:
    for point in tally.chosen(story, kind):
        check(story, point)
        tally.tried[story.name, kind] += 1


def check(story: Story, point: Point) -> Played:
    """Play a story with one disturbance, and assert that it ends the same."""
    wanted = undisturbed(story).end
    try:
        played = play(story, point, wanted)
    except AssertionError as error:
        error.add_note(f"{story.name}: {point}")
        raise
    assert played.keeper.fired, f"{point} was never reached"
    assert end_of(story, played.stage) == wanted, f"{story.name}: {point}"
    return played


def test_every_effect_is_ended_by_a_kill_and_every_port_method_is_met() -> None:
    """Effects and methods are read from the code: a new one that no story uses fails here."""
    missed = tally.not_hit(tally.planned())
    assert missed["effects"] | missed["methods"] == set(UNTOLD)


@pytest.mark.parametrize("kind", [*FAULTS, KILLED, OUTAGE])
def test_every_kind_of_disturbance_meets_some_story(kind: str) -> None:
    assert any(point.kind == kind for point in tally.planned())


def test_every_write_of_every_story_is_a_point_of_each_kind_of_death() -> None:
    for story in BOOK.values():
        writes = sum(one.call.writes for one in undisturbed(story).keeper.seen)
        for kind in DEAD_SECONDS:
            assert len(points(story, kind)) == writes + 1
