"""Secrets in a target, planted so that any leak can be named, and the search for them.

Role: a stage with a word of its own in every place that could hold a secret, and the places in
which these words are found afterwards: all objects of the cluster at every write, Events, log.
Trade-off: what holds a copy of the pod template by its nature (the target, its ReplicaSets and
pods, a trial's server) is searched too, but for the template in it.
"""

import json
import logging
from collections.abc import Mapping
from typing import Any

from infertune.adapters.telemetry import JsonLines
from infertune.report.markdown import render_markdown
from tests.fakes.cases import NAMESPACE
from tests.scenario.stories import Stage

IN_ENV, IN_ANNOTATION, IN_ARGUMENT = "canary-env-8d1f", "canary-note-77b0", "canary-arg-51c2"
IN_FLAG, IN_COMMAND = "canary-flag-a90e", "canary-cmd-3c44"
CANARIES = (IN_ENV, IN_ANNOTATION, IN_ARGUMENT, IN_FLAG, IN_COMMAND)
COPIES = ("Deployment", "ReplicaSet", "Pod")
EVERYWHERE = (
    *("InferenceTuning", "Deployment", "ReplicaSet", "Pod", "Job", "ConfigMap"),
    "HorizontalPodAutoscaler",
)
NOTE = "example.com/note"
Raw = dict[str, Any]


def plant(stage: Stage) -> None:
    """Put a secret of its own into each place of the target that may hold one."""

    def change(raw: Raw) -> None:
        container = raw["spec"]["template"]["spec"]["containers"][0]
        container["env"].append({"name": "DATABASE_PASSWORD", "value": IN_ENV})
        secrets = ["--api-key", IN_ARGUMENT, f"--hf-token={IN_FLAG}"]
        container["args"] = [*container.get("args", ["serve"]), *secrets]
        container["command"] = [*container.get("command", ["run"]), "--licence", IN_COMMAND]
        raw["metadata"]["annotations"] = {NOTE: IN_ANNOTATION}

    stage.cluster.store.edit("Deployment", NAMESPACE, "server", change)


class Watch:
    """Looks for the planted words in the whole cluster, after every write of a story."""

    def __init__(self, stage: Stage, on: str = "record_status") -> None:
        self.stage = stage
        self.on = on
        self.leaks: set[tuple[str, str]] = set()
        self.looks = 0
        stage.cluster.after = self.after

    def after(self, call: str) -> None:
        """Look at everything once more."""
        if call == self.on:
            self.looks += 1
            self.leaks |= leaks_in(self.stage)


def leaks_in(stage: Stage) -> set[tuple[str, str]]:
    """Return where in the cluster a planted word stands that has no business there."""
    found: set[tuple[str, str]] = set()
    for kind in EVERYWHERE:
        for raw in stage.cluster.store.look_at_all(kind):
            where = f"{kind}/{raw['metadata']['name']}"
            found |= words_in(where, json.dumps(_public(kind, raw)))
    return found


def told(
    stage: Stage, records: list[logging.LogRecord], events: str | None = None
) -> set[tuple[str, str]]:
    """Return where in what was told, and in the report, a planted word stands.

    ``events`` are those of a real API server.
    """
    texts = {
        "events": repr(stage.cluster.events) if events is None else events,
        "log": "\n".join(map(JsonLines().format, records)),
        "report": render_markdown("demo", None, stage.status()),
    }
    assert all(texts.values()), "there is something to search"
    return {leak for place, text in texts.items() for leak in words_in(place, text)}


def words_in(where: str, text: str) -> set[tuple[str, str]]:
    """Return the planted words that stand in a text, with its place."""
    return {(where, word) for word in CANARIES if word in text}


def _public(kind: str, raw: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the object without the pod template that it is there for, if it is."""
    outside = {part: value for part, value in raw.items() if part != "spec"}
    if kind in COPIES:
        metadata = dict(raw["metadata"])
        metadata["annotations"] = {
            k: v for k, v in (metadata.get("annotations") or {}).items() if k != NOTE
        }
        return {**outside, "metadata": metadata}
    if kind == "Job" and raw["metadata"]["labels"].get("infertune.io/role") == "server":
        return outside
    return raw
