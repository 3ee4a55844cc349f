"""Whose fields they are: taken once, never fought for, given back.

The other hand plays kubectl, Helm, Argo CD or Flux; what counts is that we write a bounded number
of times, say who holds what, and stop.
"""

from typing import Any

import pytest

from infertune.core.gitops import IGNORE_KEY
from infertune.core.manifests.naming import ANNOTATION_LAST_GOOD
from infertune.core.ownership import FIELD_MANAGER, field_path, owners_of
from infertune.core.release import release
from tests.fakes import cases
from tests.fakes.cases import NAMESPACE
from tests.fakes.metrics import steady
from tests.scenario.stories import LIVE_RATE, Stage

BEFORE, TUNED = (cases.IMAGE, "1"), (cases.IMAGE, "16")
ENTRY = ("spec", "template", "spec", "containers", "name=server", "env", "name=MAX_BATCH_SIZE")
BATCH = (*ENTRY, "value")
KUBECTL = "kubectl-client-side-apply"
AUTOSCALER = ("HorizontalPodAutoscaler", NAMESPACE, "server")


def stable(**spec: Any) -> Stage:
    stage = Stage(**({"mode": "Apply"} | spec))
    stage.settle()
    assert (stage.state(), stage.values()) == ("Stable", TUNED)
    return stage


def owners(raw: dict[str, Any], path: tuple[str, ...]) -> tuple[str, ...]:
    return owners_of(raw["metadata"]["managedFields"], field_path(path))


def writes(stage: Stage) -> int:
    """How often we tried to write to the target or its autoscaler."""
    return stage.cluster.calls.count("apply_fields")


def label(stage: Stage, kind: str, **metadata: dict[str, str]) -> None:
    def change(raw: dict[str, Any]) -> None:
        for name, values in metadata.items():
            raw["metadata"].setdefault(name, {}).update(values)

    stage.cluster.store.edit(kind, NAMESPACE, "server", change, "git")


class TestAdoption:
    def test_the_owner_and_the_value_before_are_recorded_and_then_the_field_is_ours(self) -> None:
        stage = stable()
        rollout = stage.status().rollout
        assert rollout is not None
        assert rollout.intent is not None
        assert rollout.intent.owners_before == {
            "spec.template.spec.containers[name=server].env[name=MAX_BATCH_SIZE].value": KUBECTL,
            "spec.minReplicas": KUBECTL,
            "spec.maxReplicas": KUBECTL,
        }
        assert rollout.intent.before.batch_value == "1"
        assert rollout.written == ("Bounds", "Template")
        assert owners(stage.target(), BATCH) == (FIELD_MANAGER,)

    def test_never_refuses_a_field_that_somebody_owns_before_the_first_write(self) -> None:
        stage = Stage(mode="Apply", rollout={"adoption": "Never"})
        stage.settle()
        assert (stage.state(), stage.values(), writes(stage)) == ("Stable", BEFORE, 0)
        assert stage.conditions()["Applied"] == ("False", "FieldOwnedByOther")
        words = stage.message("Applied")
        assert f"env[name=MAX_BATCH_SIZE].value (owner: {KUBECTL}) holds '1'" in words
        assert "spec.rollout.adoption: Once" in words

    def test_never_lets_a_field_through_that_nobody_owns(self) -> None:
        """An absent entry, and bounds that keep their value: nothing is taken from anybody."""
        rollout = {"adoption": "Never", "warmupSeconds": 5, "applyTimeoutSeconds": 120}
        stage = Stage(mode="Apply", batch=None, rollout=rollout)
        stage.cluster.store.delete(*AUTOSCALER)
        stage.settle()
        assert (stage.state(), stage.values()[1]) == ("Stable", "16")

    def test_an_owner_who_comes_between_decision_and_write_is_not_pushed_aside(self) -> None:
        """The value is still the old one: only its owner tells that somebody has set it anew."""
        stage = Stage(mode="Apply")
        stage.until("Applying")
        stage.set_batch("7", "kubectl-edit")
        stage.set_batch("1", "argocd-controller")
        stage.settle()
        assert (stage.state(), stage.values()) == ("Halted", BEFORE)
        assert stage.conditions()["FieldConflict"] == ("True", "FieldTaken")
        assert "(owner: argocd-controller)" in stage.message("FieldConflict")

    @pytest.mark.parametrize("manager", [KUBECTL, "helm", "kustomize-controller"])
    def test_a_value_set_back_while_applying_is_not_written_again(self, manager: str) -> None:
        """The control loop of another tool, each second: one write of ours, then never again."""
        stage = Stage(mode="Apply")
        stage.world.startup_seconds = 20.0
        stage.until("Applying")
        for _ in range(60):
            stage.harness.step()
            if stage.values() == TUNED:
                stage.set_batch("1", manager)
        assert (stage.state(), stage.values()) == ("Halted", BEFORE)
        templates = [t for t in stage.cluster.applied if t == "Deployment"]
        assert len(templates) == 1
        assert f"(owner: {manager})" in stage.message("FieldConflict")
        assert "holds '1'" in stage.message("FieldConflict")

    def test_an_object_that_is_replaced_without_our_record_is_not_written_again(self) -> None:
        """As ``kubectl replace`` does it: value, owner and annotation are all of before."""
        stage = Stage(mode="Apply")
        stage.world.startup_seconds = 20.0
        stage.until("Applying")
        stage.harness.until(lambda: stage.values() == TUNED)

        def replaced(raw: dict[str, Any]) -> None:
            raw["metadata"].pop("annotations", None)
            for entry in raw["spec"]["template"]["spec"]["containers"][0]["env"]:
                if entry["name"] == "MAX_BATCH_SIZE":
                    entry["value"] = "1"

        stage.cluster.store.edit("Deployment", NAMESPACE, "server", replaced, KUBECTL)
        stage.settle()
        assert (stage.state(), stage.values()) == ("Halted", BEFORE)
        assert stage.conditions()["FieldConflict"] == ("True", "FieldTaken")


