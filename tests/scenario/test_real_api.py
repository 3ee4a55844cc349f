"""A sample of kill points on a real API server: real objects, the real adapter, the same end.

The stage, the stories and the checks are those of the fakes; see ``real_world``. The API server is
one of this test's own, without controllers: the simulated ones move the objects.
"""

from collections.abc import Iterator

import pytest

from devcluster.binaries import missing_binaries
from devcluster.control_plane import PROGRAMS, api_server
from devcluster.settings import current
from infertune.adapters.kube.connection import Connection, load_configuration
from tests.conformance.stages import install_crd
from tests.scenario import tally
from tests.scenario.disturbances import KILLED, Point
from tests.scenario.play import play, points, undisturbed
from tests.scenario.real_world import make_ready, on_the_real_server
from tests.scenario.tales import BOOK

pytestmark = [pytest.mark.real_api, pytest.mark.timeout(1800)]
STORIES = ("applied and verified", "rolled back")
POINTS_OF_EACH = 10 if tally.EVERY_POINT else 2


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    settings = current()
    if missing_binaries(settings, PROGRAMS):
        pytest.fail("no programs in the cache: run `python -m devcluster control-plane -- true`")
    with api_server(settings, tmp_path_factory.mktemp("api-server")) as made:
        connection = Connection(load_configuration(str(made.kubeconfig)))
        install_crd(connection)
        make_ready(connection)
        yield connection
        connection.close()


def spread(every: tuple[Point, ...], amount: int) -> tuple[Point, ...]:
    """Return this many points, evenly spread from the first to the last."""
    return tuple(every[round(n * (len(every) - 1) / (amount - 1))] for n in range(amount))


@pytest.mark.parametrize("name", STORIES)
def test_killed_on_a_real_api_server_the_story_ends_the_same(name: str, server: Connection) -> None:
    story = on_the_real_server(BOOK[name], server)
    wanted = undisturbed(story).end
    assert (wanted.state, wanted.mix) == (story.state, story.end)
    for point in spread(points(story, KILLED), POINTS_OF_EACH):
        played = play(story, point, wanted)
        assert played.keeper.fired, f"{point} was never reached"
        assert played.end == wanted, f"{name}: {point}"
        tally.on_the_server.append(f"{name}: {point}")
