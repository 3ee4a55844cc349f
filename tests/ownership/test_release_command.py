"""``infertune release``: with the user's own kubectl, on a real API server."""

from pathlib import Path

import pytest

from infertune.adapters.clock import SystemClock
from infertune.adapters.kube.cluster import KubeCluster
from infertune.api.annotations import ABORT
from infertune.api.status import Borrowed, Bounds
from infertune.cli import main
from infertune.core.borrowing import lend
from infertune.core.loan_record import note_loan
from infertune.core.manifests.naming import ANNOTATION_LAST_GOOD, ANNOTATION_LOAN, NOTING_MANAGER
from infertune.core.ownership import FIELD_MANAGER
from infertune.core.plan import ScaleWorkload
from tests.builders import tuning_of
from tests.ownership.ground import Ground, program

pytestmark = pytest.mark.real_api
TWO, THREE = ({"minReplicas": n, "maxReplicas": n} for n in (2, 3))


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


def lend_by(ground: Ground, lent: Borrowed) -> None:
    """Note a loan and lower what it lends, as the operator of a tuning does that is now gone."""
    cluster = KubeCluster(ground.connection, SystemClock())
    tuning = tuning_of(key=ground.key)
    lender = ground.autoscaler() if lent.autoscaler else ground.target()
    cluster.apply_fields(note_loan(tuning, lent, lender))
    lowered = lend(ground.key, lent, lender)
    if isinstance(lowered, ScaleWorkload):
        cluster.scale_workload(lowered)
    else:
        cluster.apply_fields(lowered)


@pytest.mark.parametrize("scaled", [True, False])
def test_a_replica_that_a_tuning_lent_which_is_gone_is_given_back(
    ground: Ground, manifest: Path, scaled: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    ground.kubectl("apply", "-f", manifest)
    if not scaled:
        ground.kubectl("delete", "hpa", "server")
        ground.kubectl("scale", "deployment/server", "--replicas=3")
    before = Bounds(min_replicas=1, max_replicas=2) if scaled else Bounds.model_validate(THREE)
    lent = Borrowed(
        kind="Deployment",
        name="server",
        target_uid=ground.target()["metadata"]["uid"],
        autoscaler="server" if scaled else None,
        autoscaler_uid=ground.autoscaler()["metadata"]["uid"] if scaled else None,
        before=before,
        during=Bounds(min_replicas=1, max_replicas=1) if scaled else Bounds.model_validate(TWO),
    )
    lend_by(ground, lent)
    assert release(ground) == 0
    name = "horizontalpodautoscaler/server" if scaled else "deployment/server"
    assert f"{name} has the replica back" in capsys.readouterr().out
    raw = ground.autoscaler() if scaled else ground.target()
    assert ground.bounds() == (1, 2) if scaled else raw["spec"]["replicas"] == 3
    assert ANNOTATION_LOAN not in raw["metadata"].get("annotations", {})
    managers = {entry["manager"] for entry in raw["metadata"]["managedFields"]}
    assert not managers & {FIELD_MANAGER, NOTING_MANAGER}
    assert release(ground) == 0
    assert "bears a record of tuning demo" in capsys.readouterr().out
