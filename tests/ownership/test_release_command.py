"""``infertune release``: with the user's own kubectl, on a real API server."""

from pathlib import Path

import pytest

from infertune.api.annotations import ABORT
from infertune.cli import main
from infertune.core.manifests.naming import ANNOTATION_LAST_GOOD
from infertune.core.ownership import FIELD_MANAGER
from tests.ownership.ground import Ground, program

pytestmark = pytest.mark.real_api


def released(ground: Ground) -> bool:
    objects = (ground.target(), ground.autoscaler())
    marked = [ANNOTATION_LAST_GOOD in o["metadata"].get("annotations", {}) for o in objects]
    managers = {m["manager"] for o in objects for m in o["metadata"]["managedFields"]}
    return not any(marked) and FIELD_MANAGER not in managers


def release(ground: Ground) -> int:
    return main(["release", str(ground.key), "--kubectl", str(program("kubectl"))])


def test_a_stable_tuning_is_released_and_says_so(
    ground: Ground, manifest: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ground.kubectl("apply", "-f", manifest)
    ground.tune()
    assert release(ground) == 0
    printed = capsys.readouterr().out
    assert "deployment/server released" in printed
    assert "horizontalpodautoscaler/server released" in printed
    assert "inferencetuning/demo is still there" in printed
    assert released(ground)
    assert (ground.batch(), ground.bounds()) == ("16", (2, 4))
    ground.until(lambda: ground.condition("FieldConflict")[1] == "Released", "it is told")
    assert ground.status().state == "Stable"
    ground.stays(1.0, lambda: released(ground))


def test_a_tuning_that_is_gone_is_released_without_an_operator(
    ground: Ground, manifest: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ground.kubectl("apply", "-f", manifest)
    ground.tune()
    ground.stop()
    ground.delete()
    assert release(ground) == 0
    assert released(ground)
    assert "still there" not in capsys.readouterr().out
    assert release(ground) == 0
    assert "bears a record of tuning demo" in capsys.readouterr().out


def test_an_open_rollout_is_not_released_under_its_feet(
    ground: Ground, manifest: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ground.kubectl("apply", "-f", manifest)
    ground.begin()
    assert release(ground) == 1
    assert ABORT in capsys.readouterr().err
