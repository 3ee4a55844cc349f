"""What a tuning that is gone leaves behind: its values, and nothing that is ours."""

from infertune.core.manifests.naming import ANNOTATION_LAST_GOOD
from infertune.core.ownership import FIELD_MANAGER
from infertune.ports import Unavailable
from tests.fakes import cases
from tests.fakes.cases import NAMESPACE
from tests.scenario.stories import Stage

TUNED = (cases.IMAGE, "16")


def ours(stage: Stage) -> list[str]:
    """Return the kinds of which something is ours: by a manager's entry, or by our record."""
    found: list[str] = []
    for kind in ("Deployment", "HorizontalPodAutoscaler"):
        metadata = stage.cluster.store.read(kind, NAMESPACE, "server")["metadata"]
        managers = {entry["manager"] for entry in metadata["managedFields"]}
        if FIELD_MANAGER in managers or ANNOTATION_LAST_GOOD in metadata.get("annotations", {}):
            found.append(kind)
    return found


def stable() -> Stage:
    stage = Stage(mode="Apply")
    stage.settle()
    assert (stage.state(), stage.values()) == ("Stable", TUNED)
    assert ours(stage) == ["Deployment", "HorizontalPodAutoscaler"]
    return stage


def test_deleting_a_stable_tuning_gives_the_target_and_the_autoscaler_back() -> None:
    stage = stable()
    bounds = stage.bounds()
    stage.delete()
    stage.harness.run_due()
    assert (ours(stage), stage.values(), stage.bounds()) == ([], TUNED, bounds)


def test_a_tuning_deleted_while_the_operator_was_down_is_given_back_at_the_first_sweep() -> None:
    stage = stable()
    stage.cluster.store.listeners.clear()
    stage.delete()
    stage.cluster.store.listeners.append(stage.harness._deliver)
    stage.harness.start_operator()
    stage.harness.run_due()
    stage.harness.engine.resync()
    stage.harness.run_due()
    assert (ours(stage), stage.values()) == ([], TUNED)


def test_a_sweep_over_living_tunings_writes_and_reads_nothing_but_the_list() -> None:
    stage = stable()
    stage.harness.run_due()
    stage.cluster.calls.clear()
    stage.harness.engine.resync()
    stage.harness.run_due()
    assert stage.cluster.calls == ["list_tunings"]
    assert ours(stage) == ["Deployment", "HorizontalPodAutoscaler"]


def test_a_release_that_fails_is_tried_again_until_it_is_done() -> None:
    stage = stable()
    stage.cluster.fail("release_fields", Unavailable("down"), times=3)
    stage.delete()
    stage.harness.run_due()
    assert ours(stage) != []
    for _ in range(30):
        stage.harness.step()
    assert (ours(stage), stage.values()) == ([], TUNED)
    calls = stage.cluster.calls.count("release_fields")
    for _ in range(30):
        stage.harness.step()
    assert stage.cluster.calls.count("release_fields") == calls


def test_a_tuning_made_anew_under_the_name_keeps_what_the_first_one_wrote() -> None:
    """The sweep looks for the name, so a restored backup finds the record it needs."""
    stage = stable()
    stage.cluster.store.listeners.clear()
    stage.delete()
    stage.cluster.store.add(cases.tuning(mode="Recommend"))
    stage.cluster.store.listeners.append(stage.harness._deliver)
    stage.harness.start_operator()
    stage.harness.engine.resync()
    stage.harness.run_due()
    assert ours(stage) == ["Deployment", "HorizontalPodAutoscaler"]