class TestTakenBack:
    @pytest.mark.parametrize("manager", ["kubectl-edit", "helm", "argocd-controller"])
    def test_a_value_changed_after_stable_is_told_at_once_and_left(self, manager: str) -> None:
        stage = stable()
        before = writes(stage)
        stage.set_batch("8", manager)
        stage.harness.run_due()
        assert stage.state() == "Halted"
        assert stage.conditions()["FieldConflict"] == ("True", "FieldTaken")
        assert stage.message("FieldConflict").startswith(
            "Deployment/server spec.template.spec.containers[name=server].env[name=MAX_BATCH_SIZE]"
            f".value (owner: {manager}) holds '8' instead of '16': it is left as it is."
        )
        assert "infertune.io/retry" in stage.message("FieldConflict")
        for _ in range(60):
            stage.harness.step(30.0)
        assert (stage.values(), writes(stage)) == ((cases.IMAGE, "8"), before)

    def test_bounds_changed_after_stable_are_told_and_left(self) -> None:
        stage = stable()
        stage.cluster.store.edit(*AUTOSCALER, lambda raw: raw["spec"].update(maxReplicas=9))
        stage.harness.run_due()
        assert stage.bounds() == (1, 9)
        assert "HorizontalPodAutoscaler/server spec.maxReplicas (owner: kubectl-edit) holds 9" in (
            stage.message("FieldConflict")
        )

    def test_a_value_put_back_ends_the_conflict_by_itself(self) -> None:
        stage = stable()
        stage.set_batch("8")
        stage.harness.run_due()
        stage.set_batch("16")
        stage.harness.step()
        # Whoever put it back owns it now: the value is right, and the field is theirs.
        assert "is no longer ours, with the tuned value '16'" in stage.message("FieldConflict")

    def test_a_value_that_another_applies_too_is_shared_and_no_conflict(self) -> None:
        """The recommended patch, committed: Argo CD and we own the same value."""
        stage = stable()
        live = stage.target()
        container = {"name": "server", "env": [{"name": "MAX_BATCH_SIZE", "value": "16"}]}
        document = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {k: live["metadata"][k] for k in ("namespace", "name", "uid")},
            "spec": {"template": {"spec": {"containers": [container]}}},
        }
        stage.cluster.store.apply(document, "argocd-controller", force=True)
        for _ in range(5):
            stage.harness.step(60.0)
        assert (stage.state(), stage.conditions()["FieldConflict"][0]) == ("Stable", "False")
        assert set(owners(stage.target(), BATCH)) == {FIELD_MANAGER, "argocd-controller"}

    def test_taken_and_shared_again_the_tuning_is_stable_again(self) -> None:
        stage = stable()
        good = stage.target()
        stage.set_batch("8")
        stage.harness.run_due()
        assert stage.state() == "Halted"
        document = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {k: good["metadata"][k] for k in ("namespace", "name", "uid")}
            | {"annotations": {ANNOTATION_LAST_GOOD: stage.annotations()[ANNOTATION_LAST_GOOD]}},
            "spec": {
                "template": {
                    "spec": {
                        "containers": [
                            {"name": "server", "env": [{"name": "MAX_BATCH_SIZE", "value": "16"}]}
                        ]
                    }
                }
            },
        }
        stage.cluster.store.apply(document, FIELD_MANAGER, force=True)
        stage.harness.run_due()
        assert stage.state() == "Stable"
        assert stage.conditions()["Stalled"] == ("False", "Progressing")
        assert stage.conditions()["FieldConflict"] == ("False", "NoConflict")

    def test_asked_to_go_on_it_adopts_the_field_anew_from_its_owner_of_now(self) -> None:
        stage = stable()
        stage.set_batch("1", "helm")
        stage.harness.run_due()
        assert stage.state() == "Halted"
        stage.edit_spec(lambda spec: spec["demand"].update(troughRequestsPerSecond=11))
        stage.harness.run_due()
        stage.settle()
        assert (stage.state(), stage.values()) == ("Stable", TUNED)
        rollout = stage.status().rollout
        assert rollout is not None
        assert rollout.intent is not None
        assert "helm" in rollout.intent.owners_before.values()

    def test_a_watch_that_lags_behind_our_write_is_no_conflict(self) -> None:
        stage = Stage(mode="Apply")
        stage.until("Verifying")
        stage.cluster.store.listeners.clear()
        stage.harness.until(lambda: stage.state() != "Verifying")
        for _ in range(5):
            stage.harness.step(60.0)
        assert (stage.state(), stage.conditions()["FieldConflict"][0]) == ("Stable", "False")


