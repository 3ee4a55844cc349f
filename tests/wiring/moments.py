"""Statuses to begin with, where no kubelet would let a tuning get by itself.

Role: a tuning in the middle of a trial or of a rollout of the target that really stands there, so
that a real operator goes on from it. Must not know: what happens next. Trade-off: written by the
test as an earlier operator would have, since without a node no probe ever ends.
"""

from datetime import UTC, datetime
from typing import Any

from infertune.adapters.kube.connection import Request
from infertune.adapters.kube.paths import object_path
from infertune.api.status import (
    BatchPlace,
    Bounds,
    RolloutIntent,
    RolloutStatus,
    TargetFacts,
    TemplateValues,
    TuningStatus,
)
from infertune.api.v1alpha1 import API_VERSION, KIND
from infertune.core.manifests.naming import FINALIZER
from tests.builders import status_of, trial_of
from tests.fakes import cases
from tests.wiring.scenery import MERGE_PATCH, NODE, Scenery

Raw = dict[str, Any]


def find(place: Scenery, version: str, kind: str, name: str = "server") -> Raw:
    """Return an object of the namespace."""
    return dict(place.plane.admin.get(object_path(version, kind, place.namespace, name)))


def in_a_trial(place: Scenery) -> TuningStatus:
    """The first trial was decided now: the configuration that runs, at 10 requests a second."""
    now = datetime.now(UTC)
    trial = trial_of(1, phase="Running", image=cases.IMAGE, started_at=now, finished_at=None)
    trial = trial.model_copy(update={"rates": (10.0,)})
    return status_of("Searching", state_since=now, target=_facts(place), trials=(trial,))


def in_a_rollout(place: Scenery) -> TuningStatus:
    """A rollout from batch 1 at 2 replicas to batch 4 at 1 to 3, decided now."""
    now = datetime.now(UTC)
    intent = RolloutIntent(
        id="0123456789ab",
        target_uid=find(place, "apps/v1", "Deployment")["metadata"]["uid"],
        container="server",
        place=BatchPlace(env="MAX_BATCH_SIZE"),
        before=TemplateValues(batch_value="1"),
        after=TemplateValues(batch_value="4"),
        autoscaler="server",
        autoscaler_uid=find(place, "autoscaling/v2", "HorizontalPodAutoscaler")["metadata"]["uid"],
        bounds_before=Bounds(min_replicas=2, max_replicas=2),
        bounds_after=Bounds(min_replicas=1, max_replicas=3),
    )
    rollout = RolloutStatus(intent=intent, started_at=now, restore_command="kubectl patch it back")
    return status_of("Applying", state_since=now, target=_facts(place), rollout=rollout)


def _facts(place: Scenery) -> TargetFacts:
    uid = find(place, "apps/v1", "Deployment")["metadata"]["uid"]
    return TargetFacts(uid=uid, container="server", nodes=(NODE,))


def begin(place: Scenery, status: TuningStatus | None) -> None:
    """Let the tuning begin there; None leaves it new."""
    if status is not None:
        body = {"status": status.model_dump(mode="json", by_alias=True, exclude_none=True)}
        path = object_path(API_VERSION, KIND, place.namespace, place.name) + "/status"
        place.plane.admin.send(Request("PATCH", path, (), body, MERGE_PATCH))


def has_job(place: Scenery, role: str) -> bool:
    """Whether a Job of a trial stands there: ``server`` or ``load``."""
    return any(job["metadata"]["name"].endswith(f"-{role}") for job in place.jobs())


def is_written(place: Scenery) -> bool:
    """Whether the template has its new value, and the tuning its finalizer."""
    spec = find(place, "apps/v1", "Deployment")["spec"]["template"]["spec"]
    written = {"name": "MAX_BATCH_SIZE", "value": "4"} in spec["containers"][0]["env"]
    tuning = find(place, API_VERSION, KIND, place.name)
    return written and FINALIZER in (tuning["metadata"].get("finalizers") or ())
