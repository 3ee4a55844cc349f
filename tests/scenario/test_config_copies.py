"""Copies of ConfigMaps: there before a template names them, kept while needed, gone afterwards."""

from typing import Any

import pytest

from infertune.core.manifests.config_copy import LABEL_COPY
from tests.fakes.cases import NAMESPACE
from tests.scenario.book import NEW_BOUNDS, OLD_BOUNDS
from tests.scenario.stories import Stage
from tests.scenario.tales_settings import (
    CONFIG,
    COPY,
    FUSED,
    SLOW,
    broken_settings,
    happy_settings,
    settings,
)


def copies(stage: Stage) -> dict[str, str]:
    """Return the mode that each copy holds, by the kind of its owner."""
    found = [
        raw
        for raw in stage.cluster.store.all("ConfigMap", NAMESPACE)
        if LABEL_COPY in (raw["metadata"].get("labels") or {})
    ]
    owners = [raw["metadata"]["ownerReferences"][0]["kind"] for raw in found]
    assert len(set(owners)) == len(owners)
    return {owner: raw["data"]["mode"] for owner, raw in zip(owners, found, strict=True)}


def named_copy(stage: Stage) -> str:
    """Return the name of the target's copy."""
    found = [
        raw["metadata"]["name"]
        for raw in stage.cluster.store.all("ConfigMap", NAMESPACE)
        if raw["metadata"]["name"].startswith(COPY)
        and raw["metadata"]["ownerReferences"][0]["kind"] == "Deployment"
    ]
    (name,) = found
    return str(name)


def at_first(stage: Stage, state: str) -> None:
    """Go on tick by tick to the first moment of a state: no write of it is made yet."""
    engine = stage.harness.engine
    while stage.state() != state:
        engine.enqueue_due()
        key = engine.queue.take(0)
        if key is None:
            stage.clock.advance(1.0)
            stage.harness.node.tick()
        else:
            engine.tick(key)
            engine.queue.done(key)


def anew(stage: Stage) -> None:
    """Let an edit start the tuning anew, up to its next rest."""
    generation = stage.status().observed_generation
    stage.edit_spec(lambda spec: spec.update(budget={"maxTrials": 11}))
    stage.harness.until(lambda: stage.status().observed_generation > generation)
    stage.settle()


def point_back(stage: Stage) -> None:
    """Let a human point the target to the ConfigMap of its own again."""

    def change(raw: dict[str, Any]) -> None:
        container = raw["spec"]["template"]["spec"]["containers"][0]
        entry = next(e for e in container["env"] if e["name"] == "MODE")
        entry["valueFrom"]["configMapKeyRef"]["name"] = CONFIG

    stage.cluster.store.edit("Deployment", NAMESPACE, "server", change)


def forget_revisions(stage: Stage) -> None:
    """Let the ReplicaSets without replicas go, as revisionHistoryLimit does."""
    hashes = {
        pod["metadata"]["labels"]["pod-template-hash"]
        for pod in stage.cluster.store.all("Pod", NAMESPACE)
        if "pod-template-hash" in pod["metadata"]["labels"]
    }
    for raw in stage.cluster.store.all("ReplicaSet", NAMESPACE):
        if raw["metadata"]["labels"]["pod-template-hash"] not in hashes:
            stage.cluster.store.delete("ReplicaSet", NAMESPACE, raw["metadata"]["name"])


class TestSweep:
    def test_copies_of_trials_go_with_the_search_and_the_one_in_use_stays(self) -> None:
        stage = happy_settings()
        at_first(stage, "Deciding")
        assert copies(stage) == {"InferenceTuning": "fast"}
        stage.settle()
        assert (stage.state(), copies(stage)) == ("Stable", {"Deployment": "fast"})
        assert settings(stage) == (FUSED, NEW_BOUNDS)

    def test_the_copy_that_the_template_refers_to_stays_when_the_tuning_starts_anew(self) -> None:
        stage = happy_settings()
        stage.settle()
        name = named_copy(stage)
        forget_revisions(stage)
        anew(stage)
        assert (stage.state(), named_copy(stage)) == ("Stable", name)
        assert settings(stage)[0] == FUSED

    def test_a_copy_stays_while_a_revision_refers_to_it_and_goes_afterwards(self) -> None:
        stage = broken_settings()
        stage.settle()
        assert (stage.state(), settings(stage)) == ("Halted", (SLOW, OLD_BOUNDS))
        stage.edit_spec(lambda spec: spec.update(mode="Recommend"))
        stage.harness.until(lambda: stage.status().observed_generation > 1)
        stage.settle()
        assert copies(stage) == {"Deployment": "fast"}
        forget_revisions(stage)
        anew(stage)
        assert copies(stage) == {}

    def test_a_copy_stays_while_the_record_on_the_target_leads_to_it(self) -> None:
        """The template was pointed back by hand; the record still tells the way to the copy."""
        stage = happy_settings()
        stage.settle()
        stage.edit_spec(lambda spec: spec.update(suspend=True))
        point_back(stage)
        for _ in range(5):
            stage.harness.step(5.0)
        forget_revisions(stage)
        stage.edit_spec(lambda spec: spec.update(suspend=False, mode="Recommend"))
        stage.settle()
        assert "infertune.io/last-good" in stage.annotations()
        assert copies(stage) == {"Deployment": "fast"}


class TestDeletedBeforeTheTemplateNamesIt:
    def test_a_deleted_copy_is_made_again(self) -> None:
        stage = happy_settings()
        at_first(stage, "Applying")
        name = named_copy(stage)
        stage.cluster.store.delete("ConfigMap", NAMESPACE, name)
        stage.settle()
        assert (stage.state(), settings(stage)) == ("Stable", (FUSED, NEW_BOUNDS))
        assert named_copy(stage) == name

    @pytest.mark.parametrize("deleted", [False, True])
    def test_one_that_cannot_be_made_again_is_not_referred_to(self, *, deleted: bool) -> None:
        """Its source was edited meanwhile: what was measured is in the copy alone, if anywhere."""
        stage = happy_settings()
        at_first(stage, "Applying")
        name = named_copy(stage)
        stage.cluster.store.edit(
            "ConfigMap", NAMESPACE, CONFIG, lambda raw: raw["data"].update(other="new")
        )
        if deleted:
            stage.cluster.store.delete("ConfigMap", NAMESPACE, name)
        stage.settle()
        if not deleted:
            assert (stage.state(), settings(stage)) == ("Stable", (FUSED, NEW_BOUNDS))
            return
        assert (stage.state(), settings(stage)) == ("Halted", (SLOW, OLD_BOUNDS))
        assert f"ConfigMap {name} was deleted" in stage.message("Stalled")
