"""Stories of settings beside the batch cap: a ConfigMap's key and a flag in one rollout.

The server reads ``mode`` from a ConfigMap and ``--fuse`` from its arguments: slow and without it
carries 20 requests/s, with both 60; either alone helps too little.
"""

from collections.abc import Callable, Mapping
from typing import Any

from infertune.core.evidence import NoData
from infertune.core.snapshot import LiveEvidence
from infertune.ports import LiveQuery
from tests.fakes.cases import NAMESPACE
from tests.fakes.controllers import World
from tests.fakes.metrics import steady
from tests.scenario.book import NEW_BOUNDS, OLD_BOUNDS, RECOMMENDATION, WIDE_BOUNDS, Mix, Story
from tests.scenario.stories import LIVE_RATE, Stage

CONFIG = "server-config"
COPY = f"{CONFIG}-infertune"
SLOW, FAST = ("slow", ("serve", "--port=80"), "200m"), ("fast", ("serve", "--port=80"), "200m")
KNOBS = {
    "settings": [
        {
            "name": "mode",
            "configMap": {"name": CONFIG, "key": "mode"},
            "values": ["slow", "fast"],
            "affectsAnswers": False,
        },
        {"name": "fuse", "argument": "--fuse", "values": ["on"], "affectsAnswers": False},
    ],
    "replicas": {"min": 1, "max": 6},
}
FUSED = ("fast", ("serve", "--port=80", "--fuse=on"), "200m")
STEPS = frozenset(
    {(SLOW, OLD_BOUNDS), (SLOW, WIDE_BOUNDS), (FUSED, WIDE_BOUNDS), (FUSED, NEW_BOUNDS)}
)


def mode_of(stage: Stage, container: Mapping[str, Any]) -> str:
    """Return what the container reads from the ConfigMap that it refers to."""
    entry = next(e for e in container["env"] if e["name"] == "MODE")
    name = entry["valueFrom"]["configMapKeyRef"]["name"]
    return str(stage.cluster.store.read("ConfigMap", NAMESPACE, name)["data"]["mode"])


def settings(stage: Stage) -> Mix:
    """Return the mode that the template leads to, its arguments and CPU, and the bounds."""
    container = stage.target()["spec"]["template"]["spec"]["containers"][0]
    cpu = container["resources"]["limits"]["cpu"]
    return (mode_of(stage, container), tuple(container["args"]), cpu), stage.bounds()


def stage_with(live_p95: Callable[[Stage], float] | None = None) -> Stage:
    """Return a stage whose server is slow until its ConfigMap and its arguments say otherwise."""
    places: list[Stage] = []

    def serve(container: Mapping[str, Any], rate: float) -> float:
        fast = mode_of(places[0], container) == "fast"
        capacity = 20.0 + 20.0 * fast + 20.0 * ("--fuse=on" in container["args"])
        spare = 1 - rate / capacity
        return 5000.0 if spare <= 0.006 else 30.0 / spare

    def live(query: LiveQuery) -> LiveEvidence | NoData:
        stage = places[0]
        return steady(query, 60.0 if live_p95 is None else live_p95(stage), LIVE_RATE)

    stage = Stage(mode="Apply", knobs=KNOBS, world=World(serve=serve), live=live)
    places.append(stage)
    metadata = {"namespace": NAMESPACE, "name": CONFIG}
    stage.cluster.store.add(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"mode": "slow"}}
    )

    def configure(raw: dict[str, Any]) -> None:
        container = raw["spec"]["template"]["spec"]["containers"][0]
        container["args"] = ["serve", "--port=80"]
        reference = {"name": CONFIG, "key": "mode", "optional": False}
        container["env"].append({"name": "MODE", "valueFrom": {"configMapKeyRef": reference}})

    stage.cluster.store.edit("Deployment", NAMESPACE, "server", configure, "helm")
    return stage


def happy_settings() -> Stage:
    """Return a stage on which both settings keep what trials promise."""
    return stage_with()


def broken_settings() -> Stage:
    """Return a stage on which live traffic does not bear the new settings."""
    return stage_with(lambda stage: 150.0 if settings(stage)[0] == SLOW else 900.0)


TALES = (
    Story(
        "settings applied",
        happy_settings,
        state="Stable",
        end=(FUSED, NEW_BOUNDS),
        safe=STEPS,
        annotated=True,
        leaves=(RECOMMENDATION, COPY),
        mix=settings,
    ),
    Story(
        "settings rolled back",
        broken_settings,
        state="Halted",
        end=(SLOW, OLD_BOUNDS),
        safe=STEPS,
        leaves=(RECOMMENDATION, COPY),
        mix=settings,
    ),
)
