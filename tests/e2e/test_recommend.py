"""Recommend, the default: an answer and a patch, and not a byte of the target is touched."""

import json
from pathlib import Path
from typing import Any

import pytest

from demo.image_set import SERVER_INT8
from demo.workload import SERVER
from infertune.core.manifests.recommendation import AUTOSCALER_PATCH_KEY, PATCH_KEY, patch_digest
from infertune.core.snapshot import RawObject
from tests.e2e.stage import Stage, condition, setting_of, setting_reported
from tests.e2e.tunings import tuning

pytestmark = [pytest.mark.e2e, pytest.mark.ci, pytest.mark.timeout(400, func_only=True)]


def test_recommend_touches_nothing_and_its_patch_applies(stage: Stage, tmp_path: Path) -> None:
    """The full-precision server at batch 1 misses 250 ms, the int8 image keeps it.

    The recommendation says so, Deployment and autoscaler keep spec, generation, annotations and
    owners of every field, the same pods serve, and the server accepts the published patch.
    """
    before, pods = untouchable(stage), names(stage.live_pods())
    stage.apply(tuning(stage.namespace, "Recommend", probes={"benchmark": "Enabled"}))
    status = stage.until_state("Stable", 200)

    assert untouchable(stage) == before
    assert names(stage.live_pods()) == pods
    assert condition(status, "SLOAchievable") == ("True", "Measured")
    assert condition(status, "Applied") == ("False", "RecommendOnly")
    assert status.rollout is None
    told = {probe.probe: probe for probe in status.probes}
    assert set(told) == {"gpu", "benchmark"}
    # "warn" is a figure too: a busy node does not settle within the ten seconds.
    assert told["benchmark"].verdict in {"pass", "warn"}
    assert "matmul_best" in told["benchmark"].summary

    recommendation = status.recommendation
    assert recommendation is not None
    chosen = setting_reported(recommendation.configuration)
    assert chosen.image == SERVER_INT8

    content = published(stage, recommendation.patch_config_map)
    assert set(content) == {PATCH_KEY, AUTOSCALER_PATCH_KEY}
    assert patch_digest(content) == recommendation.digest
    target = dry_run(stage, "deployment", content[PATCH_KEY], tmp_path)
    scaler = dry_run(stage, "hpa", content[AUTOSCALER_PATCH_KEY], tmp_path)
    bounds = scaler["spec"]["minReplicas"], scaler["spec"]["maxReplicas"]
    assert setting_of(target, *bounds) == chosen
    assert without_setting(target) == without_setting(stage.target())
    assert untouchable(stage) == before, "a dry run changes nothing"


def untouchable(stage: Stage) -> dict[str, Any]:
    """Return all that only a write could change: status and its owners come and go by themselves.

    The number of replicas is the autoscaler's, written through the subresource scale.
    """
    return {raw["kind"]: settled(raw) for raw in (stage.target(), stage.autoscaler())}


def settled(raw: RawObject) -> dict[str, Any]:
    metadata = raw["metadata"]
    return {
        "spec": raw["spec"],
        "uid": metadata["uid"],
        "generation": metadata.get("generation"),
        "labels": metadata.get("labels"),
        "annotations": metadata.get("annotations"),
        "managedFields": [one for one in metadata["managedFields"] if "subresource" not in one],
    }


def published(stage: Stage, name: str) -> dict[str, str]:
    maps = {one["metadata"]["name"]: one for one in stage.objects("v1", "ConfigMap")}
    return dict(maps[name]["data"])


def dry_run(stage: Stage, kind: str, patch: str, folder: Path) -> RawObject:
    """Return what the server would make of a patch, applied by the line in the documentation."""
    file = folder / f"{kind}.json"
    file.write_text(patch, encoding="utf-8")
    words = ("patch", kind, SERVER, f"--namespace={stage.namespace}", f"--patch-file={file}")
    return dict(json.loads(stage.cluster.run(*words, "--dry-run=server", "--output=json")))


def without_setting(deployment: RawObject) -> dict[str, Any]:
    """Return the pod template without the two tuned fields: nothing else may be in the patch."""
    template = json.loads(json.dumps(deployment["spec"]["template"]))
    for container in template["spec"]["containers"]:
        del container["image"]
        container["env"] = [e for e in container["env"] if e["name"] != "MAX_BATCH_SIZE"]
    return dict(template)


def names(pods: tuple[RawObject, ...]) -> set[str]:
    return {pod["metadata"]["name"] for pod in pods}
