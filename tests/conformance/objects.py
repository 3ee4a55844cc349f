"""Objects that the conformance tests put on a stage, and what they read of them.

Must not know: which stage it is. Trade-off: images exist nowhere and Jobs are suspended, so nothing
ever runs and everything around it can be looked at.
"""

import copy
from typing import Any

from infertune.core.manifests.naming import LABEL_ROLE, LABEL_TUNING_UID
from infertune.core.plan import ApplyFields, FieldExpectation
from infertune.core.snapshot import Key, Selector
from tests.conformance.stages import Raw
from tests.fakes import cases

BASE = ("spec", "template", "spec", "containers", "name=server")
BATCH = (*BASE, "env", "name=MAX_BATCH_SIZE", "value")
NOT_PULLABLE = "infertune.invalid/never:1"


def target(replicas: int = 0, batch: str | None = "1") -> Raw:
    """A Deployment whose image exists nowhere: pods are made, none of them runs."""
    raw = cases.deployment(batch, replicas)
    container = raw["spec"]["template"]["spec"]["containers"][0]
    container |= {"image": NOT_PULLABLE, "imagePullPolicy": "Never"}
    raw["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = 0
    return raw


def batch_write(live: Raw, new: str | None, old: str | None, *, adopt: bool = True) -> ApplyFields:
    container: dict[str, Any] = {"name": "server"}
    if new is not None:
        container["env"] = [{"name": "MAX_BATCH_SIZE", "value": new}]
    metadata = {key: live["metadata"][key] for key in ("namespace", "name", "uid")}
    document = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata,
        "spec": {"template": {"spec": {"containers": [container]}}},
    }
    return ApplyFields(document, (FieldExpectation(BATCH, old, new),), adopt)


def batch_of(raw: Raw | None) -> str | None:
    assert raw is not None
    entries = raw["spec"]["template"]["spec"]["containers"][0].get("env", ())
    return next((e["value"] for e in entries if e["name"] == "MAX_BATCH_SIZE"), None)


def set_batch(value: str) -> Any:
    def change(raw: Raw) -> None:
        for entry in raw["spec"]["template"]["spec"]["containers"][0]["env"]:
            if entry["name"] == "MAX_BATCH_SIZE":
                entry["value"] = value

    return change


def config_map(name: str, owner: Raw | None) -> Raw:
    raw: Raw = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name},
        "data": {"a": "1"},
    }
    if owner is not None:
        raw["metadata"]["ownerReferences"] = [
            {
                "apiVersion": owner["apiVersion"],
                "kind": owner["kind"],
                "name": owner["metadata"]["name"],
                "uid": owner["metadata"]["uid"],
                "controller": True,
            }
        ]
    return raw


def key_of(raw: Raw) -> Key:
    return Key(raw["metadata"]["namespace"], raw["metadata"]["name"])


def set_of(selectors: tuple[Selector, ...]) -> set[tuple[object, ...]]:
    return {(s.kind, s.name, *s.match_labels.items()) for s in selectors}


def job(name: str, owner: Raw | None, uid: str) -> Raw:
    """A suspended Job: the controller makes no pod for it."""
    labels = {LABEL_TUNING_UID: uid, LABEL_ROLE: "gpu"}
    raw = config_map(name, owner)
    metadata = {**copy.deepcopy(raw["metadata"]), "labels": labels}
    container = {"name": "probe", "image": NOT_PULLABLE, "imagePullPolicy": "Never"}
    pod = {"restartPolicy": "Never", "containers": [container]}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata,
        "spec": {"suspend": True, "template": {"metadata": {"labels": labels}, "spec": pod}},
    }


def controller_revision(owner: Raw, name: str, config: str) -> dict[str, Any]:
    """Return an earlier revision of a StatefulSet, whose template refers to this ConfigMap."""
    container = {"name": "server", "envFrom": [{"configMapRef": {"name": config}}]}
    metadata = owner["metadata"]
    reference = {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "name": metadata["name"],
        "uid": metadata["uid"],
        "controller": True,
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {
            "name": name,
            "labels": owner["spec"]["selector"]["matchLabels"],
            "ownerReferences": [reference],
        },
        "data": {"spec": {"template": {"spec": {"containers": [container]}}}},
        "revision": 1,
    }
