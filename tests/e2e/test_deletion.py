"""A tuning may be deleted at any moment and takes everything of its own with it."""

import pytest

from demo.image_set import SERVER_FP32, SERVER_INT8
from tests.e2e.stage import Setting, Stage
from tests.e2e.tunings import tuning

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(500, func_only=True)]

START = Setting(SERVER_FP32, "1", 2, 2)
GONE_SECONDS = 60


def test_deletion_in_a_trial_leaves_nothing(stage: Stage) -> None:
    """Server and load of a trial run; a minute later no Job, pod or ConfigMap of ours is left."""
    stage.apply(tuning(stage.namespace, "Apply"))
    stage.until(lambda: {"server", "load"} <= roles(stage), "a trial runs", 120)
    stage.delete_tuning()
    stage.until(
        lambda: stage.find_tuning() is None and stage.left_over() == (),
        "tuning, Jobs, pods and ConfigMaps are gone",
        GONE_SECONDS,
    )
    assert stage.setting() == START


def test_deletion_while_verifying_rolls_back_first(stage: Stage) -> None:
    """The tuning goes only once the old values stand again."""
    before = stage.target()["spec"]["template"]
    stage.apply(tuning(stage.namespace, "Apply"))
    stage.until_state("Verifying", 240)
    assert stage.setting().image == SERVER_INT8
    stage.delete_tuning()
    stage.until(lambda: stage.find_tuning() is None, "the tuning is gone", 120)
    assert stage.setting() == START
    assert stage.target()["spec"]["template"] == before
    stage.until(lambda: stage.left_over() == (), "nothing of it is left", GONE_SECONDS)


def roles(stage: Stage) -> set[str]:
    """Return which Jobs of the running trial have a pod that runs."""
    stage.status()
    return {
        pod["metadata"]["labels"].get("infertune.io/role", "")
        for pod in stage.objects("v1", "Pod")
        if pod["status"].get("phase") == "Running"
    }
