"""A failed call becomes a condition beside the state, and goes when the next tick goes well."""

from datetime import UTC, datetime, timedelta

import pytest

from infertune.api.conditions import first_conditions
from infertune.api.status import Condition, TuningStatus
from infertune.core.failures import Failure, clear_failures, record_failure

THEN = datetime(2026, 3, 1, tzinfo=UTC)
NOW = THEN + timedelta(minutes=1)


def fresh() -> TuningStatus:
    return TuningStatus(state="Applying", conditions=first_conditions(THEN, 1))


def told(status: TuningStatus, name: str) -> tuple[str, str, str]:
    found = next(c for c in status.conditions if c.type == name)
    return found.status, found.reason, found.message


@pytest.mark.parametrize("name", ["Forbidden", "Refused", "AlreadyExists"])
def test_what_a_human_must_mend_stalls_and_recovers(name: str) -> None:
    failure = Failure(name, "no")  # type: ignore[arg-type]
    failed = record_failure(fresh(), failure, NOW, 1)
    assert failed.state == "Applying"
    assert told(failed, "Ready") == ("False", name, "no")
    assert told(failed, "Stalled") == ("True", name, "no")
    well = clear_failures(failed, NOW, 1)
    assert told(well, "Ready")[:2] == ("True", "Recovered")
    assert told(well, "Stalled")[:2] == ("False", "Recovered")


@pytest.mark.parametrize("name", ["Unavailable", "Conflict", "Gone"])
def test_what_passes_by_itself_changes_nothing(name: str) -> None:
    failure = Failure(name, "soon over")  # type: ignore[arg-type]
    assert record_failure(fresh(), failure, NOW, 1) == fresh()


def test_a_taken_field_names_field_and_owner_and_stays_until_it_is_decided() -> None:
    failure = Failure("FieldTaken", "holds '7'", "spec.minReplicas", "argocd-controller")
    failed = record_failure(fresh(), failure, NOW, 1)
    message = "spec.minReplicas (owner: argocd-controller): holds '7'"
    assert told(failed, "FieldConflict") == ("True", "FieldTaken", message)
    assert clear_failures(failed, NOW, 1) == failed


def test_a_stall_that_has_another_cause_is_left_alone() -> None:
    """An invalid spec stays the reason of the stall, even when a write is refused as well."""
    invalid = Condition(
        type="Stalled",
        status="True",
        reason="InvalidSpec",
        message="spec.slo: missing",
        last_transition_time=THEN,
        observed_generation=1,
    )
    status = TuningStatus(conditions=(invalid,))
    failed = record_failure(status, Failure("Refused", "quota"), NOW, 1)
    assert told(failed, "Stalled") == ("True", "InvalidSpec", "spec.slo: missing")
    assert told(failed, "Ready") == ("False", "Refused", "quota")


def test_nothing_to_clear_is_the_same_object() -> None:
    status = fresh()
    assert clear_failures(status, NOW, 1) is status
