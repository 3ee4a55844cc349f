"""Secrets that stand beside a tuning stay where they are: nothing that we write or say holds one.

Each place that could hold one gets a word of its own: env values and annotations of the target, the
answer of a Prometheus, its credentials. The whole story is played, and everything that came out of
it is searched: statuses, Events, log, Jobs, ConfigMaps, annotations, the report.
"""

import json
import logging
from pathlib import Path

import pytest

from infertune.adapters.prometheus_access import Credential, PrometheusAccess
from infertune.adapters.telemetry import JsonLines
from infertune.api.v1alpha1 import KIND
from infertune.core.prometheus_access import AccessRules, pattern_of, url_refusal
from infertune.report.markdown import render_markdown
from tests.fakes.cases import NAMESPACE
from tests.scenario.stories import Stage

IN_ENV, IN_ANNOTATION, IN_ARGUMENT = "canary-env-8d1f", "canary-note-77b0", "canary-arg-51c2"
CANARIES = (IN_ENV, IN_ANNOTATION, IN_ARGUMENT)


def planted(**spec: object) -> Stage:
    """Return a stage whose target holds secrets where targets hold them."""
    stage = Stage(**spec)

    def plant(raw: dict[str, object]) -> None:
        template = raw["spec"]["template"]  # type: ignore[index]
        container = template["spec"]["containers"][0]
        container["env"].append({"name": "DATABASE_PASSWORD", "value": IN_ENV})
        container["args"] = ["--api-key", IN_ARGUMENT]
        raw["metadata"]["annotations"] = {"example.com/note": IN_ANNOTATION}  # type: ignore[index]

    stage.cluster.store.edit("Deployment", NAMESPACE, "server", plant)
    return stage


@pytest.mark.parametrize("mode", ["Recommend", "Apply"])
def test_a_whole_story_tells_no_secret_of_its_target(
    mode: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    stage = planted(mode=mode)
    stage.settle()
    assert stage.state() == "Stable"
    tuning = stage.cluster.store.read(KIND, *stage.place())
    told = {
        "status": json.dumps(tuning["status"]),
        "events": repr(stage.cluster.events),
        "log": "\n".join(map(JsonLines().format, caplog.records)),
        "config maps": json.dumps(stage.cluster.store.all("ConfigMap")),
        "our annotations": json.dumps(
            {k: v for k, v in stage.annotations().items() if "infertune" in k}
        ),
        "report": render_markdown("demo", None, stage.status()),
    }
    assert all(told.values()), "there is something to search"
    found = [(place, word) for place, text in told.items() for word in CANARIES if word in text]
    assert found == []


def test_the_search_finds_what_is_planted() -> None:
    """The trial itself is a copy of the target and needs what the target needs."""
    stage = planted(mode="Recommend")
    stage.until("Searching")
    stage.harness.step(5.0)
    jobs = json.dumps(stage.cluster.store.all("Job"))
    assert IN_ENV in jobs
    assert IN_ANNOTATION not in jobs


def test_credentials_of_a_prometheus_are_not_in_what_describes_them(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("canary-token-04ab")
    credential = Credential(pattern_of("https://p.example.com"), tmp_path)
    access = PrometheusAccess(AccessRules((credential.pattern,)), (credential,))
    assert access.authorization("https://p.example.com/x") == "Bearer canary-token-04ab"
    assert "canary" not in repr(access)
    refusal = url_refusal("http://user:canary-url@prometheus:9090", AccessRules())
    assert refusal is not None
    assert "canary" not in refusal
