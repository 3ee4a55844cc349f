"""What concerns every state: a first look, a new generation, an unreadable spec, deletion."""

import pytest

from infertune.api.conditions import CONDITION_TYPES, Observation
from infertune.api.status import StateName
from infertune.api.v1alpha1 import SpecError
from infertune.core.needs import MAX_VERIFICATION_WINDOW_SECONDS, LiveWindow, needs
from infertune.core.plan import DeleteObject, Event, SetFinalizer
from infertune.core.reconcile import plan
from tests.builders import (
    NOW,
    after,
    conditions_of,
    decide,
    figures,
    job_of,
    live_of,
    rollout_of,
    snapshot_of,
    spec_of,
    status_of,
    target_of,
    tuning_of,
    with_condition,
)

BROKEN = SpecError(("spec.slo.latencyMilliseconds: Field required",))
RESTING: list[StateName] = ["Pending", "Probing", "Searching", "Deciding", "Stable", "Halted"]
OPEN: list[StateName] = ["Applying", "Verifying", "RollingBack"]
DELETE_T = DeleteObject("batch/v1", "Job", "serving", "t-server", "uid-of-t-server")


def test_the_first_look_writes_every_condition_and_changes_nothing_else() -> None:
    first = decide(status_of(observed_generation=0, conditions=()))
    assert [c.type for c in first.status.conditions] == list(CONDITION_TYPES)
    assert conditions_of(first.status) == {
        "Ready": ("True", "Watched"),
        "Reconciling": ("False", "Observed"),
        "Stalled": ("False", "Progressing"),
    }
    assert (first.effects, first.requeue_seconds, first.status.state) == ((), 0.0, "Pending")


@pytest.mark.parametrize("state", RESTING)
def test_a_new_generation_starts_anew_from_every_state_without_an_open_rollout(
    state: StateName,
) -> None:
    begun = decide(status_of(state, rollout=rollout_of()), generation=2)
    assert (begun.status.state, begun.status.observed_generation) == ("Pending", 2)
    assert (begun.status.rollout, begun.effects) == (None, ())


@pytest.mark.parametrize("state", ["Applying", "Verifying"])
@pytest.mark.parametrize("reason", ["SpecChanged", "DeletionRequested"])
def test_an_open_rollout_goes_back_first(state: StateName, reason: str) -> None:
    deleting = reason == "DeletionRequested"
    turned = decide(
        status_of(state, rollout=rollout_of()),
        finalizer=True,
        deleting=deleting,
        generation=1 if deleting else 2,
    )
    assert (turned.status.state, turned.effects) == ("RollingBack", ())
    assert turned.status.rollout is not None
    assert turned.status.rollout.rollback_started_at == NOW
    assert turned.status.observed_generation == 1


@pytest.mark.parametrize("state", RESTING)
def test_a_deleted_tuning_takes_its_jobs_along_and_is_let_go(state: StateName) -> None:
    left = decide(status_of(state), deleting=True, finalizer=True, jobs=(job_of("t-server"),))
    assert left.effects == (DELETE_T, SetFinalizer(present=False))
    assert decide(status_of(state), deleting=True).effects == ()


@pytest.mark.parametrize("state", OPEN)
def test_deletion_is_not_blocked_by_a_spec_that_nobody_can_read(state: StateName) -> None:
    tuning = tuning_of(
        status_of(state, rollout=rollout_of()), BROKEN, deleting=True, finalizer=True
    )
    left = plan(snapshot_of(tuning, target=None, live=None))
    assert left.effects == (SetFinalizer(present=False),)
    words = "deleted with an open rollout; to go back: kubectl patch it back"
    assert left.events == (Event("Warning", "RolloutAbandoned", words),)


def test_an_unreadable_spec_is_told_once_and_counts_as_observed() -> None:
    told = plan(snapshot_of(tuning_of(status_of("Stable"), BROKEN, generation=2)))
    assert told.status.observed_generation == 2
    assert conditions_of(told.status)["Stalled"] == ("True", "InvalidSpec")
    assert [event.reason for event in told.events] == ["InvalidSpec"]
    again = plan(snapshot_of(tuning_of(told.status, BROKEN, generation=2)))
    assert (again.status, again.events, again.effects) == (told.status, (), ())


