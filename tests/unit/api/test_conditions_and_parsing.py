"""Conditions, and parsing at the edge: what is wrong is a value and names its field."""

from datetime import timedelta

from infertune.api.conditions import CONDITION_TYPES, Observation, first_conditions, set_condition
from infertune.api.status import TuningStatus
from infertune.api.v1alpha1 import SpecError, parse_spec, parse_status
from tests.builders import NOW, intent_between, raw_spec, rollout_of, status_of, trial_of

LATER = NOW + timedelta(seconds=60)
YES = Observation("Ready", "True", "Watched", "yes")


def test_every_condition_is_unknown_before_anything_was_observed() -> None:
    first = first_conditions(NOW, 3)
    assert [c.type for c in first] == list(CONDITION_TYPES)
    assert {(c.status, c.reason, c.observed_generation) for c in first} == {
        ("Unknown", "NotObservedYet", 3)
    }


def test_the_time_of_a_condition_moves_only_with_its_status() -> None:
    first = set_condition((), YES, NOW, 1)
    same = set_condition(first, Observation("Ready", "True", "Recovered", "again"), LATER, 2)
    other = set_condition(same, Observation("Ready", "False", "Forbidden", "no"), LATER, 2)
    assert [c.last_transition_time for (c,) in (first, same, other)] == [NOW, NOW, LATER]
    assert same[0].reason == "Recovered"
    assert len(set_condition(other, Observation("Stalled", "True", "x", "y" * 5000), NOW, 1)) == 2


def test_a_message_is_cut_to_what_the_schema_allows() -> None:
    (found,) = set_condition((), Observation("Ready", "False", "x", "y" * 5000), NOW, 1)
    assert len(found.message) == 2048


def test_every_problem_of_a_spec_is_named_with_its_path() -> None:
    broken = raw_spec(slo={"latencyMilliseconds": 0, "percentile": 42}, mode="apply")
    found = parse_spec(broken)
    assert isinstance(found, SpecError)
    text = str(found)
    assert "spec.slo.latencyMilliseconds: " in text
    assert "(got 0)" in text
    assert "spec.mode: " in text
    assert len(found.problems) == 3


def test_a_recorded_status_reads_back_as_it_was_written() -> None:
    status = status_of(
        "Verifying", rollout=rollout_of(intent_between()), trials=(trial_of(4, 30.0),)
    )
    raw = status.model_dump(mode="json", by_alias=True, exclude_none=True)
    assert parse_status(raw) == status


def test_an_open_rollout_is_not_forgotten_because_another_field_cannot_be_read() -> None:
    status = status_of("Verifying", rollout=rollout_of(intent_between()))
    raw = status.model_dump(mode="json", by_alias=True, exclude_none=True)
    read = parse_status(raw | {"trials": "none", "spent": {"trials": "many"}})
    assert (read.state, read.rollout, read.trials) == ("Verifying", status.rollout, ())


def test_a_status_of_a_foreign_hand_starts_anew() -> None:
    assert parse_status({"state": "Sleeping"}) == TuningStatus()
