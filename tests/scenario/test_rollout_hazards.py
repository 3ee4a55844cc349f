"""What may happen to an open rollout: bounds taken, the operator away, the tuning deleted."""

import json
from typing import Any

import pytest

from infertune.core.manifests.naming import ANNOTATION_LAST_GOOD, FINALIZER
from tests.fakes.cases import IMAGE, NAMESPACE
from tests.fakes.harness import OperatorKilled
from tests.scenario.stories import Stage
from tests.scenario.test_steering import BEFORE, TUNED, WHERE, at

SCALER = ("HorizontalPodAutoscaler", NAMESPACE, "server")


def take_bounds(stage: Stage, highest: int) -> None:
    def change(raw: dict[str, Any]) -> None:
        raw["spec"]["maxReplicas"] = highest

    stage.cluster.store.edit(*SCALER, change, "kubectl-edit")


def test_bounds_taken_while_the_template_rolls_out_leave_no_unverified_template() -> None:
    stage = at("Applying")
    stage.world.rollout_stuck = True
    stage.harness.until(lambda: stage.values() == TUNED)
    take_bounds(stage, 9)
    stage.world.rollout_stuck = False
    stage.settle()
    assert (stage.state(), stage.values()) == ("Halted", BEFORE)
    assert stage.bounds()[1] == 9
    assert stage.conditions()["FieldConflict"] == ("True", "FieldTaken")
    assert "Verified" not in stage.conditions()


def test_bounds_taken_before_the_template_is_written_write_nothing_more() -> None:
    stage = at("Applying")
    take_bounds(stage, 9)
    stage.settle()
    assert (stage.state(), stage.values(), stage.bounds()[1]) == ("Halted", BEFORE, 9)


def test_an_operator_that_was_away_for_an_hour_does_not_blame_the_rollout() -> None:
    stage = at("Applying")
    stage.world.rollout_stuck = True
    stage.harness.until(lambda: stage.values() == TUNED)
    stage.clock.advance(3600)
    stage.harness.start_operator()
    stage.world.rollout_stuck = False
    stage.settle()
    assert (stage.state(), stage.values()) == ("Stable", TUNED)


def test_an_operator_that_was_there_for_too_long_does() -> None:
    stage = at("Applying")
    stage.world.rollout_stuck = True
    stage.harness.until(lambda: stage.values() == TUNED)
    for _ in range(80):
        stage.harness.step(2.0)
    assert stage.values() == BEFORE
    assert "is not complete after" in stage.message("Applied")


def killed_at_each_write_of(stage: Stage, number: int) -> bool:
    """Play until this write and die right after it; False when the story has fewer."""
    seen = iter(range(10**6))

    def hook(_: str) -> None:
        if next(seen) == number:
            raise OperatorKilled

    stage.cluster.after = hook
    try:
        stage.settle()
    except OperatorKilled:
        stage.cluster.after = lambda _: None
        return True
    return False


def test_deleted_while_the_operator_is_dead_it_is_released_and_all_is_as_before() -> None:
    """At every write of the story: what is open goes back, what is verified stays."""
    points = 0
    for number in range(200):
        stage = at("Searching")
        spec = stage.target()["spec"]
        if not killed_at_each_write_of(stage, number):
            break
        verified = stage.state() == "Stable"
        stage.delete()
        stage.harness.start_operator()
        stage.until("gone", seconds=600)
        stage.harness.step(5.0)
        points += 1
        values = (stage.values(), stage.bounds(), stage.jobs())
        if verified:
            assert values == (TUNED, (1, 3), [])
        else:
            assert values == (BEFORE, (2, 2), []), f"write {number}"
            assert stage.target()["spec"] == spec
            assert stage.annotations() == {}
    assert points > 20


@pytest.mark.parametrize("state", ["Applying", "Verifying", "RollingBack"])
def test_a_target_on_its_way_out_holds_nobody_up(state: str) -> None:
    """A namespace that terminates deletes the target too; nothing is awaited or written then."""
    stage = at(state)
    stage.cluster.store.edit(
        "Deployment",
        NAMESPACE,
        "server",
        lambda raw: raw["metadata"].update(finalizers=["foregroundDeletion"]),
        "kubectl",
    )
    stage.cluster.store.delete("Deployment", NAMESPACE, "server")
    stage.delete()
    writes = stage.cluster.writes.count("apply_fields")
    stage.until("gone", seconds=30)
    assert stage.cluster.writes.count("apply_fields") == writes


def test_a_finalizer_without_an_open_rollout_does_not_stay() -> None:
    """The status was lost between the finalizer and the first write."""
    stage = at("Applying")
    stage.harness.engine.enqueue_due()
    stage.harness.run_due()
    assert FINALIZER in stage.cluster.store.read(*WHERE)["metadata"]["finalizers"]
    stage = at("Searching")
    stage.cluster.store.edit(
        *WHERE, lambda raw: raw["metadata"].update(finalizers=[FINALIZER]), "someone"
    )
    stage.cluster.store.edit(*WHERE, lambda raw: raw.pop("status"), "someone")
    stage.harness.start_operator()
    stage.until("Probing")
    assert stage.cluster.store.read(*WHERE)["metadata"]["finalizers"] == []


