"""A promise that nothing can keep gets an honest answer, and nothing is changed."""

import pytest

from demo.image_set import SERVER_FP32
from tests.e2e.stage import Setting, Stage, condition, sentence
from tests.e2e.tunings import tuning

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400, func_only=True)]


def test_five_milliseconds_cannot_be_kept(stage: Stage) -> None:
    """One model run takes longer than 5 ms: Stable, with the best that was found and its limit."""
    before = stage.target()["spec"]["template"]
    promise, knobs = {"latencyMilliseconds": 5}, {"batchSize": {"values": [1]}}
    stage.apply(tuning(stage.namespace, "Apply", slo=promise, knobs=knobs, trial={"maxRates": 1}))
    status = stage.until_state("Stable", 240)

    assert condition(status, "SLOAchievable") == ("False", "Unreachable")
    words = sentence(status, "SLOAchievable")
    assert "P95 <= 5 ms cannot be kept: best is" in words
    assert "limited by" in words
    assert condition(status, "RecommendationReady")[0] == "False"
    assert status.recommendation is None
    assert status.rollout is None
    best = min(
        level.p95.value for trial in status.trials for level in trial.levels if level.p95.value
    )
    assert best > 5
    assert stage.setting() == Setting(SERVER_FP32, "1", 2, 2)
    assert stage.target()["spec"]["template"] == before
