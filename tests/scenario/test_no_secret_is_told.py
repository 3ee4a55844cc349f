"""Secrets that stand beside a tuning stay where they are: nothing that we write or say holds one.

Each place that could hold one gets a word of its own: env values, arguments and annotations of the
target, the answer of a Prometheus, its credentials. The whole story is played, and everything that
came out of it is searched: statuses, Events, log, Jobs, ConfigMaps, annotations, the report.
"""

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from infertune.adapters.prometheus_access import Credential, PrometheusAccess
from infertune.core.prometheus_access import AccessRules, pattern_of, url_refusal
from tests.fakes.cases import NAMESPACE
from tests.scenario.canaries import CANARIES, IN_ANNOTATION, Watch, leaks_in, plant, told
from tests.scenario.stories import Stage
from tests.scenario.tales_settings import broken_settings, happy_settings
from tests.scenario.test_config_copies import at_first
from tests.scenario.test_settings_loop import edit_container


def planted(**spec: object) -> Stage:
    """Return a stage whose target holds secrets where targets hold them."""
    stage = Stage(**spec)
    plant(stage)
    return stage


def planted_flags(stage: Callable[[], Stage] = happy_settings, **spec: Any) -> Stage:
    """Return a stage on which a flag is turned that stands beside secrets."""
    made = stage()
    plant(made)
    if spec:
        made.edit_spec(lambda raw: raw.update(spec))
    return made


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG)
    return caplog


@pytest.mark.parametrize("stage", [planted, planted_flags], ids=["variable", "flag"])
@pytest.mark.parametrize("mode", ["Recommend", "Apply"])
def test_a_whole_story_tells_no_secret_of_its_target(
    stage: Callable[..., Stage], mode: str, log: pytest.LogCaptureFixture
) -> None:
    played = stage(mode=mode)
    watch = Watch(played)
    played.settle()
    assert played.state() == "Stable"
    assert watch.looks > 10
    assert (watch.leaks, leaks_in(played), told(played, log.records)) == (set(), set(), set())


def test_a_flag_that_broke_the_promise_goes_back_without_a_word_about_its_neighbours(
    log: pytest.LogCaptureFixture,
) -> None:
    stage = planted_flags(broken_settings)
    stood = stage.target()["spec"]["template"]
    watch = Watch(stage)
    stage.settle()
    rollout = stage.status().rollout
    assert rollout is not None
    assert rollout.restore_command is not None
    assert '"op":"test"' in rollout.restore_command
    assert (stage.state(), stage.target()["spec"]["template"]) == ("Halted", stood)
    assert (watch.leaks, told(stage, log.records)) == (set(), set())


@pytest.mark.parametrize("state", ["Applying", "Verifying", "Stable"])
def test_a_list_that_somebody_took_is_named_and_not_told(
    state: str, log: pytest.LogCaptureFixture
) -> None:
    stage = planted_flags()
    at_first(stage, state)
    edit_container(stage, lambda raw: raw["args"].append("--verbose"))
    stage.settle()
    for _ in range(5):
        stage.harness.step(60.0)
    assert stage.conditions()["FieldConflict"] == ("True", "FieldTaken")
    assert "holds another list of " in stage.message("FieldConflict")
    assert (stage.state(), leaks_in(stage), told(stage, log.records)) == ("Halted", set(), set())


def test_a_list_that_may_not_be_adopted_is_named_and_not_told(
    log: pytest.LogCaptureFixture,
) -> None:
    stage = planted_flags(rollout={"adoption": "Never"})
    stage.settle()
    assert stage.conditions()["Applied"] == ("False", "FieldOwnedByOther")
    assert "args (owner: kubectl-edit) holds a list of 5 arguments, and " in stage.message(
        "Applied"
    )
    assert (leaks_in(stage), told(stage, log.records)) == (set(), set())


def test_a_shell_string_is_recommended_by_a_line_and_not_copied(
    log: pytest.LogCaptureFixture,
) -> None:
    stage = planted_flags(mode="Recommend")
    line = f"exec serve --fuse off --api-key {CANARIES[0]}"
    edit_container(stage, lambda raw: raw.update(command=["sh", "-c", line], args=[]))
    watch = Watch(stage)
    stage.settle()
    found = [raw["data"] for raw in stage.cluster.store.all("ConfigMap", NAMESPACE)]
    hands = [data["by-hand.txt"] for data in found if "by-hand.txt" in data]
    assert hands == ["in command[2] of container 'server' change --fuse from off to on\n"]
    assert (watch.leaks, told(stage, log.records)) == (set(), set())


def test_the_search_finds_what_is_planted() -> None:
    """The trial itself is a copy of the target and needs what the target needs."""
    stage = planted(mode="Recommend")
    stage.until("Searching")
    stage.harness.step(5.0)
    jobs = json.dumps(stage.cluster.store.all("Job"))
    assert [word for word in CANARIES if word not in jobs] == [IN_ANNOTATION]
    data = {"metadata": {"name": "leak", "namespace": NAMESPACE}, "data": {"x": CANARIES[2]}}
    stage.cluster.store.add({"apiVersion": "v1", "kind": "ConfigMap", **data})
    assert leaks_in(stage) == {("ConfigMap/leak", CANARIES[2])}


def test_credentials_of_a_prometheus_are_not_in_what_describes_them(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("canary-token-04ab")
    credential = Credential(pattern_of("https://p.example.com"), tmp_path)
    access = PrometheusAccess(AccessRules((credential.pattern,)), (credential,))
    assert access.authorization("https://p.example.com/x") == "Bearer canary-token-04ab"
    assert "canary" not in repr(access)
    refusal = url_refusal("http://user:canary-url@prometheus:9090", AccessRules())
    assert refusal is not None
    assert "canary" not in refusal
