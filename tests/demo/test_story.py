"""The story that the demo tells, and its account of the time."""

from datetime import UTC, datetime, timedelta

from demo.story import tell, waiting
from demo.time_use import TimeUse, time_use
from demo.workload import read_tuning
from infertune.api.status import (
    Condition,
    Configuration,
    LiveFigures,
    RateLevel,
    Reading,
    Recommendation,
    RolloutStatus,
    TrialRecord,
    TuningStatus,
)

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
_, SPEC = read_tuning()
FAST = Configuration(batch_size=8, image="server:int8", min_replicas=1, max_replicas=2)


def _after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def _level(rate: float, p95: float, verdict: str) -> RateLevel:
    return RateLevel.model_validate(
        {
            "offeredRate": rate,
            "p95": {"value": p95, "unit": "ms"},
            "overSloPercent": {"value": 1.5, "unit": "%"},
            "verdict": verdict,
        }
    )


def _trial(phase: str = "Running", levels: int = 0, knee: float | None = None) -> TrialRecord:
    record = TrialRecord(name="t-1", candidate=FAST, rates=(18, 36), knee_rate=knee)
    measured = (_level(18, 90, "Pass"), _level(36, 150.4, "Pass"))[:levels]
    return record.model_copy(update={"phase": phase, "levels": measured})


def test_the_first_look_tells_the_state_only() -> None:
    assert tell(SPEC, None, TuningStatus()) == ("state: Pending",)


def test_nothing_new_is_nothing_told() -> None:
    status = TuningStatus(state="Searching", trials=(_trial(levels=1),))
    assert tell(SPEC, status, status) == ()


def test_a_trial_is_told_as_it_goes() -> None:
    none = TuningStatus(state="Searching")
    begun = none.model_copy(update={"trials": (_trial(),)})
    done = none.model_copy(update={"trials": (_trial("Completed", levels=2, knee=36.0),)})
    place = f"trial 1 of at most {SPEC.budget.max_trials}: batch 8, int8, 1-2 replicas"
    assert tell(SPEC, none, begun) == (f"{place}: rates 18, 36 req/s",)
    assert tell(SPEC, begun, done) == (
        "  18 req/s: P95 90 ms, 1.5 % late or failed -> Pass",
        "  36 req/s: P95 150 ms, 1.5 % late or failed -> Pass",
        "  completed: one replica carries 36 req/s",
    )


def test_a_wrong_image_is_told_with_its_reason() -> None:
    failed = _trial("Failed").model_copy(
        update={"reason": "QualityFailed", "message": "6 of 6 golden requests answered wrongly"}
    )
    now = TuningStatus(state="Searching", trials=(failed,))
    told = tell(SPEC, TuningStatus(state="Searching"), now)
    assert told[-1] == "  Failed: QualityFailed: 6 of 6 golden requests answered wrongly"


def test_decision_apply_and_verdict_are_told_once_each() -> None:
    decided = TuningStatus(
        state="Applying",
        recommendation=Recommendation(configuration=FAST, reason="cheapest that keeps it"),
    )
    applied = decided.model_copy(
        update={
            "state": "Verifying",
            "rollout": RolloutStatus(applied_at=NOON, verification_seconds=42.0),
        }
    )
    judged = RolloutStatus(applied_at=NOON, verification_seconds=42.0, blocks=9)
    passed = judged.model_copy(update={"verdict": "Pass", "evidence": "0.4 % over"})
    verified = applied.model_copy(update={"state": "Stable", "rollout": passed})
    assert tell(SPEC, TuningStatus(state="Deciding"), decided) == (
        "state: Applying",
        "decision: batch 8, int8, 1-2 replicas: cheapest that keeps it",
    )
    assert tell(SPEC, decided, applied) == (
        "state: Verifying",
        "applied: the new pods serve; a verdict needs about 42 s of live traffic",
    )
    assert tell(SPEC, applied, verified) == ("state: Stable", "verdict: Pass: 0.4 % over")
    watched = applied.model_copy(update={"rollout": judged})
    assert tell(SPEC, applied, watched) == ("verifying: 9 blocks of live traffic judged",)


def test_a_rollback_is_told() -> None:
    back = RolloutStatus(rollback_started_at=NOON, rolled_back_at=NOON)
    now = TuningStatus(state="Halted", rollout=back)
    assert tell(SPEC, TuningStatus(state="RollingBack"), now) == (
        "state: Halted",
        "rollback: the old values are written back",
        "rollback: done",
    )


def test_only_bad_conditions_are_told_and_only_when_they_change() -> None:
    bad = Condition(
        type="MetricsAvailable",
        status="False",
        reason="Missing",
        message="no series",
        last_transition_time=NOON,
    )
    good = Condition(type="TargetAvailable", status="True", last_transition_time=NOON)
    now = TuningStatus(conditions=(bad, good))
    line = "condition: MetricsAvailable=False, Missing: no series"
    assert tell(SPEC, TuningStatus(), now) == (line,)
    assert tell(SPEC, now, now) == ()


def test_the_baseline_is_told_with_its_figures() -> None:
    figures = LiveFigures(
        p95=Reading(value=480, unit="ms"),
        request_rate=Reading(value=71.9, unit="req/s"),
        over_slo_percent=Reading(reason="Missing"),
    )
    now = TuningStatus(baseline=figures, baseline_configuration=Configuration(image="server:fp32"))
    assert tell(SPEC, TuningStatus(), now) == (
        "baseline: batch default, fp32: P95 480 ms at 71.9 req/s, - late or failed",
    )


def test_a_long_wait_says_for_what() -> None:
    searching = TuningStatus(state="Searching", trials=(_trial(),))
    assert "rates 18, 36 req/s" in waiting(SPEC, searching)
    verifying = TuningStatus(
        state="Verifying", rollout=RolloutStatus(blocks=4, verification_seconds=40)
    )
    assert waiting(SPEC, verifying) == (
        "Verifying: 4 blocks of live traffic judged; a verdict was computed to need 40 s"
    )
    assert waiting(SPEC, TuningStatus()) == "Pending: waiting"


def test_time_is_split_into_load_and_the_rest() -> None:
    """Two trials with 24 s of load each in 2 levels of 12 s, so 48 s had to be; a rollout complete
    at 80 s with 5 s of warm-up and a verdict at 115 s: 30 s; Stable at 116 s: 78 of 116 s, 67 %.
    """
    rules = SPEC.trial.model_copy(update={"seconds_per_rate": 12})
    spec = SPEC.model_copy(update={"trial": rules})
    trial = _trial("Completed", levels=2).model_copy(update={"load_seconds": 24.0})
    rollout = RolloutStatus(
        applied_at=_after(80), verified_at=_after(115), verification_seconds=25.0
    )
    status = TuningStatus(
        state="Stable", state_since=_after(116), trials=(trial, trial), rollout=rollout
    )
    assert SPEC.rollout.warmup_seconds == 5
    used = time_use(spec, status, NOON)
    assert used == TimeUse(
        total_seconds=116.0, minimum_seconds=73.0, trial_load_seconds=48.0, verify_seconds=30.0
    )
    assert "67 %" in used.sentence()


def test_a_tuning_without_a_rollout_verified_nothing() -> None:
    used = time_use(SPEC, TuningStatus(), NOON)
    assert used == TimeUse(0.0, 0.0, 0.0, 0.0)
    assert used.share_percent is None
