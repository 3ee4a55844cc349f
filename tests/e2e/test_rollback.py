"""After the apply only live traffic counts: a server that slows is taken back, a good one stays.

The server is slowed by its own live endpoint; the operator knows nothing of it and sees only what
Prometheus saw. The control is the same story without that hand, five times.
"""

import pytest

from demo.image_set import SERVER_FP32
from infertune.core.snapshot import RawObject
from tests.e2e.stage import ADMIN, Setting, Stage, condition, sentence, setting_reported
from tests.e2e.tunings import PEAK, SLO_MS, tuning

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(500, func_only=True)]

START = Setting(SERVER_FP32, "1", 2, 2)
# Six requests, or a second: at 18 requests a second on a replica the first of six waits about
# 300 ms. Never more than six wait, so the queue (8) refuses hardly any: latency alone is harmed.
SLOW = {"max_batch_size": 6, "batch_wait_ms": 1000}
CONTROLS = 5


def verifying(stage: Stage) -> None:
    """Play the story up to the moment when the new pods are judged by live traffic."""
    assert stage.setting() == START
    stage.apply(tuning(stage.namespace, "Apply"))
    stage.until_state("Verifying", 240)


def template(stage: Stage) -> RawObject:
    return dict(stage.target()["spec"]["template"])


def test_a_server_that_slows_after_the_apply_is_rolled_back(stage: Stage) -> None:
    before = template(stage)
    verifying(stage)
    for pod in stage.live_pods():
        told = stage.ask(pod, ADMIN, SLOW)
        assert {name: told[name] for name in SLOW} == SLOW
    # Once halted, the live figures are soon those of the old pods again.
    judged = stage.until_state("RollingBack", 200).live
    status = stage.until_state("Halted", 60)

    assert stage.setting() == START
    assert template(stage) == before
    assert condition(status, "Verified") == ("False", "PromiseBroken")
    assert condition(status, "Applied") == ("False", "RolledBack")
    assert condition(status, "Stalled") == ("True", "RolledBack")
    rollout = status.rollout
    assert rollout is not None
    assert rollout.verdict == "Fail"
    assert rollout.evidence == sentence(status, "Verified")
    assert rollout.rolled_back_at is not None
    assert rollout.verified_at is not None
    seconds = (rollout.rolled_back_at - rollout.verified_at).total_seconds()
    stage.tell(f"rolled back {seconds:.0f} s after the verdict: {rollout.evidence}")
    assert judged is not None
    assert (judged.p95.value or 0) > SLO_MS, "Prometheus saw the slow server"
    assert 0 < (judged.request_rate.value or 0) <= PEAK, "at or below the declared demand"
    stage.until(lambda: "finalizers" not in (stage.find_tuning() or {})["metadata"], "released", 20)


@pytest.mark.parametrize("control", range(1, CONTROLS + 1))
def test_control_without_harm_stays(stage: Stage, control: int) -> None:
    """The same story without the slow server: none of the five may be rolled back."""
    verifying(stage)
    status = stage.until_state("Stable", 300)
    assert status.recommendation is not None
    assert stage.setting() == setting_reported(status.recommendation.configuration) != START
    assert condition(status, "Verified") == ("True", "PromiseKept")
    assert "RollingBack" not in stage.seen.states
    stage.tell(f"control {control} of {CONTROLS} stays: {sentence(status, 'Verified')}")
