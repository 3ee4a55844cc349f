"""A status that an older version wrote loads, and the story goes on from it, in every state.

``tests/fixtures/status/<version>/`` holds what that version left in the cluster: the status, and of
target and autoscaler the fields that are ours. A version that is released adds a folder.
"""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from infertune.api.status import StateName, TuningStatus
from infertune.api.v1alpha1 import KIND
from infertune.core.ownership import FIELD_MANAGER
from infertune.core.rollout import TRANSITIONS
from tests.fakes.cases import IMAGE, NAMESPACE, TUNING
from tests.scenario.stories import Stage

FIXTURES = Path(__file__).parents[1] / "fixtures" / "status"
FILES = sorted(FIXTURES.glob("*/*.json"))
WHERE = (KIND, TUNING.namespace, TUNING.name)
TUNED, BEFORE = (IMAGE, "16"), (IMAGE, "1")
ENDS = {
    "RollingBack": ("Halted", BEFORE, (2, 2)),
    "Halted": ("Halted", BEFORE, (2, 2)),
    "Stable-recommended": ("Stable", BEFORE, (2, 2)),
}


def story_of(path: Path) -> tuple[dict[str, Any], str]:
    found: dict[str, Any] = json.loads(path.read_text())
    return found, path.stem


def restored(left: dict[str, Any], mode: str) -> Stage:
    """Return a stage whose cluster holds what the older operator left, a little later."""
    stage = Stage(mode=mode)
    write_target(stage, left)
    for _ in range(5):
        stage.clock.advance(2.0)
        stage.harness.node.tick()
    status = with_uids(stage, left)

    def change(raw: dict[str, Any]) -> None:
        raw["status"] = status
        raw["metadata"]["finalizers"] = left["finalizers"]

    since = datetime.fromisoformat(status["stateSince"])
    stage.clock.advance(max(0.0, (since - stage.clock.now()).total_seconds()) + 5.0)
    stage.cluster.store.edit(*WHERE, change, FIELD_MANAGER)
    stage.harness.start_operator()
    return stage


def write_target(stage: Stage, left: dict[str, Any]) -> None:
    """Write our fields as the older operator did: by server-side apply."""
    record = left["target"]["lastGood"]
    if record is not None:
        uid = stage.target()["metadata"]["uid"]
        env = [{"name": "MAX_BATCH_SIZE", "value": left["target"]["batch"]}]
        metadata = {"name": "server", "namespace": NAMESPACE, "uid": uid}
        template = {"spec": {"containers": [{"name": "server", "env": env}]}}
        stage.cluster.store.apply(
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {**metadata, "annotations": {"infertune.io/last-good": record}},
                "spec": {"template": template},
            },
            FIELD_MANAGER,
            force=True,
        )
    low, high = left["bounds"]
    stage.cluster.store.edit(
        "HorizontalPodAutoscaler",
        NAMESPACE,
        "server",
        lambda raw: raw["spec"].update(minReplicas=low, maxReplicas=high),
        FIELD_MANAGER,
    )


def with_uids(stage: Stage, left: dict[str, Any]) -> dict[str, Any]:
    """Return the status with the UIDs of this stage in place of those of its time."""
    scaler = stage.cluster.store.read("HorizontalPodAutoscaler", NAMESPACE, "server")
    now = {
        "tuning": stage.cluster.store.read(*WHERE)["metadata"]["uid"],
        "target": stage.target()["metadata"]["uid"],
        "autoscaler": scaler["metadata"]["uid"],
    }
    text = json.dumps(left["status"])
    for name, uid in left["uids"].items():
        text = text.replace(f'"{uid}"', f'"@{name}"')
    for name, uid in now.items():
        text = text.replace(f'"@{name}"', f'"{uid}"')
    found: dict[str, Any] = json.loads(text)
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda p: f"{p.parent.name}-{p.stem}")
def test_an_old_status_loads_whole(path: Path) -> None:
    left, _ = story_of(path)
    status = TuningStatus.model_validate(left["status"])
    again = status.model_dump(mode="json", by_alias=True, exclude_none=True)
    assert missing(left["status"], again) == []


def missing(old: Any, new: Any, path: str = "status") -> list[str]:
    """Return the paths of what the new form has lost or changed."""
    if isinstance(old, dict) and isinstance(new, dict):
        return [
            p for key, value in old.items() for p in missing(value, new.get(key), f"{path}.{key}")
        ]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        pairs = zip(old, new, strict=True)
        return [p for i, (a, b) in enumerate(pairs) for p in missing(a, b, f"{path}[{i}]")]
    return [] if old == new else [path]


@pytest.mark.parametrize("path", FILES, ids=lambda p: f"{p.parent.name}-{p.stem}")
def test_the_story_goes_on_from_an_old_status(path: Path) -> None:
    left, name = story_of(path)
    recommends = name == "Stable-recommended"
    stage = restored(left, "Recommend" if recommends else "Apply")
    assert stage.state() == name.partition("-")[0]
    stage.settle()
    wanted = ENDS.get(name, ("Stable", TUNED, (1, 3)))
    assert (stage.state(), stage.values(), stage.bounds()) == wanted
    assert stage.cluster.store.read(*WHERE)["metadata"]["finalizers"] == []
    assert stage.jobs() == []
    known = {trial["name"] for trial in left["status"].get("trials", ())}
    assert known <= {trial.name for trial in stage.status().trials}
    assert stage.status().observed_generation == 1


def test_every_version_has_every_state() -> None:
    versions = {path.parent.name for path in FILES}
    assert versions
    for version in versions:
        states = {path.stem.partition("-")[0] for path in FILES if path.parent.name == version}
        wanted: set[StateName] = set(TRANSITIONS)
        assert states == wanted, version