def test_an_unreadable_spec_during_a_rollout_is_not_observed_so_that_it_is_turned_back_later() -> (
    None
):
    status = status_of("Verifying", rollout=rollout_of())
    told = plan(snapshot_of(tuning_of(status, BROKEN, generation=2)))
    assert (told.status.observed_generation, told.status.state) == (1, "Verifying")


@pytest.mark.parametrize("state", ["Applying", "Verifying", "RollingBack"])
def test_a_rollout_without_its_intent_halts_instead_of_guessing(state: StateName) -> None:
    decided = decide(status_of(state, rollout=None), target=target_of())
    assert (decided.status.state, decided.effects) == ("Halted", ())
    assert conditions_of(decided.status)["Stalled"] == ("True", "IntentLost")


def test_the_same_spec_that_a_newer_operator_can_read_starts_anew() -> None:
    refused = plan(snapshot_of(tuning_of(status_of(conditions=()), BROKEN))).status
    assert decide(refused).status.state == "Pending"
    assert conditions_of(decide(refused).status)["Ready"] == ("True", "Watched")


def test_resting_lets_the_finalizer_go_and_then_looks_once_a_minute() -> None:
    assert decide(status_of("Stable"), finalizer=True).effects == (SetFinalizer(present=False),)
    looked = decide(status_of("Stable"))
    assert looked.status.live is not None
    assert looked.requeue_seconds == 60.0
    same = decide(looked.status, now=after(60))
    assert same.status == looked.status
    blind = decide(looked.status, live=None)
    assert (blind.status, blind.requeue_seconds) == (looked.status, 60.0)
    other = decide(looked.status, live=live_of(rate=99.0))
    assert other.status.live != looked.status.live


def test_the_summary_tells_the_story_in_one_line() -> None:
    shown = decide(status_of("Stable", baseline=figures())).status.summary
    assert (shown.slo, shown.p95, shown.verdict) == ("P95 <= 200 ms", "150 ms", "")
    assert shown.spent == "0/12 trials, 0 h"


def test_what_is_read_follows_the_state() -> None:
    read = {state: needs(tuning_of(status_of(state)), NOW) for state in (*RESTING, *OPEN)}
    assert {state for state, wanted in read.items() if wanted.jobs} == {
        "Pending",
        "Probing",
        "Searching",
        "Deciding",
    }
    assert {state for state, wanted in read.items() if not wanted.target} == {"Stable", "Halted"}
    assert {state for state, wanted in read.items() if wanted.live} == {"Pending"}
    assert needs(tuning_of(spec=BROKEN), NOW).target is False
    begun = needs(tuning_of(status_of("Stable"), generation=2), NOW)
    assert (begun.target, begun.watch) == (True, False)


def test_config_maps_are_read_where_they_are_used() -> None:
    spec = spec_of(
        load={"payloadRef": {"configMap": "body"}}, quality={"goldenConfigMap": "golden"}
    )
    for state, wanted in (("Pending", ("body", "golden")), ("Searching", ("body", "golden"))):
        assert needs(tuning_of(status_of(state), spec), NOW).config_maps == wanted
    assert needs(tuning_of(status_of("Verifying"), spec), NOW).config_maps == ()


def test_live_traffic_counts_from_the_warm_up_and_two_scrapes_after_the_rollout() -> None:
    """Warm-up 5 s, scrapes every 2 s: from the ninth second on."""
    tuning = tuning_of(status_of("Verifying", rollout=rollout_of(applied_at=NOW)))
    assert needs(tuning, after(9)).live is None
    assert needs(tuning, after(30)).live == LiveWindow(after(9), after(30), 200)
    late = after(9 + MAX_VERIFICATION_WINDOW_SECONDS + 100)
    found = needs(tuning, late).live
    assert found is not None
    assert (late - found.start).total_seconds() == MAX_VERIFICATION_WINDOW_SECONDS


def test_the_baseline_window_holds_thirty_scrapes_and_a_minute_at_least() -> None:
    found = needs(tuning_of(), NOW).live
    assert found is not None
    assert (found.end - found.start).total_seconds() == 60


def test_a_condition_moves_its_time_only_with_its_status() -> None:
    status = with_condition(status_of(), Observation("Ready", "True", "Watched", "yes"))
    again = decide(status, now=after(100)).status
    (ready,) = [c for c in again.conditions if c.type == "Ready"]
    assert ready.last_transition_time == NOW
