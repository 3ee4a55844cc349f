"""A replica that is lent: which one, when, and back on every way out."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infertune.api.spec import TuningSpec
from infertune.api.status import Borrowed, Bounds, TuningStatus
from infertune.api.trial_rules import BorrowWindow
from infertune.core.borrowing import lend_of, standing, window_open
from infertune.core.plan import ApplyFields, Plan, ReleaseFields, ScaleWorkload, SetFinalizer
from infertune.core.reconcile import plan
from infertune.core.resolve import Resolved, resolve
from infertune.core.snapshot import RawObject, Rival
from infertune.core.trial_gate import Closed
from tests.builders import (
    NOW,
    SCALER_UID,
    TARGET_UID,
    autoscaler_of,
    conditions_of,
    context_of,
    deployment_of,
    edited,
    snapshot_of,
    spec_of,
    status_of,
    target_of,
    trial_of,
    tuning_of,
)


def borrow(**trial: Any) -> TuningSpec:
    return spec_of(trial={"placement": "Borrow", **trial})


def lend(replicas: int, bounds: tuple[int, int] | None, **trial: Any) -> Borrowed | Closed:
    raw = deployment_of(spec={"replicas": replicas})
    scaler = None if bounds is None else autoscaler_of(*bounds)
    snapshot = snapshot_of(
        tuning_of(spec=borrow(**trial)), target=target_of(raw), autoscaler=scaler
    )
    resolved = resolve(snapshot, borrow(**trial))
    assert isinstance(resolved, Resolved)
    return lend_of(context_of(snapshot), resolved)


@pytest.mark.parametrize(
    ("replicas", "bounds", "during"),
    [
        (2, (2, 2), (1, 1)),
        (4, (2, 4), (2, 3)),
        (3, (2, 6), (2, 2)),
        (3, (3, 3), (2, 2)),
        (2, None, (1, 1)),
    ],
)
def test_one_replica_of_those_that_run_gets_free_and_the_minimum_never_exceeds_the_maximum(
    replicas: int, bounds: tuple[int, int] | None, during: tuple[int, int]
) -> None:
    found = lend(replicas, bounds)
    assert isinstance(found, Borrowed)
    assert (found.during.min_replicas, found.during.max_replicas) == during
    low, high = bounds or (replicas, replicas)
    assert found.before == Bounds(min_replicas=low, max_replicas=high)
    assert (found.autoscaler_uid or found.target_uid) in (SCALER_UID, TARGET_UID)
    assert "kubectl -n serving" in str(found.restore_command)


def test_the_only_replica_is_lent_at_the_users_word_alone() -> None:
    for found in (lend(1, None), lend(1, (1, 4)), lend(1, (1, 4), allowDowntime=True)):
        assert isinstance(found, Closed)
        assert (found.reason, "allowDowntime" in found.message) == ("NothingToBorrow", True)
    down = lend(1, None, allowDowntime=True)
    assert isinstance(down, Borrowed)
    assert down.during.max_replicas == 0
    assert isinstance(lend(0, None, allowDowntime=True), Closed)


@pytest.mark.parametrize(
    ("start", "end", "at", "is_open"),
    [
        ("22:00", "06:00", "21:59", False),
        ("22:00", "06:00", "22:00", True),
        ("22:00", "06:00", "00:30", True),
        ("22:00", "06:00", "06:00", False),
        ("09:00", "17:00", "12:00", True),
        ("09:00", "17:00", "17:00", False),
        ("10:00", "10:00", "03:00", True),
    ],
)
def test_the_window_is_a_time_of_day_in_utc(start: str, end: str, at: str, is_open: bool) -> None:
    hour, minute = map(int, at.split(":"))
    now = datetime(2026, 3, 1, hour, minute, tzinfo=UTC)
    assert window_open(BorrowWindow(start=start, end=end), now) is is_open


@given(start=st.integers(0, 1439), end=st.integers(0, 1439), at=st.integers(0, 1439))
def test_a_window_and_the_rest_of_the_day_are_never_open_at_once(
    start: int, end: int, at: int
) -> None:
    now = datetime(2026, 3, 1, tzinfo=UTC) + timedelta(minutes=at)

    def text(minutes: int) -> str:
        return f"{minutes // 60:02d}:{minutes % 60:02d}"

    if start != end:
        one = BorrowWindow(start=text(start), end=text(end))
        other = BorrowWindow(start=text(end), end=text(start))
        assert window_open(one, now) is not window_open(other, now)
    assert window_open(None, now)


LENT = Borrowed(
    kind="Deployment",
    name="resnet",
    target_uid=TARGET_UID,
    autoscaler="resnet",
    autoscaler_uid=SCALER_UID,
    before=Bounds(min_replicas=2, max_replicas=2),
    during=Bounds(min_replicas=1, max_replicas=1),
    lowered=True,
    since=NOW,
)
RUNNING = trial_of(1, phase="Running", finished_at=None, name="t", rates=(10.0,))
LOWERED, RESTORED, FOREIGN = autoscaler_of(1, 1), autoscaler_of(2, 2), autoscaler_of(5, 9)


def lent_status(**changes: Any) -> TuningStatus:
    base = status_of("Searching", borrowed=LENT, trials=(RUNNING,))
    return base.model_copy(update=changes)


def look(
    status: TuningStatus, lender: RawObject | None = LOWERED, spec: Any = None, **world: Any
) -> Plan:
    of_tuning = ("generation", "deleting")
    parts = {name: world.pop(name) for name in of_tuning if name in world}
    tuning = tuning_of(status, spec or borrow(), finalizer=True, **parts)
    return plan(snapshot_of(tuning, lender=lender, **world))


def test_a_loan_is_recorded_then_held_then_lowered_and_only_then_is_anything_tried() -> None:
    tuning = tuning_of(status_of("Searching"), borrow())
    recorded = plan(snapshot_of(tuning))
    assert recorded.effects == ()
    lent = recorded.status.borrowed
    assert lent is not None
    assert (lent.before, lent.during, lent.lowered) == (LENT.before, LENT.during, False)
    held = plan(snapshot_of(replace(tuning, status=recorded.status), lender=RESTORED))
    assert held.effects == (SetFinalizer(present=True),)
    note, lower = look(recorded.status, RESTORED).effects
    assert isinstance(note, ApplyFields)
    assert "spec" not in note.document
    assert isinstance(lower, ApplyFields)
    assert lower.document["spec"] == {"minReplicas": 1, "maxReplicas": 1}
    assert lower.document["metadata"]["uid"] == SCALER_UID
    seen = look(recorded.status, LOWERED)
    assert seen.status.borrowed is not None
    assert (seen.status.borrowed.lowered, seen.effects) == (True, ())
    two = target_of(nodes=("node-1", "node-2"))
    waiting = look(seen.status, LOWERED, target=two)
    assert (waiting.status.trials, waiting.effects) == ((), ())
    assert [t.phase for t in look(seen.status, LOWERED).status.trials] == ["Running"]


WAYS_OUT: dict[str, dict[str, Any]] = {
    "the search ended": {"status": lent_status(state="Deciding")},
    "the target vanished": {"status": lent_status(state="Pending")},
    "suspended": {"spec": borrow().model_copy(update={"suspend": True})},
    "deleted": {"deleting": True},
    "edited": {"generation": 2, "spec": spec_of(slo={"latencyMilliseconds": 100})},
    "no borrowing any more": {"spec": spec_of()},
    "the window closed": {"spec": borrow(borrowWindow={"start": "01:00", "end": "02:00"})},
    "an older tuning has the target": {"rival": True},
}


@pytest.mark.parametrize("way", WAYS_OUT)
def test_on_every_way_out_the_trial_ends_and_the_replica_goes_back(way: str) -> None:
    world = dict(WAYS_OUT[way])
    status = world.pop("status", lent_status())
    if world.pop("rival", False):
        world["rival"] = Rival(tuning_of().key, "older")
    decided = look(status, **world)
    assert decided.status.borrowed is not None
    assert decided.status.borrowed.returning
    assert [t.reason for t in decided.status.trials] == ["Interrupted"]
    (back,) = look(decided.status, **world).effects
    assert isinstance(back, ApplyFields)
    assert back.document["spec"] == {"minReplicas": 2, "maxReplicas": 2}
    done = look(decided.status, RESTORED, **world)
    assert done.status.borrowed is None
    assert [type(effect) for effect in done.effects] == [ReleaseFields, SetFinalizer]


def test_bounds_that_an_earlier_rollout_owns_stay_ours_with_their_record() -> None:
    owned = lent_status(borrowed=LENT.model_copy(update={"owned_before": True, "returning": True}))
    note = {"infertune.io/last-good": "{}"}
    marked = edited(LOWERED, ("metadata", "annotations"), note)
    (back,) = look(owned, marked).effects
    assert isinstance(back, ApplyFields)
    assert back.document["metadata"]["annotations"] == note
    assert [type(e) for e in look(owned, RESTORED).effects] == [SetFinalizer]


@pytest.mark.parametrize("lender", [FOREIGN, RESTORED], ids=["another value", "the old value"])
def test_what_somebody_else_sets_meanwhile_stays_and_nothing_is_borrowed_again(
    lender: RawObject,
) -> None:
    ended = look(lent_status(), lender)
    assert ended.status.borrowed is None
    assert not any(isinstance(effect, ApplyFields) for effect in ended.effects)
    assert conditions_of(ended.status)["TrialsAllowed"] == ("False", "BorrowTakenBack")
    again = plan(snapshot_of(tuning_of(ended.status, borrow())))
    assert again.status.borrowed is None
    assert conditions_of(again.status)["TrialsAllowed"] == ("False", "BorrowTakenBack")


def test_a_lender_that_is_gone_has_nothing_to_get_back() -> None:
    decided = look(lent_status(), None)
    assert not any(isinstance(effect, ApplyFields) for effect in decided.effects)
    done = look(decided.status, None)
    assert done.status.borrowed is None
    assert standing(LENT, autoscaler_of(1, 1, uid="another")) == "Gone"


def test_without_an_autoscaler_the_scale_is_written_there_and_back() -> None:
    alone = LENT.model_copy(update={"autoscaler": None, "autoscaler_uid": None, "returning": True})
    raw = deployment_of(spec={"replicas": 1})
    assert look(lent_status(borrowed=alone), raw).effects == (
        ScaleWorkload("apps/v1", "Deployment", "serving", "resnet", TARGET_UID, 1, 2),
    )


def test_trials_wait_for_the_window_and_say_which() -> None:
    spec = borrow(borrowWindow={"start": "01:00", "end": "02:00"})
    found = plan(snapshot_of(tuning_of(status_of("Searching"), spec)))
    assert conditions_of(found.status)["TrialsAllowed"] == ("False", "BorrowWindowClosed")
    assert "01:00-02:00 UTC" in found.decision
    assert found.status.borrowed is None
