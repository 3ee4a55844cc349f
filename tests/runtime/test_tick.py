"""One tick: the order of things, and what stays when something fails on the way."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from infertune.api.status import TuningStatus
from infertune.api.v1alpha1 import KIND
from infertune.core.evidence import NoData
from infertune.core.plan import CreateObject, Event, Plan, SetFinalizer
from infertune.core.snapshot import Snapshot
from infertune.ports import (
    ClusterError,
    Conflict,
    FieldTaken,
    Forbidden,
    Gone,
    Refused,
    Unavailable,
)
from tests.fakes import cases
from tests.fakes.clock import FakeClock
from tests.fakes.cluster import FakeCluster
from tests.fakes.controllers import World
from tests.fakes.harness import Harness, OperatorKilled
from tests.fakes.metrics import FakeMetrics

Decide = Callable[[Snapshot], Plan]


def config_map(name: str = "made") -> CreateObject:
    owner = {"uid": "uid-0004", "controller": True}
    metadata = {"namespace": "default", "name": name, "ownerReferences": [owner]}
    return CreateObject({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})


def forward(snapshot: Snapshot) -> Plan:
    """Make one object, say so, and look again in ten seconds."""
    status = snapshot.tuning.status.model_copy(
        update={"state": "Probing", "observed_generation": snapshot.tuning.generation}
    )
    told = (Event("Normal", "Made", "made it"),)
    return Plan(status, (config_map(),), told, 10.0, "made it", {"why": "test"})


def harness(decide: Decide) -> Harness:
    cluster = FakeCluster(FakeClock())
    cases.fill(cluster)
    metrics = FakeMetrics(lambda _: NoData("Missing", "nothing"))
    return Harness(cluster, metrics, World(serve=cases.served_p95), decide)


def writes(story: Harness) -> list[str]:
    return [*story.cluster.writes, *(["event"] * len(story.cluster.events))]


def test_effects_then_status_then_events_then_rest() -> None:
    story = harness(forward)
    story.run_due()
    assert writes(story) == ["create_object", "record_status", "event"]
    assert story.status(cases.TUNING).state == "Probing"
    due = story.clock.now() + timedelta(seconds=10)
    assert story.engine.schedule.next_due() == due


def test_an_equal_status_is_not_written_again() -> None:
    story = harness(lambda snapshot: Plan(TuningStatus(state="Stable"), requeue_seconds=5.0))
    story.run_due()
    story.step(5)
    story.step(5)
    assert story.cluster.writes == ["record_status"]


@pytest.mark.parametrize(
    ("error", "condition", "retry_seconds"),
    [
        pytest.param(Unavailable("down"), None, 1.0, id="we try again soon"),
        pytest.param(Conflict("moved"), None, 0.2, id="we look again at once"),
        pytest.param(Gone("no target"), None, 0.5, id="the next look finds out"),
        pytest.param(Forbidden("rbac"), ("Stalled", "True", "Forbidden"), 10.0, id="a human acts"),
        pytest.param(Refused("quota"), ("Ready", "False", "Refused"), 10.0, id="a policy says no"),
        pytest.param(
            FieldTaken("spec.x", "helm", "holds 7"),
            ("FieldConflict", "True", "FieldTaken"),
            0.2,
            id="somebody else's field",
        ),
    ],
)
def test_a_failed_effect_keeps_the_state_of_before(
    error: ClusterError, condition: tuple[str, str, str] | None, retry_seconds: float
) -> None:
    story = harness(forward)
    story.cluster.fail("create_object", error)
    story.run_due()
    status = story.status(cases.TUNING)
    assert status.state == "Pending", "the plan's status was not recorded"
    assert story.cluster.events == [], "nothing is told that did not happen"
    found = [(c.type, c.status, c.reason) for c in status.conditions]
    assert found == [] if condition is None else condition in found
    due = story.clock.now() + timedelta(seconds=retry_seconds)
    assert story.engine.schedule.next_due() == due

    story.step(retry_seconds)
    assert story.status(cases.TUNING).state == "Probing", "the next tick did the same again"


def test_recovery_takes_the_stall_back() -> None:
    story = harness(forward)
    story.cluster.fail("create_object", Refused("quota"))
    story.run_due()
    story.step(10)
    found = {c.type: (c.status, c.reason) for c in story.status(cases.TUNING).conditions}
    assert found["Stalled"] == ("False", "Recovered")
    assert found["Ready"] == ("True", "Recovered")


def test_the_first_failing_effect_stops_the_list() -> None:
    def three(snapshot: Snapshot) -> Plan:
        effects = (config_map("one"), config_map("two"), config_map("three"))
        return Plan(snapshot.tuning.status, effects)

    story = harness(three)
    made: list[str] = []

    def refuse_second(method: str) -> None:
        if method == "create_object":
            made.append(method)
            if len(made) == 2:
                raise Unavailable("down")

    story.cluster.before = refuse_second
    story.run_due()
    names = [raw["metadata"]["name"] for raw in story.cluster.store.all("ConfigMap")]
    assert names == ["one"]


def test_the_finalizers_new_version_serves_the_status_of_the_same_tick() -> None:
    def hold(snapshot: Snapshot) -> Plan:
        status = snapshot.tuning.status.model_copy(update={"state": "Applying"})
        return Plan(status, (SetFinalizer(present=True),))

    story = harness(hold)
    story.run_due()
    assert story.cluster.writes[:2] == ["set_finalizer", "record_status"]
    assert story.cluster.calls.count("fetch_tuning") == 0, "no conflict, no second look"
    assert story.status(cases.TUNING).state == "Applying"


def test_a_status_conflict_reads_anew_and_goes_on() -> None:
    story = harness(forward)
    story.cluster.fail("record_status", Conflict("moved"))
    story.run_due()
    assert story.status(cases.TUNING).state == "Pending"
    story.step(1)
    assert story.status(cases.TUNING).state == "Probing"


def test_a_bug_in_the_decision_stops_one_tick_not_the_operator() -> None:
    calls: list[int] = []

    def broken_once(snapshot: Snapshot) -> Plan:
        calls.append(1)
        if len(calls) == 1:
            raise ZeroDivisionError
        return forward(snapshot)

    story = harness(broken_once)
    story.run_due()
    story.step(5)
    assert story.status(cases.TUNING).state == "Probing"


def test_a_vanished_tuning_leaves_nothing_due() -> None:
    story = harness(forward)
    story.run_due()
    story.cluster.store.delete(KIND, "default", "demo")
    story.run_due()
    assert (len(story.engine.schedule), story.engine.queue.depth) == (0, 0)


def test_a_deletion_that_no_watch_told_is_found_by_the_list() -> None:
    story = harness(forward)
    story.run_due()
    story.cluster.store.listeners.clear()
    story.cluster.store.delete(KIND, "default", "demo")
    story.engine.resync()
    story.run_due()
    assert len(story.engine.schedule) == 0


def test_a_change_that_no_watch_told_is_found_by_the_second_list() -> None:
    story = harness(forward)
    story.run_due()
    story.cluster.store.listeners.clear()
    story.cluster.store.edit(
        KIND, "default", "demo", lambda raw: raw["spec"]["slo"].update(latencyMilliseconds=99)
    )
    story.engine.resync()
    story.engine.resync()
    story.run_due()
    assert story.status(cases.TUNING).observed_generation == 2


def test_a_killed_operator_begins_again_from_what_was_recorded() -> None:
    story = harness(forward)

    def die(method: str) -> None:
        if method == "create_object":
            raise OperatorKilled

    story.cluster.after = die
    with pytest.raises(OperatorKilled):
        story.run_due()
    assert story.status(cases.TUNING).state == "Pending"
    story.cluster.after = lambda _: None
    story.start_operator()
    story.run_due()
    assert story.status(cases.TUNING).state == "Probing"
    assert len(story.cluster.store.all("ConfigMap")) == 1, "made once, found the second time"


def test_stable_targets_are_not_read_again_while_nothing_moves() -> None:
    """Two hundred looks of a stable tuning: one read of its target, no write."""

    def rest(snapshot: Snapshot) -> Plan:
        status = snapshot.tuning.status.model_copy(
            update={"state": "Stable", "observed_generation": snapshot.tuning.generation}
        )
        return Plan(status, requeue_seconds=2.0)

    story = harness(rest)
    story.step(5)
    story.step(5)
    before = list(story.cluster.calls)
    for _ in range(200):
        story.step(2)
    assert set(story.cluster.calls[len(before) :]) == {
        "list_tunings",
        "list_owned",
    }, "the periodic lists alone"
