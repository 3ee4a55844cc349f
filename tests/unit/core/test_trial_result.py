"""What a trial's result is worth: levels, the knee, or the reason why there is none."""

from typing import Any

import pytest

from infertune.core.snapshot import ProbeFailure
from infertune.core.trial_result import with_result
from tests.builders import NOW, spec_of, trial_of
from tests.fakes import envelopes

RESULT = envelopes.load([10.0, 20.0], lambda _: 60.0, 200, 30, NOW)
RUNNING = trial_of(1, phase="Running", finished_at=None, name="t", rates=(10.0,))


def test_a_result_becomes_levels_and_the_knee_is_the_highest_rate_that_passed() -> None:
    def slow_from_20(rate: float) -> float:
        return 60.0 if rate < 20 else 3000.0

    found = with_result(RUNNING, envelopes.load([10, 20], slow_from_20, 200, 30, NOW), spec_of())
    assert (found.phase, found.knee_rate, found.load_seconds) == ("Completed", 10.0, 60.0)
    assert [level.verdict for level in found.levels] == ["Pass", "Fail"]
    assert found.startup_seconds == 1.5
    assert found.quality_drop_percent is None


@pytest.mark.parametrize(
    ("result", "wanted"),
    [
        (ProbeFailure("PayloadAltered", "another digest"), ("Invalid", "PayloadAltered")),
        (envelopes.no_gpu("node-1", NOW), ("Invalid", "NoLoadResult")),
        (
            envelopes.load([10.0], lambda _: 60.0, 200, 30, NOW, quality=(1, 4)),
            ("Failed", "QualityFailed"),
        ),
        (envelopes.load([], lambda _: 60.0, 200, 30, NOW), ("Invalid", "NothingMeasured")),
    ],
)
def test_results_that_say_nothing_about_speed(result: Any, wanted: tuple[str, str]) -> None:
    found = with_result(RUNNING, result, spec_of())
    assert (found.phase, found.reason) == wanted
    assert found.levels == ()


def changed(result: Any, **level: Any) -> Any:
    """Return the envelope with its first level changed."""
    load = result.load
    first = load.levels[0].model_copy(update=level)
    return result.model_copy(update={"result": load.model_copy(update={"levels": (first,)})})


def test_a_server_that_never_answered_is_not_ready() -> None:
    startup = RESULT.load.startup.model_copy(update={"ready": False})
    late = RESULT.model_copy(
        update={"result": RESULT.load.model_copy(update={"startup": startup, "levels": ()})}
    )
    found = with_result(RUNNING, late, spec_of())
    assert (found.phase, found.reason) == ("Failed", "NotReady")


def test_a_measurement_that_contradicts_itself_is_void() -> None:
    found = with_result(RUNNING, changed(RESULT, littles_ratio=3.0), spec_of())
    assert (found.phase, found.reason) == ("Invalid", "GateBroken")


def test_a_proven_failure_counts_though_a_higher_rate_was_void() -> None:
    slow = envelopes.load([10.0, 20.0], lambda _: 3000.0, 200, 30, NOW)
    levels = (slow.load.levels[0], RESULT.load.levels[1].model_copy(update={"littles_ratio": 3.0}))
    mixed = slow.model_copy(update={"result": slow.load.model_copy(update={"levels": levels})})
    found = with_result(RUNNING, mixed, spec_of())
    assert (found.phase, found.knee_rate) == ("Completed", None)
    assert [level.verdict for level in found.levels] == ["Fail", "Inconclusive"]


def test_a_percentile_among_failures_is_a_bound_and_not_a_figure() -> None:
    latency = RESULT.load.levels[0].latency
    censored = latency.model_copy(update={"p95": latency.p95.model_copy(update={"censored": True})})
    found = with_result(RUNNING, changed(RESULT, latency=censored), spec_of())
    assert found.levels[0].p95.value is None
    assert str(found.levels[0].p95.reason).startswith("Invalid: failed requests reach")


def test_a_level_on_which_nothing_was_sent_has_no_figure() -> None:
    empty = changed(RESULT, latency=None, sent=0, completed=0, exceeded=0, blocks=(), batches=())
    found = with_result(RUNNING, empty, spec_of())
    assert found.levels[0].p95.reason == "TooFew: no request was sent"
    assert found.knee_rate is None
