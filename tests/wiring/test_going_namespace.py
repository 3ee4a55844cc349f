"""A namespace is deleted under a tuning: it really goes, and the operator holds nothing of it.

The API server's own namespace controller deletes what is in it, in its order; an operator with the
chart's rights finishes what it had begun. Where a kubelet would, the test takes dead pods away.
"""

import sys
import uuid
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import pytest

from infertune.adapters.kube.connection import Request
from infertune.adapters.kube.paths import object_path
from infertune.api.status import TuningStatus
from infertune.ports import Conflict, Gone
from tests.wiring.conftest import Operators
from tests.wiring.moments import begin, has_job, in_a_rollout, in_a_trial, is_written
from tests.wiring.plane import OperatorProcess, Plane, eventually, written_by
from tests.wiring.scenery import Scenery, StubPrometheus, scenery

pytestmark = [pytest.mark.real_api, pytest.mark.timeout(240)]
GONE_SECONDS = 90.0
# A few looks and writes meet what is gone already; an error loop costs hundreds.
MOST_REFUSALS = 20


@dataclass(frozen=True, slots=True)
class Moment:
    """A point of a tuning's life: its mode, the status to begin with, what shows that it is met."""

    mode: str
    status: Callable[[Scenery], TuningStatus | None]
    reached: Callable[[Scenery], bool]


MOMENTS = {
    "probing": Moment("Recommend", lambda _: None, lambda place: bool(place.jobs())),
    "in a trial": Moment("Apply", in_a_trial, lambda place: has_job(place, "server")),
    "in a rollout": Moment("Apply", in_a_rollout, is_written),
}


@pytest.mark.parametrize("name", MOMENTS)
def test_a_namespace_with_a_tuning_in_it_goes(
    name: str, plane: Plane, operators: Operators, prometheus: StubPrometheus
) -> None:
    moment = MOMENTS[name]
    place = scenery(plane, f"going-{uuid.uuid4().hex[:6]}", prometheus.url)
    place.add_tuning(mode=moment.mode)
    begin(place, moment.status(place))
    operator = operators.start("operator")
    eventually(lambda: moment.reached(place), f"it is {name}", 60.0)

    asked_before = len(plane.audited())
    plane.admin.send(Request("DELETE", f"/api/v1/namespaces/{place.namespace}"))
    took = eventually(lambda: gone(place), "the namespace is gone", GONE_SECONDS)

    eventually(lambda: operator.health()["problems"] == [], "it is well")
    refused = refusals(plane, operator, place, asked_before)
    sys.stdout.write(f"{name}: gone after {took:.0f} s; refused: {dict(refused)}\n")
    assert sum(refused.values()) <= MOST_REFUSALS, refused
    assert [line for line in operator.lines() if line["level"] in {"error", "critical"}] == []


def gone(place: Scenery) -> bool:
    """Take away pods that nobody else would, and say whether the namespace is gone."""
    for pod in place.pods():
        if "deletionTimestamp" in pod["metadata"]:
            path = object_path("v1", "Pod", place.namespace, pod["metadata"]["name"])
            with suppress(Gone, Conflict):
                place.plane.admin.send(Request("DELETE", path, (), {"gracePeriodSeconds": 0}))
    try:
        place.plane.admin.get(f"/api/v1/namespaces/{place.namespace}")
    except Gone:
        return True
    return False


def refusals(
    plane: Plane, operator: OperatorProcess, place: Scenery, since: int
) -> Counter[tuple[str, str, int]]:
    """Return what the API server has refused to this operator since, by verb, resource and code."""
    return Counter(
        (line["verb"], line["objectRef"]["resource"], line["responseStatus"]["code"])
        for line in plane.audited()[since:]
        if written_by(line) == operator.token_id
        and (line.get("objectRef") or {}).get("namespace") == place.namespace
        and line["responseStatus"]["code"] >= 400
    )
