"""Two tunings of one target, and a status is lost while a rollout of one of them is open.

Whoever wrote brings its own rollout to an end, by its status or by the record on the target; the
other one writes nothing until then. Which of them is older decides only who goes on afterwards.
"""

from typing import Any

import pytest

from infertune.api.v1alpha1 import KIND
from infertune.core.snapshot import Key
from tests.fakes.cases import IMAGE, NAMESPACE, TUNING
from tests.scenario.book import OLD, OLD_BOUNDS
from tests.scenario.stories import Stage
from tests.scenario.test_rivals import SECOND, add_second, told

TUNED = (IMAGE, "16")
BEFORE = (OLD, OLD_BOUNDS)
ELSEWHERE = {"kind": "Deployment", "name": "elsewhere"}


def lose(stage: Stage, *keys: Key) -> None:
    """Restore tunings from a backup that knows their specs only."""
    for key in keys:
        stage.cluster.store.edit(
            KIND, key.namespace, key.name, lambda raw: raw.pop("status", None), "velero"
        )
    stage.harness.start_operator()


def writer(stage: Stage) -> str | None:
    """Return the tuning that the record on the target, or on its autoscaler, names."""
    scaler = stage.cluster.store.read("HorizontalPodAutoscaler", NAMESPACE, "server")
    texts = (
        (raw["metadata"].get("annotations") or {}).get("infertune.io/last-good", "")
        for raw in (stage.target(), scaler)
    )
    told = "".join(texts)
    return next((name for name in ("demo", "second") if f'"name":"{name}"' in told), None)


def younger_is_writing(state: str = "Verifying") -> Stage:
    """Return a stage in which the older tuning has come to the target of the younger's rollout."""
    stage = Stage(mode="Apply", targetRef=ELSEWHERE)
    add_second(stage)
    stage.harness.until(lambda: stage.harness.status(SECOND).state == state)
    stage.edit_spec(lambda spec: spec["targetRef"].update(name="server"))
    return stage


def test_the_older_one_without_a_status_leaves_the_open_rollout_to_the_younger_that_knows_it() -> (
    None
):
    stage = younger_is_writing()
    lose(stage, TUNING)
    stage.harness.run_due()
    assert told(stage, TUNING, "TargetAvailable") == ("False", "OtherRolloutOpen")
    assert (stage.values(), writer(stage)) == (TUNED, "second")
    stage.harness.until(lambda: stage.harness.status(SECOND).state == "Stable")
    rollout = stage.harness.status(SECOND).rollout
    assert rollout is not None
    assert rollout.verdict == "Pass"
    stage.settle()
    assert (stage.state(), stage.values()) == ("Stable", TUNED)
    assert told(stage, SECOND, "Stalled") == ("True", "TargetTaken")


@pytest.mark.parametrize("state", ["Applying", "Verifying"])
def test_when_both_are_lost_the_writer_goes_back_first_and_the_older_one_goes_on(
    state: str,
) -> None:
    stage = younger_is_writing(state)
    stage.harness.until(lambda: writer(stage) == "second")
    lose(stage, TUNING, SECOND)
    stage.harness.run_due()
    seen = _until_back(stage)
    assert seen == {"second"}
    assert (stage.values(), stage.bounds()) == BEFORE
    stage.harness.until(lambda: writer(stage) == "demo")
    assert told(stage, SECOND, "Stalled") == ("True", "TargetTaken")
    stage.settle()
    assert (stage.state(), stage.values()) == ("Stable", TUNED)


def _until_back(stage: Stage) -> set[Any]:
    """Go on until no record is on the target; return the tunings that rolled back meanwhile."""
    seen = set()
    for _ in range(600):
        for key in (TUNING, SECOND):
            if stage.harness.status(key).state == "RollingBack":
                seen.add(key.name)
        if writer(stage) is None:
            return seen
        stage.harness.step(1.0)
    raise AssertionError("the target was never given back")


def test_a_lost_one_whose_own_rollout_is_open_undoes_it_though_a_younger_one_waits() -> None:
    stage = Stage(mode="Apply")
    add_second(stage)
    stage.until("Verifying")
    lose(stage, TUNING)
    stage.harness.run_due()
    assert _until_back(stage) == {"demo"}
    assert (stage.values(), stage.bounds()) == BEFORE
    assert told(stage, SECOND, "Stalled") == ("True", "TargetTaken")
    stage.settle()
    assert (stage.state(), stage.values()) == ("Stable", TUNED)


def test_a_lost_one_that_the_restore_made_the_younger_undoes_its_rollout_and_then_waits() -> None:
    """A backup creates it anew: its time of creation is now, and the other one is the older."""
    stage = Stage(mode="Apply")
    add_second(stage)
    stage.until("Verifying")
    place = (KIND, TUNING.namespace, TUNING.name)
    raw = stage.cluster.store.read(*place)
    stage.cluster.store.edit(*place, lambda found: found["metadata"].pop("finalizers"), "kubectl")
    stage.delete()
    stage.harness.clock.advance(5.0)
    metadata = {"namespace": NAMESPACE, "name": TUNING.name}
    stage.cluster.store.add({**raw, "metadata": metadata, "status": {}})
    stage.harness.start_operator()
    stage.harness.run_due()
    assert _until_back(stage) == {"demo"}
    assert (stage.values(), stage.bounds()) == BEFORE
    assert told(stage, TUNING, "Stalled") == ("True", "TargetTaken")
    stage.harness.until(lambda: stage.harness.status(SECOND).state == "Stable")
    assert (stage.values(), writer(stage)) == (TUNED, "second")
