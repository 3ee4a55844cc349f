"""A sample of kill points on a real API server: real objects, the real adapter, the same end.

The stage, the stories and the checks are those of the fakes; see ``real_world``. The API server is
one of this test's own, without controllers: the simulated ones move the objects.
"""

import json
import logging
import shlex
from collections.abc import Iterator
from dataclasses import replace

import pytest

from devcluster.binaries import missing_binaries
from devcluster.control_plane import PROGRAMS, api_server
from devcluster.settings import current
from infertune.adapters.kube.connection import (
    JSON_PATCH,
    Connection,
    Request,
    load_configuration,
)
from infertune.adapters.kube.paths import list_path, object_path
from infertune.ports import Refused
from tests.conformance.stages import install_crd
from tests.fakes.cases import NAMESPACE
from tests.scenario import tally
from tests.scenario.canaries import CANARIES, leaks_in, plant, told
from tests.scenario.disturbances import KILLED, Point
from tests.scenario.play import play, points, undisturbed
from tests.scenario.real_world import make_ready, on_the_real_server
from tests.scenario.stories import Stage
from tests.scenario.tales import BOOK
from tests.scenario.test_settings_loop import container_of, edit_container

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


def stage_with_secrets(name: str, server: Connection) -> Stage:
    """Return the stage of a story whose target holds secrets beside the flag that is turned."""
    story = BOOK[name]

    def planted() -> Stage:
        made = story.stage()
        plant(made)
        return made

    return on_the_real_server(replace(story, stage=planted), server).stage()


def test_no_argument_of_a_target_leaves_its_template_on_a_real_api_server(
    server: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    stage = stage_with_secrets("settings applied", server)
    before = container_of(stage)["args"]
    for state in ("Searching", "Applying", "Verifying", "Stable"):
        stage.until(state)
        assert leaks_in(stage) == set(), state
    events = json.dumps(server.get(list_path("v1", "Event", NAMESPACE)))
    assert '"reason": "Verified"' in events
    assert told(stage, caplog.records, events) == set()
    tuned = [*before, "--fuse=on"]
    assert container_of(stage)["args"] == tuned
    assert all(word in json.dumps(stage.target()["spec"]) for word in CANARIES[2:])
    patch = arguments_by_hand(stage)
    edit_container(stage, lambda raw: raw["args"].insert(0, "--verbose"))
    with pytest.raises(Refused):
        send(server, patch)
    edit_container(stage, lambda raw: raw["args"].pop(0))
    send(server, patch)
    assert container_of(stage)["args"] == before


def arguments_by_hand(stage: Stage) -> object:
    """Return the JSON patch that stands in the command by which a human goes back."""
    rollout = stage.status().rollout
    assert rollout is not None
    words = shlex.split(rollout.restore_command or "")
    head = ["kubectl", "-n", NAMESPACE, "patch", "deployment", "server", "--type=json", "-p"]
    assert words[:8] == head
    found: object = json.loads(words[8])
    return found


def send(server: Connection, patch: object) -> None:
    """Send a JSON patch of the target as kubectl would."""
    path = object_path("apps/v1", "Deployment", NAMESPACE, "server")
    server.send(Request("PATCH", path, (), patch, JSON_PATCH))
