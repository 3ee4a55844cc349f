"""kubectl beside a tuning, on a real API server: who owns what, which value stands, what we say."""

from pathlib import Path

import pytest

from infertune.core.manifests.naming import ANNOTATION_LAST_GOOD
from infertune.core.ownership import FIELD_MANAGER
from tests.ownership.ground import Ground

pytestmark = pytest.mark.real_api
CLIENT_SIDE = "kubectl-client-side-apply"


def test_fields_of_a_client_side_apply_are_adopted_and_then_ours(
    ground: Ground, manifest: Path
) -> None:
    assert ground.kubectl("apply", "-f", manifest).returncode == 0
    assert ground.owners("batch") == {CLIENT_SIDE}
    ground.tune()
    assert ground.owners("batch") == ground.owners("bounds") == {FIELD_MANAGER}
    intent = ground.status().rollout.intent
    assert set(intent.owners_before.values()) == {CLIENT_SIDE}
    # Widened to 2-4, which is where they stay; the template; both records closed.
    assert ground.connection.applied == [
        "horizontalpodautoscalers",
        "deployments",
        "deployments",
        "horizontalpodautoscalers",
    ]


def test_a_client_side_apply_after_the_tuning_sets_its_values_back_and_is_respected(
    ground: Ground, manifest: Path
) -> None:
    """kubectl compares its file with what stands, so it takes all of our fields at once."""
    ground.kubectl("apply", "-f", manifest)
    ground.tune()
    written = list(ground.connection.applied)
    assert ground.kubectl("apply", "-f", manifest).returncode == 0
    assert (ground.batch(), ground.bounds()) == ("1", (1, 2))
    ground.rests("Halted")
    status, reason, message = ground.condition("FieldConflict")
    assert (status, reason) == ("True", "FieldTaken")
    assert f"env[name=MAX_BATCH_SIZE].value (owner: {CLIENT_SIDE}) holds '1'" in message
    ground.stays(1.5, lambda: ground.batch() == "1")
    assert ground.connection.applied == written
    assert ground.owners("batch") == {CLIENT_SIDE}


def test_a_server_side_apply_without_force_is_told_of_us_and_changes_nothing(
    ground: Ground, manifest: Path
) -> None:
    ground.kubectl("apply", "--server-side", "-f", manifest)
    assert ground.owners("batch") == {"kubectl"}
    ground.tune()
    refused = ground.kubectl("apply", "--server-side", "-f", manifest)
    assert refused.returncode == 1
    assert f'conflict with "{FIELD_MANAGER}"' in refused.stderr
    assert (ground.batch(), ground.bounds()) == ("16", (2, 4))
    ground.stays(1.0, lambda: ground.status().state == "Stable")
    assert ground.condition("FieldConflict")[0] == "False"


def test_a_server_side_apply_by_force_takes_the_fields_and_is_respected(
    ground: Ground, manifest: Path
) -> None:
    ground.kubectl("apply", "--server-side", "-f", manifest)
    ground.tune()
    written = list(ground.connection.applied)
    forced = ground.kubectl("apply", "--server-side", "--force-conflicts", "-f", manifest)
    assert forced.returncode == 0
    ground.rests("Halted")
    assert "(owner: kubectl) holds '1'" in ground.condition("FieldConflict")[2]
    ground.stays(1.0, lambda: ground.batch() == "1")
    assert ground.connection.applied == written


def test_a_file_with_the_tuned_values_shares_them_and_is_no_conflict(
    ground: Ground, manifest: Path, tmp_path: Path
) -> None:
    """The patch, committed: what a user does after reading the recommendation."""
    ground.kubectl("apply", "--server-side", "-f", manifest)
    ground.tune()
    tuned = tmp_path / "tuned.yaml"
    text = manifest.read_text().replace("value: '1'", "value: '16'")
    text = text.replace("maxReplicas: 2", "maxReplicas: 4")
    tuned.write_text(text.replace("minReplicas: 1", "minReplicas: 2"))
    assert ground.kubectl("apply", "--server-side", "-f", tuned).returncode == 0
    assert ground.owners("batch") == {FIELD_MANAGER, "kubectl"}
    ground.stays(1.0, lambda: ground.status().state == "Stable")


@pytest.mark.parametrize("way", [(), ("--server-side",)])
def test_after_the_tuning_is_deleted_the_file_meets_no_owner(
    ground: Ground, manifest: Path, way: tuple[str, ...]
) -> None:
    ground.kubectl("apply", *way, "-f", manifest)
    ground.tune()
    ground.delete()

    def released() -> bool:
        objects = (ground.target(), ground.autoscaler())
        marked = [ANNOTATION_LAST_GOOD in o["metadata"].get("annotations", {}) for o in objects]
        managers = {m["manager"] for o in objects for m in o["metadata"]["managedFields"]}
        return not any(marked) and FIELD_MANAGER not in managers

    ground.until(released, "nothing is ours")
    assert (ground.batch(), ground.bounds()) == ("16", (2, 4))
    assert ground.kubectl("apply", *way, "-f", manifest).returncode == 0
    assert (ground.batch(), ground.bounds()) == ("1", (1, 2))


def test_a_tuning_deleted_while_no_operator_ran_is_released_by_the_next_one(
    ground: Ground, manifest: Path
) -> None:
    ground.kubectl("apply", "-f", manifest)
    ground.tune()
    ground.stop()
    ground.delete()
    ground.start()
    ground.until(lambda: FIELD_MANAGER not in ground.owners("batch"), "the sweep has run")
    ground.until(lambda: FIELD_MANAGER not in ground.owners("bounds"), "of both objects")
    assert (ground.batch(), ground.bounds()) == ("16", (2, 4))


def test_kubectl_edit_between_two_writes_of_a_rollout_ends_it(
    ground: Ground, manifest: Path
) -> None:
    """The old value again, by another hand than the recorded one: not ours to push aside."""
    ground.kubectl("apply", "-f", manifest)
    ground.begin()
    for value in ("7", "1"):
        ground.kubectl("set", "env", "deployment/server", f"MAX_BATCH_SIZE={value}")
    ground.start()
    ground.rests("Halted")
    assert ground.batch() == "1"
    assert "(owner: kubectl-set): holds '1'" in ground.condition("FieldConflict")[2]