class TestGivenBack:
    def test_after_a_rollback_nothing_is_ours(self) -> None:
        stage = Stage(mode="Apply")
        stage.live = lambda query: steady(
            query, 150.0 if stage.values() == BEFORE else 900.0, LIVE_RATE
        )
        stage.settle()
        assert (stage.state(), stage.values()) == ("Halted", BEFORE)
        for raw in (stage.target(), stage.cluster.store.read(*AUTOSCALER)):
            managers = {entry["manager"] for entry in raw["metadata"]["managedFields"]}
            assert FIELD_MANAGER not in managers

    def test_a_target_that_the_spec_names_no_more_is_released_with_its_values(self) -> None:
        stage = stable()
        other = cases.deployment()
        other["metadata"]["name"] = "other"
        other["spec"]["selector"]["matchLabels"] = {"app": "other"}
        other["spec"]["template"]["metadata"]["labels"] = {"app": "other"}
        stage.cluster.store.add(other)
        stage.edit_spec(lambda spec: spec["targetRef"].update(name="other"))
        stage.harness.run_due()
        assert stage.values() == TUNED
        assert stage.annotations() == {}
        for raw in (stage.target(), stage.cluster.store.read(*AUTOSCALER)):
            managers = {entry["manager"] for entry in raw["metadata"]["managedFields"]}
            assert FIELD_MANAGER not in managers
        stage.harness.until(lambda: stage.state() == "Searching")
        assert stage.status().target.name == "other"

    def test_a_target_changed_during_a_rollout_is_rolled_back_first(self) -> None:
        stage = Stage(mode="Apply")
        before = stage.target()["spec"]
        stage.until("Verifying")
        stage.edit_spec(lambda spec: spec["targetRef"].update(name="other"))
        stage.until("RollingBack")
        stage.until("Pending")
        stage.harness.run_due()
        assert (stage.target()["spec"], stage.bounds()) == (before, (2, 2))
        assert stage.annotations() == {}
        assert stage.conditions()["TargetAvailable"] == ("False", "TargetNotFound")

    def test_a_knob_dropped_from_the_spec_keeps_its_value_and_is_nobodys(self) -> None:
        stage = stable()
        knobs = {"batchSize": {"env": "THREADS", "values": [2]}, "replicas": {"min": 1, "max": 6}}
        stage.edit_spec(lambda spec: spec.update(knobs=knobs))
        stage.harness.run_due()
        stage.harness.step()
        assert stage.values() == TUNED
        assert owners(stage.target(), BATCH) == ()
        stage.settle()
        assert stage.values() == TUNED

    def test_released_by_hand_the_tuning_says_so_and_goes_on_resting(self) -> None:
        stage = stable()
        for mark in stage.harness.cache.marks.of(cases.TUNING):
            stage.harness.cluster.release_fields(release(mark))
        stage.harness.run_due()
        assert (stage.state(), stage.values()) == ("Stable", TUNED)
        assert stage.conditions()["FieldConflict"] == ("False", "Released")


