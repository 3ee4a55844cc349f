"""Two operators as real processes on a real API server: one writes, the other waits.

The tuning's probes are Jobs that no node ever runs, so whoever leads makes them once and looks at
them again and again.
"""

import signal
import uuid
from typing import Any

import pytest

from infertune.runtime.lease import Terms
from tests.wiring.conftest import Operators
from tests.wiring.plane import OperatorProcess, Plane, eventually, written_by
from tests.wiring.scenery import StubPrometheus, scenery

pytestmark = [pytest.mark.real_api, pytest.mark.timeout(180)]
TERMS = Terms()
# A look every two seconds, and a machine that is busy with other things.
SLACK_SECONDS = 6.0


def writes(plane: Plane, writer: OperatorProcess) -> list[dict[str, Any]]:
    """Return the writes to anything but the Lease that the API server got from a process."""
    return [
        line
        for line in plane.audited()
        if line["verb"] not in {"get", "list", "watch"}
        and line["objectRef"]["resource"] != "leases"
        and written_by(line) == writer.token_id
    ]


def test_the_second_waits_ready_and_takes_over_when_the_first_is_killed(
    plane: Plane, operators: Operators, prometheus: StubPrometheus
) -> None:
    place = scenery(plane, f"two-{uuid.uuid4().hex[:6]}", prometheus.url)
    first = operators.start("first")
    eventually(first.leads, "the first leads")
    second = operators.start("second")
    waits = "waiting: the Lease is held by "
    eventually(lambda: any(waits in line["message"] for line in second.lines()), "it says so")
    told = second.health("/readyz")
    assert told["problems"] == [], "who waits is ready"
    assert told["detail"].startswith(waits)
    place.add_tuning()
    eventually(lambda: len(place.jobs()) > 0, "the first makes probes")
    eventually(lambda: place.state() == "Probing", "and says so")

    first.signal(signal.SIGKILL)
    took = eventually(second.leads, "the second leads", TERMS.term_seconds + SLACK_SECONDS)
    assert took > TERMS.hold_seconds, "not before the first has stopped for certain"
    eventually(lambda: second.health("/readyz")["problems"] == [], "its watches have begun")
    marked = place.edit_tuning({"spec": {"probes": {"benchmark": "Disabled"}}})
    eventually(lambda: place.observed_generation() == marked, "the second works")
    eventually(lambda: place.state() == "Probing", "from where it begins anew")
    created = [
        line["objectRef"]["name"]
        for line in (*writes(plane, first), *writes(plane, second))
        if (line["verb"], line["objectRef"]["resource"]) == ("create", "jobs")
        and line["objectRef"]["namespace"] == place.namespace
        and line["responseStatus"]["code"] == 201
    ]
    assert len(created) == len(set(created)), "no probe and no trial was started twice"
    assert created


def test_a_stopped_leader_that_wakes_up_writes_nothing_and_ends(
    plane: Plane, operators: Operators, prometheus: StubPrometheus
) -> None:
    place = scenery(plane, f"stop-{uuid.uuid4().hex[:6]}", prometheus.url)
    first = operators.start("first")
    eventually(first.leads, "the first leads", TERMS.term_seconds + SLACK_SECONDS)
    second = operators.start("second")
    place.add_tuning()
    eventually(lambda: place.state() == "Probing", "the first works")

    first.signal(signal.SIGSTOP)
    eventually(second.leads, "the second leads", TERMS.term_seconds + SLACK_SECONDS)
    # Something to do is waiting for the sleeper: a change of the spec, told by its watch.
    generation = place.edit_tuning({"spec": {"slo": {"latencyMilliseconds": 111}}})
    eventually(lambda: place.observed_generation() == generation, "the second has done it")
    before = writes(plane, first)
    assert before
    first.signal(signal.SIGCONT)
    assert first.child.wait(45) == 1, "it ends, to start again as the one who waits"
    assert any("took the Lease; ending" in line["message"] for line in first.lines())
    assert writes(plane, first) == before
    assert second.leads()


def test_a_leader_that_is_told_to_end_hands_over_at_once(
    plane: Plane, operators: Operators
) -> None:
    first = operators.start("first")
    eventually(first.leads, "the first leads", TERMS.term_seconds + SLACK_SECONDS)
    second = operators.start("second")
    first.signal(signal.SIGTERM)
    took = eventually(second.leads, "the second leads", TERMS.hold_seconds)
    assert took < TERMS.hold_seconds
    assert first.child.wait(20) == 0
