"""The API server goes away, comes back, and has forgotten what was watched.

Real processes: the server is ended and started, or stopped in the middle of everything, or loses
its store. The operator is the same process before and after.
"""

import json
import signal
import time
import urllib.request
import uuid
from typing import Any

import pytest

from infertune.runtime.lease import Terms
from tests.wiring.conftest import Operators
from tests.wiring.plane import OperatorProcess, Plane, eventually
from tests.wiring.scenery import Scenery, StubPrometheus, scenery

pytestmark = pytest.mark.timeout(240)
TERMS = Terms()
# Longer than a Lease lasts and than any pause between two attempts; the minute itself, after which
# silence counts as illness, belongs to the full tier.
AWAY_SECONDS = [
    pytest.param(TERMS.term_seconds + 10.0, marks=pytest.mark.real_api, id="25 s"),
    pytest.param(60.0, marks=pytest.mark.e2e, id="60 s"),
]
START_SECONDS = TERMS.term_seconds + 10.0


def working(
    plane: Plane, operators: Operators, prometheus: StubPrometheus
) -> tuple[OperatorProcess, Scenery]:
    """Return an operator in the middle of its work."""
    place = scenery(plane, f"away-{uuid.uuid4().hex[:6]}", prometheus.url)
    operator = operators.start("operator")
    eventually(operator.leads, "it leads", START_SECONDS)
    place.add_tuning()
    eventually(lambda: place.state() == "Probing", "it works")
    return operator, place


def goes_on(operator: OperatorProcess, place: Scenery) -> None:
    """Assert that the same process leads again and does what it is told now."""
    eventually(operator.leads, "it leads on", 30.0)
    generation = place.edit_tuning({"spec": {"slo": {"latencyMilliseconds": 123}}})
    eventually(lambda: place.observed_generation() == generation, "its watches tell it", 45.0)
    assert operator.child.poll() is None, "the same process"
    assert operator.health() == {"problems": [], "detail": operator.health()["detail"]}
    crashed = [line for line in operator.lines() if line["message"] == "tick crashed"]
    assert crashed == []


def spend(operator: OperatorProcess, seconds: float) -> list[dict[str, Any]]:
    """Let time pass; return what the operator says of its health meanwhile."""
    said: list[dict[str, Any]] = []
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        said.append(operator.health())
        time.sleep(2.0)
    return said


@pytest.mark.parametrize("seconds", AWAY_SECONDS)
def test_a_minute_without_an_api_server(
    plane: Plane, operators: Operators, prometheus: StubPrometheus, seconds: float
) -> None:
    operator, place = working(plane, operators, prometheus)
    plane.end("kube-apiserver")
    try:
        said = spend(operator, seconds)
    finally:
        plane.start()
    assert [one["problems"] for one in said] == [[]] * len(said), "a restart would not help"
    assert "nothing is written" in said[-1]["detail"]
    warnings = [line for line in operator.lines() if line["level"] in {"warning", "error"}]
    assert len(warnings) < 6 * seconds, "no storm of complaints"
    goes_on(operator, place)


@pytest.mark.real_api
def test_an_api_server_that_hangs(
    plane: Plane, operators: Operators, prometheus: StubPrometheus
) -> None:
    """Connections stay open and nothing answers; what was sent may be carried out much later."""
    operator, place = working(plane, operators, prometheus)
    plane.pause("kube-apiserver")
    try:
        said = spend(operator, 2 * TERMS.hold_seconds)
    finally:
        plane.resume("kube-apiserver")
    assert [one["problems"] for one in said] == [[]] * len(said)
    assert "nothing is written" in said[-1]["detail"]
    goes_on(operator, place)


@pytest.mark.real_api
def test_watches_whose_place_was_compacted_away_begin_anew(
    plane: Plane, operators: Operators, prometheus: StubPrometheus
) -> None:
    """The store forgets its past while the watches are cut: the server answers 410 Gone."""
    operator, place = working(plane, operators, prometheus)
    gone = Scenery(plane, place.namespace, prometheus.url, "gone")
    gone.add_tuning()
    eventually(lambda: gone.observed_generation() == 1, "a second tuning is seen")
    before = known(operator)
    operator.signal(signal.SIGSTOP)
    try:
        gone.remove_tuning()
        for number in range(20):
            place.edit_tuning({"metadata": {"labels": {"turn": str(number)}}})
        plane.end("kube-apiserver")
        compact(plane)
        plane.start()
    finally:
        operator.signal(signal.SIGCONT)
    goes_on(operator, place)
    eventually(
        lambda: known(operator) == before - 1, "the deletion that nobody told is found", 30.0
    )


def known(operator: OperatorProcess) -> int:
    """Return how many tunings the operator counts."""
    with urllib.request.urlopen(f"http://127.0.0.1:{operator.metrics_port}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    return round(
        sum(float(line.split()[-1]) for line in lines if line.startswith("infertune_tunings{"))
    )


def compact(plane: Plane) -> None:
    """Make the store forget all but the newest revision."""

    def call(path: str, body: dict[str, object]) -> dict[str, Any]:
        request = urllib.request.Request(
            f"{plane.settings.etcd_url}{path}", json.dumps(body).encode(), method="POST"
        )
        with urllib.request.urlopen(request) as answer:
            return dict(json.load(answer))

    revision = call("/v3/kv/range", {"key": "AA=="})["header"]["revision"]
    call("/v3/kv/compaction", {"revision": revision, "physical": True})
