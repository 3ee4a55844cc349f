"""Another target, and another knob, in the spec of a tuning that has written to one already."""

from pathlib import Path

import pytest

from infertune.core.manifests.naming import ANNOTATION_LAST_GOOD
from infertune.core.ownership import FIELD_MANAGER
from tests.ownership.ground import Ground

pytestmark = pytest.mark.real_api


def managers(ground: Ground) -> set[str]:
    objects = (ground.target(), ground.autoscaler())
    return {m["manager"] for o in objects for m in o["metadata"]["managedFields"]}


def test_a_target_that_the_spec_names_no_more_is_released_and_keeps_its_values(
    ground: Ground, manifest: Path
) -> None:
    ground.kubectl("apply", "-f", manifest)
    ground.tune()
    ground.edit(lambda spec: spec["targetRef"].update(name="other"))
    ground.until(lambda: FIELD_MANAGER not in managers(ground), "the old target is released")
    assert (ground.batch(), ground.bounds()) == ("16", (2, 4))
    assert ANNOTATION_LAST_GOOD not in ground.target()["metadata"]["annotations"]
    ground.until(lambda: ground.condition("TargetAvailable")[1] == "TargetNotFound", "it is told")
    assert "no Deployment 'other'" in ground.condition("TargetAvailable")[2]


def test_a_target_changed_while_a_rollout_is_open_is_rolled_back_first(
    ground: Ground, manifest: Path
) -> None:
    ground.kubectl("apply", "-f", manifest)
    ground.begin()
    ground.edit(lambda spec: spec["targetRef"].update(name="other"))
    ground.start()
    ground.until(lambda: ground.condition("TargetAvailable")[1] == "TargetNotFound", "it goes on")
    assert (ground.batch(), ground.bounds()) == ("1", (1, 2))
    assert FIELD_MANAGER not in managers(ground)


def test_a_knob_that_the_spec_names_no_more_keeps_its_value_and_belongs_to_nobody(
    ground: Ground, manifest: Path
) -> None:
    """Only we own the entry: an apply without it would delete it (conformance has the control)."""
    ground.kubectl("apply", "-f", manifest)
    ground.tune()
    ground.edit(lambda spec: spec["knobs"].update(batchSize={"env": "THREADS", "values": [2]}))
    ground.until(lambda: ground.owners("batch") == set(), "the dropped entry is released")
    assert ground.batch() == "16"
    assert ground.owners("bounds") == {FIELD_MANAGER}
    assert ANNOTATION_LAST_GOOD in ground.target()["metadata"]["annotations"]