def test_a_verified_rollout_is_closed_on_the_target_before_an_edit_starts_anew() -> None:
    """The record says Open until then; a new look would take it for a rollout nobody judged."""
    stage = at("Stable")
    assert FINALIZER in stage.cluster.store.read(*WHERE)["metadata"]["finalizers"]
    stage.edit_spec(lambda spec: spec.update(budget={"maxTrials": 11}))
    stage.harness.until(lambda: stage.status().observed_generation == 2)
    stage.settle()
    assert (stage.state(), stage.values()) == ("Stable", (IMAGE, "16"))
    assert "IntentFound" not in [event.reason for _, event in stage.cluster.events]
    assert '"state":"Settled"' in stage.annotations()["infertune.io/last-good"]


def test_the_way_back_by_hand_stands_in_status_before_the_first_write() -> None:
    stage = at("Applying")
    rollout = stage.status().rollout
    assert rollout is not None
    assert "apply_fields" not in stage.cluster.writes
    assert rollout.restore_command is not None
    assert rollout.restore_command.startswith("kubectl -n default patch deployment server -p ")
    assert '"maxReplicas":2' in rollout.restore_command


def test_deleted_between_the_verdict_and_its_record_a_verified_rollout_counts_as_one() -> None:
    """Else the record would say Open, and the next tuning of that name would undo good values."""
    stage = at("Stable")
    assert FINALIZER in stage.cluster.store.read(*WHERE)["metadata"]["finalizers"]
    assert record_of(stage) == "Open"
    stage.delete()

    def die(method: str) -> None:
        if method == "set_finalizer":
            raise OperatorKilled

    stage.cluster.after = die
    with pytest.raises(OperatorKilled):
        stage.harness.step(5.0)
    assert (stage.state(), stage.values(), record_of(stage)) == ("gone", TUNED, "Settled")


def record_of(stage: Stage) -> str:
    return str(json.loads(stage.annotations()[ANNOTATION_LAST_GOOD])["state"])


def test_a_rollout_whose_finalizer_was_taken_by_force_is_told_and_keeps_its_way_back() -> None:
    stage = at("Verifying")
    before = stage.target()["spec"]
    stage.cluster.store.edit(
        *WHERE, lambda raw: raw["metadata"].update(finalizers=[]), "kubectl-edit"
    )
    stage.delete()
    stage.harness.run_due()
    for _ in range(3):
        stage.harness.engine.resync()
        stage.harness.step(30.0)
    assert (stage.state(), stage.values(), record_of(stage)) == ("gone", TUNED, "Open")
    assert stage.target()["spec"] == before
    assert [e.reason for _, e in stage.cluster.events].count("RolloutAbandoned") == 1


def test_a_later_tuning_of_that_name_undoes_what_was_never_judged() -> None:
    stage = at("Verifying")
    raw = stage.cluster.store.read(*WHERE)
    stage.cluster.store.edit(*WHERE, lambda one: one["metadata"].update(finalizers=[]), "kubectl")
    stage.delete()
    stage.harness.run_due()
    fresh = {"namespace": WHERE[1], "name": WHERE[2]}
    stage.cluster.store.add(
        {"apiVersion": raw["apiVersion"], "kind": raw["kind"], "metadata": fresh}
        | {"spec": raw["spec"]}
    )
    stage.harness.until(lambda: stage.values() == BEFORE)
    reasons = [event.reason for _, event in stage.cluster.events]
    assert reasons.index("RolloutAbandoned") < reasons.index("IntentFound")


def test_each_tuning_that_is_abandoned_is_told_of_though_one_of_its_name_was_before() -> None:
    stage = at("Verifying")
    raw = stage.cluster.store.read(*WHERE)
    fresh = {"namespace": WHERE[1], "name": WHERE[2]}

    def told() -> int:
        return [event.reason for _, event in stage.cluster.events].count("RolloutAbandoned")

    def abandon() -> None:
        stage.cluster.store.edit(*WHERE, lambda one: one["metadata"].update(finalizers=[]), "x")
        stage.delete()
        stage.harness.run_due()
        stage.harness.engine.resync()
        stage.harness.step(30.0)

    abandon()
    assert told() == 1
    stage.cluster.store.add(
        {"apiVersion": raw["apiVersion"], "kind": raw["kind"], "metadata": fresh}
        | {"spec": raw["spec"]}
    )
    stage.harness.until(lambda: stage.state() == "RollingBack")
    stage.harness.until(lambda: stage.state() == "Verifying")
    abandon()
    assert told() == 2
