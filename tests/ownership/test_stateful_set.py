"""A StatefulSet as target, on a real API server: same fields, same owners, same ends."""

from pathlib import Path

import pytest
import yaml

from infertune.core.manifests.naming import ANNOTATION_LAST_GOOD
from infertune.core.ownership import FIELD_MANAGER
from tests.ownership.ground import Ground, documents

pytestmark = pytest.mark.real_api
CLIENT_SIDE = "kubectl-client-side-apply"


@pytest.fixture
def ground(ground: Ground) -> Ground:
    ground.kind = "StatefulSet"
    return ground


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    path = tmp_path / "server.yaml"
    path.write_text(yaml.safe_dump_all(documents(kind="StatefulSet")))
    return path


def ours(ground: Ground) -> set[str]:
    """Return which of the two objects bears our name or our record."""
    return {
        raw["kind"]
        for raw in (ground.target(), ground.autoscaler())
        if ANNOTATION_LAST_GOOD in raw["metadata"].get("annotations", {})
        or FIELD_MANAGER in {entry["manager"] for entry in raw["metadata"]["managedFields"]}
    }


def test_its_fields_are_adopted_and_given_back_with_the_tuned_values(
    ground: Ground, manifest: Path
) -> None:
    assert ground.kubectl("apply", "-f", manifest).returncode == 0
    assert ground.owners("batch") == {CLIENT_SIDE}
    ground.tune()
    assert ground.owners("batch") == ground.owners("bounds") == {FIELD_MANAGER}
    intent = ground.status().rollout.intent
    assert set(intent.owners_before.values()) == {CLIENT_SIDE}
    assert ground.connection.applied.count("statefulsets") == 2, "the template, the closed record"
    ground.delete()
    ground.until(lambda: ours(ground) == set(), "nothing is ours")
    assert (ground.batch(), ground.bounds()) == ("16", (2, 4))
    assert ground.kubectl("apply", "-f", manifest).returncode == 0
    assert (ground.batch(), ground.bounds()) == ("1", (1, 2))


@pytest.mark.parametrize("way", [(), ("--server-side", "--force-conflicts")])
def test_fields_that_are_taken_back_are_named_with_their_owner_and_left(
    ground: Ground, manifest: Path, way: tuple[str, ...]
) -> None:
    ground.kubectl("apply", *way, "-f", manifest)
    ground.tune()
    written = list(ground.connection.applied)
    assert ground.kubectl("apply", *way, "-f", manifest).returncode == 0
    ground.rests("Halted")
    status, reason, message = ground.condition("FieldConflict")
    assert (status, reason) == ("True", "FieldTaken")
    owner = "kubectl" if way else CLIENT_SIDE
    assert f"env[name=MAX_BATCH_SIZE].value (owner: {owner}) holds '1'" in message
    ground.stays(1.0, lambda: ground.batch() == "1")
    assert ground.connection.applied == written


def test_one_deleted_while_it_is_verified_goes_back_and_is_nobodys(
    ground: Ground, manifest: Path
) -> None:
    ground.kubectl("apply", "-f", manifest)
    ground.begin()
    ground.start()
    ground.rests("Verifying")
    assert (ground.batch(), ours(ground)) == ("16", {"StatefulSet", "HorizontalPodAutoscaler"})
    ground.delete()
    ground.until(lambda: ours(ground) == set(), "nothing is ours")
    assert (ground.batch(), ground.bounds()) == ("1", (1, 2))
