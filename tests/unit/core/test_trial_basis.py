"""Which trials still answer: of the same server, of candidates that count, at rates low enough."""

from typing import Any

import pytest

from infertune.api.status import Configuration, RolloutStatus
from infertune.core.resolve import Resolved, resolve
from infertune.core.trial_basis import (
    answers_this_spec,
    finished,
    interrupted,
    kept_trials,
    spec_digest,
    trial_basis,
)
from tests.builders import (
    IMAGE,
    NOW,
    OTHER_IMAGE,
    after,
    container_of,
    decide,
    deployment_of,
    raw_spec,
    rollout_of,
    snapshot_of,
    spec_of,
    status_of,
    target_of,
    trial_of,
    tuning_of,
)

TODAY = (Configuration(batch_size=1, image=IMAGE),)
KNOBS = raw_spec()["knobs"]


def basis(container: Any = None, maps: Any = None, **changes: Any) -> str:
    spec = changes.pop("spec", spec_of())
    snapshot = snapshot_of(target=target_of(deployment_of(container, **changes)))
    resolved = resolve(snapshot, spec)
    assert isinstance(resolved, Resolved)
    return trial_basis(spec, resolved, maps or {})


def test_what_a_trial_sets_itself_is_not_part_of_the_basis() -> None:
    same = container_of("16", image=OTHER_IMAGE)
    assert basis(same) == basis()
    assert basis(container_of(None)) == basis()


@pytest.mark.parametrize(
    "world",
    [
        {"container": container_of(resources={"limits": {"cpu": "2"}})},
        {"container": container_of(env=[{"name": "LOG_LEVEL", "value": "debug"}])},
        {"container": container_of(args=["--threads", "2"])},
        {"pod": {"nodeSelector": {"gpu": "a100"}}},
        {"pod": {"containers": [container_of(), {"name": "mesh", "image": "mesh:1"}]}},
    ],
    ids=["resources", "another variable", "arguments", "other nodes", "a side-car"],
)
def test_another_server_is_another_basis(world: dict[str, Any]) -> None:
    spec = spec_of(targetRef={"name": "resnet", "container": "server"})
    assert basis(spec=spec, **world) != basis(spec=spec)


def test_a_flag_is_taken_out_of_the_arguments_and_the_rest_counts() -> None:
    flag = {"batchSize": {"argument": "--batch", "values": [1, 4]}, "replicas": KNOBS["replicas"]}
    spec = spec_of(knobs=flag)
    four = container_of(args=["--model", "m", "--batch=4"])
    assert basis(four, spec=spec) == basis(container_of(args=["--model", "m"]), spec=spec)
    assert basis(four, spec=spec) != basis(container_of(args=["--batch=4"]), spec=spec)


def test_another_request_body_or_golden_answer_is_another_basis() -> None:
    spec = spec_of(
        load={"payloadRef": {"configMap": "body"}}, quality={"goldenConfigMap": "golden"}
    )
    maps = {"body": {"body.json": "1"}, "golden": {"golden.json": "[]"}}
    assert basis(spec=spec, maps=maps) == basis(spec=spec, maps=dict(maps))
    for name, content in (("body", {"body.json": "2"}), ("golden", {"golden.json": "[1]"})):
        assert basis(spec=spec, maps={**maps, name: content}) != basis(spec=spec, maps=maps)


def test_a_result_about_the_candidate_is_kept_and_bad_luck_is_not() -> None:
    good, crashed = trial_of(4, 30.0), trial_of(16, phase="Failed", reason="OutOfMemory")
    luck = [
        trial_of(1, phase="Running"),
        trial_of(1, phase="Invalid", reason="Evicted"),
        trial_of(1, phase="Failed", reason="NoCapacity"),
        trial_of(1, phase="Failed", reason="NotReady"),
    ]
    assert finished((good, *luck, crashed)) == (good, crashed)


def test_a_candidate_that_nobody_names_any_more_is_dropped_and_todays_stays() -> None:
    trials = (trial_of(1, 10.0), trial_of(4, 20.0), trial_of(16, 30.0))
    spec = spec_of(knobs=KNOBS | {"batchSize": {"env": "MAX_BATCH", "values": [16]}})
    assert kept_trials(trials, spec, TODAY) == (trials[0], trials[2])
    other = (trial_of(16, 30.0, image=OTHER_IMAGE),)
    assert kept_trials(other, spec, TODAY) == ()
    assert kept_trials(other, spec_of(knobs=KNOBS | {"images": [OTHER_IMAGE]}), TODAY) == other


def test_a_trial_that_carried_nothing_says_nothing_about_lower_rates_than_it_met() -> None:
    """Peak 60 over at most 6 replicas is 10/s at least; peak 30 is 5/s."""
    failed = (trial_of(1, None, (10.0, "Fail"), (20.0, "Fail")),)
    assert kept_trials(failed, spec_of(), TODAY) == failed
    lower = spec_of(demand={"peakRequestsPerSecond": 30})
    assert kept_trials(failed, lower, TODAY) == ()
    assert kept_trials((trial_of(1, 10.0),), lower, TODAY) == (trial_of(1, 10.0),)
    higher = spec_of(demand={"peakRequestsPerSecond": 120})
    assert kept_trials(failed, higher, TODAY) == failed


def test_a_running_trial_is_interrupted_and_the_others_are_as_they_were() -> None:
    done, running = trial_of(1, 10.0), trial_of(4, phase="Running")
    first, second = interrupted((done, running), "suspended")
    assert first == done
    assert (second.phase, second.reason, second.message) == ("Invalid", "Interrupted", "suspended")


def test_a_status_answers_the_generation_it_names_or_a_spec_with_its_digest() -> None:
    digest = spec_digest(spec_of())
    assert answers_this_spec(tuning_of(status_of()))
    assert not answers_this_spec(tuning_of(status_of(), generation=2))
    known = status_of(spec_digest=digest)
    assert answers_this_spec(tuning_of(known, spec_of(suspend=True), generation=2))
    assert not answers_this_spec(tuning_of(known, spec_of(mode="Recommend"), generation=2))
    lost = known.model_copy(update={"observed_generation": 0})
    assert not answers_this_spec(tuning_of(lost, generation=2))


def begun(rollout: RolloutStatus | None) -> int:
    """Return how many of one trial a new generation starts with."""
    status = status_of("Halted", trials=(trial_of(4, 30.0),), trial_basis="x", rollout=rollout)
    return len(decide(status, generation=2).status.trials)


def test_trials_whose_choice_broke_the_promise_on_live_traffic_are_not_believed_again() -> None:
    assert begun(None) == 1
    assert begun(rollout_of(verdict="Inconclusive")) == 1
    assert begun(rollout_of(verdict="Fail")) == 0


def test_the_wall_clock_of_kept_trials_runs_from_the_new_start() -> None:
    from infertune.core.budget import spent_now

    trials = (trial_of(4, 30.0),)
    assert spent_now(spec_of(), trials, after(100), None).wall_clock_seconds == 220.0
    assert spent_now(spec_of(), trials, after(100), NOW).wall_clock_seconds == 100.0