class TestGitOps:
    @pytest.mark.parametrize(
        ("metadata", "keeper", "entries"),
        [
            (
                {"annotations": {"argocd.argoproj.io/tracking-id": "shop:apps/Deployment:d/s"}},
                "Argo CD",
                ("ignoreDifferences:", "managedFieldsManagers: [infertune]", "RespectIgnore"),
            ),
            (
                {"labels": {"kustomize.toolkit.fluxcd.io/name": "shop"}},
                "Flux",
                ('- "/spec/template/spec/containers/0/env/1/value"', "kind: Deployment"),
            ),
            (
                {"labels": {"helm.toolkit.fluxcd.io/name": "shop"}},
                "Flux",
                ("driftDetection:", "kind: Deployment"),
            ),
        ],
    )
    def test_a_target_in_git_is_not_written_and_the_patch_says_what_to_do(
        self, metadata: dict[str, Any], keeper: str, entries: tuple[str, ...]
    ) -> None:
        stage = Stage(mode="Apply")
        label(stage, "Deployment", **metadata)
        stage.settle()
        assert (stage.state(), stage.values(), writes(stage)) == ("Stable", BEFORE, 0)
        assert stage.conditions()["Applied"] == ("False", "ManagedByGitOps")
        assert f"is managed by {keeper}" in stage.message("Applied")
        assert "'shop'" in stage.message("Applied")
        (published,) = stage.cluster.store.all("ConfigMap")
        assert "patch.json" in published["data"]
        for entry in entries:
            assert entry in published["data"][IGNORE_KEY]

    def test_an_autoscaler_in_git_counts_as_well(self) -> None:
        stage = Stage(mode="Apply")
        label(stage, "HorizontalPodAutoscaler", labels={"helm.toolkit.fluxcd.io/name": "shop"})
        stage.settle()
        assert (stage.bounds(), writes(stage)) == ((2, 2), 0)
        assert stage.message("Applied").startswith("HorizontalPodAutoscaler/server is managed by")

    def test_acknowledged_it_writes_and_a_revert_ends_it_without_a_fight(self) -> None:
        rollout = {"gitOps": "Acknowledged", "warmupSeconds": 5, "applyTimeoutSeconds": 120}
        stage = Stage(mode="Apply", rollout=rollout)
        label(stage, "Deployment", labels={"kustomize.toolkit.fluxcd.io/name": "shop"})
        stage.settle()
        assert (stage.state(), stage.values()) == ("Stable", TUNED)
        written = writes(stage)
        for _ in range(20):
            stage.set_batch("1", "kustomize-controller")
            stage.harness.step(60.0)
        assert (stage.state(), stage.values(), writes(stage)) == ("Halted", BEFORE, written)
        assert "(owner: kustomize-controller)" in stage.message("FieldConflict")
