"""Small worlds for tests of the core: tunings, targets, autoscalers, Jobs, live traffic.

Everything has a dull default, so that a test names only what its story is about. Objects are in
the form in which the core meets them; what a probe says comes from ``tests.fakes.envelopes``.
"""

import copy
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from infertune.api.conditions import Observation, first_conditions, set_condition
from infertune.api.spec import TuningSpec
from infertune.api.status import (
    BatchPlace,
    Bounds,
    Configuration,
    LiveFigures,
    RateLevel,
    Reading,
    RolloutIntent,
    RolloutStatus,
    StateName,
    TargetFacts,
    TemplateValues,
    TrialRecord,
    TuningStatus,
)
from infertune.api.v1alpha1 import SpecError, parse_spec
from infertune.core.evidence import Evidence, Measured, NoData
from infertune.core.manifests.naming import FINALIZER
from infertune.core.plan import Plan
from infertune.core.reconcile import plan
from infertune.core.snapshot import (
    BlockSample,
    Installation,
    JobRole,
    JobView,
    Key,
    LiveEvidence,
    LivePod,
    Selector,
    Snapshot,
    TargetView,
    TuningView,
)
from infertune.core.story import Context

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
KEY = Key("serving", "resnet")
UID = "tuning-uid"
TARGET_UID = "target-uid"
SCALER_UID = "scaler-uid"
IMAGE = "registry.test/resnet:fp32"
OTHER_IMAGE = "registry.test/resnet:int8"
INSTALLATION = Installation(
    probe_image="infertune/probes:test",
    gpu_probe_image="infertune/probes:gpu",
    trial_priority_class="infertune-trial",
)
_EXACT = "made up for a test"


def raw_spec(**changes: Any) -> dict[str, Any]:
    """Return a spec as a user writes it; ``changes`` replace its top-level parts."""
    spec: dict[str, Any] = {
        "targetRef": {"name": "resnet"},
        "mode": "Apply",
        "slo": {"latencyMilliseconds": 200},
        "demand": {"peakRequestsPerSecond": 60, "troughRequestsPerSecond": 10},
        "knobs": {
            "batchSize": {"env": "MAX_BATCH", "values": [1, 4, 16]},
            "replicas": {"min": 1, "max": 6},
        },
        "metrics": {
            "prometheusURL": "http://prometheus.test:9090",
            "histogram": "request_seconds",
            "scrapeIntervalSeconds": 2,
        },
        "rollout": {"warmupSeconds": 5},
    }
    return spec | changes


def spec_of(**changes: Any) -> TuningSpec:
    """Return a valid spec."""
    found = parse_spec(raw_spec(**changes))
    assert isinstance(found, TuningSpec), str(found)
    return found


def status_of(state: StateName = "Pending", **changes: Any) -> TuningStatus:
    """Return a status in this state, of the first generation."""
    base = TuningStatus(
        observed_generation=1,
        state=state,
        state_since=NOW,
        conditions=first_conditions(NOW, 1),
        target=TargetFacts(uid=TARGET_UID, container="server", nodes=("node-1",)),
    )
    return base.model_copy(update=changes)


def with_condition(status: TuningStatus, observation: Observation) -> TuningStatus:
    """Return the status with one condition set."""
    conditions = set_condition(status.conditions, observation, NOW, 1)
    return status.model_copy(update={"conditions": conditions})


def tuning_of(
    status: TuningStatus | None = None,
    spec: TuningSpec | SpecError | None = None,
    *,
    generation: int = 1,
    deleting: bool = False,
    finalizer: bool = False,
    key: Key = KEY,
) -> TuningView:
    """Return a tuning."""
    return TuningView(
        key=key,
        uid=UID,
        generation=generation,
        resource_version="7",
        spec=spec_of() if spec is None else spec,
        status=status_of() if status is None else status,
        deleting=deleting,
        finalizers=(FINALIZER,) if finalizer else (),
    )


def container_of(batch: str | None = "1", **changes: Any) -> dict[str, Any]:
    """Return the serving container; ``batch`` None leaves the entry out."""
    env = [{"name": "LOG_LEVEL", "value": "info"}]
    if batch is not None:
        env.append({"name": "MAX_BATCH", "value": batch})
    container: dict[str, Any] = {
        "name": "server",
        "image": IMAGE,
        "env": env,
        "ports": [{"name": "http", "containerPort": 8080}],
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": "http"}},
    }
    return {name: value for name, value in (container | changes).items() if value is not None}


def deployment_of(container: Mapping[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """Return a Deployment of two replicas whose rollout is complete.

    ``changes`` may replace ``metadata``, ``spec`` and ``status`` entries, ``kind`` and ``pod``
    (entries of the pod's spec).
    """
    pod = {"containers": [dict(container or container_of())]} | changes.get("pod", {})
    labels = {"app": "resnet"}
    metadata = {"name": "resnet", "namespace": KEY.namespace, "uid": TARGET_UID, "generation": 3}
    done = {
        "observedGeneration": 3,
        "replicas": 2,
        "updatedReplicas": 2,
        "readyReplicas": 2,
        "availableReplicas": 2,
    }
    template = {"metadata": {"labels": labels}, "spec": pod}
    return {
        "apiVersion": "apps/v1",
        "kind": changes.get("kind", "Deployment"),
        "metadata": metadata | changes.get("metadata", {}),
        "spec": {"replicas": 2, "template": template} | changes.get("spec", {}),
        "status": done | changes.get("status", {}),
    }


def autoscaler_of(low: int | None = 2, high: int = 2, uid: str = SCALER_UID) -> dict[str, Any]:
    """Return the autoscaler of the target."""
    bounds = {"maxReplicas": high} if low is None else {"minReplicas": low, "maxReplicas": high}
    metadata = {"name": "resnet", "namespace": KEY.namespace, "uid": uid}
    return {"metadata": metadata, "spec": bounds}


def target_of(
    raw: Mapping[str, Any] | None = None, nodes: Iterable[str] = ("node-1",)
) -> TargetView:
    """Return a target with one live pod on each node."""
    pods = tuple(LivePod(f"resnet-{node}", node, "rev-1", ready=True) for node in nodes)
    return TargetView(deployment_of() if raw is None else raw, pods, "rev-1")


def managed(manager: str, *env: str, image: bool = False, args: bool = False) -> dict[str, Any]:
    """Return a managedFields entry for fields of the serving container."""
    container: dict[str, Any] = {"f:image": {}} if image else {}
    if args:
        container["f:args"] = {}
    if env:
        container["f:env"] = {f'k:{{"name":"{name}"}}': {"f:value": {}} for name in env}
    fields = {"f:containers": {'k:{"name":"server"}': container}}
    return {
        "manager": manager,
        "operation": "Apply",
        "fieldsV1": {"f:spec": {"f:template": {"f:spec": fields}}},
    }


def job_of(name: str, role: JobRole = "server", **changes: Any) -> JobView:
    """Return a Job whose pod was created just now and runs."""
    base = JobView(
        name=name,
        uid=f"uid-of-{name}",
        role=role,
        owner_uid=UID,
        created_at=NOW,
        finished=False,
        succeeded=False,
        pod_name=f"{name}-abcde",
        pod_phase="Running",
        pod_ip="10.0.0.9",
        pod_ready=True,
        node="node-1",
        image_id="sha256:aa",
        restarts=0,
        failure_reason=None,
        failure_message="",
        result=None,
    )
    return replace(base, **changes)


def ended_job(name: str, role: JobRole, result: Any, **changes: Any) -> JobView:
    """Return a probe's Job that has ended with a result."""
    ended = {"finished": True, "succeeded": True, "pod_phase": "Succeeded", "result": result}
    return job_of(name, role, **(ended | changes))


def measured(value: float, unit: str = "ms", n: int = 1000) -> Measured:
    """Return a measured figure without an interval."""
    return Measured(value, unit, n, 60.0, no_interval_reason=_EXACT)


def live_of(
    over: float = 0.01,
    *,
    rate: float = 50.0,
    errors: Evidence | float = 0.0,
    blocks: int = 20,
    requests: float = 200.0,
    p95: Evidence | None = None,
) -> LiveEvidence:
    """Return live traffic of which a share ``over`` broke the promise, in equal blocks."""
    failing = measured(errors, "percent", 5000) if isinstance(errors, float) else errors
    return LiveEvidence(
        p50=measured(60.0),
        p95=p95 or measured(150.0),
        p99=measured(220.0),
        request_rate=measured(rate, "requests/s"),
        error_percent=failing,
        over_slo_percent=measured(100 * over, "percent"),
        cpu_cores=measured(0.5, "cores"),
        memory_bytes=NoData("Missing", "no container metrics"),
        blocks=tuple(BlockSample(requests, requests * over, 4.0) for _ in range(blocks)),
        pods=2,
        observed_at=NOW,
    )


def figures(rate: float = 50.0, p95: float = 480.0) -> LiveFigures:
    """Return live figures as status holds them."""
    return LiveFigures(
        p95=Reading(value=p95, unit="ms", samples=3000),
        request_rate=Reading(value=rate, unit="requests/s"),
        observed_at=NOW,
    )


def intent_between(
    before: str | None = "1",
    after: str | None = "4",
    images: tuple[str, str] | None = None,
    bounds: tuple[tuple[int, int], tuple[int, int]] | None = ((2, 2), (1, 3)),
) -> RolloutIntent:
    """Return an intent that turns MAX_BATCH, the image when given, and the bounds when given."""
    old_image, new_image = images or (None, None)
    scaled = None if bounds is None else tuple(_bounds(*pair) for pair in bounds)
    return RolloutIntent(
        id="0123456789ab",
        target_uid=TARGET_UID,
        container="server",
        place=BatchPlace(env="MAX_BATCH"),
        before=TemplateValues(image=old_image, batch_value=before),
        after=TemplateValues(image=new_image, batch_value=after),
        autoscaler="resnet" if scaled else None,
        autoscaler_uid=SCALER_UID if scaled else None,
        bounds_before=scaled[0] if scaled else None,
        bounds_after=scaled[1] if scaled else None,
    )


def rollout_of(intent: RolloutIntent | None = None, **changes: Any) -> RolloutStatus:
    """Return an open rollout that was decided a second ago."""
    base = RolloutStatus(
        intent=intent or intent_between(),
        started_at=NOW - timedelta(seconds=1),
        restore_command="kubectl patch it back",
    )
    return base.model_copy(update=changes)


def trial_of(
    batch: int | None = 1,
    knee: float | None = None,
    *levels: tuple[float, str],
    image: str = IMAGE,
    **changes: Any,
) -> TrialRecord:
    """Return a completed trial with these levels (rate, verdict); a knee alone gives one Pass."""
    shown = levels or (((knee, "Pass"),) if knee is not None else ())
    base = TrialRecord(
        name=f"resnet-{batch}",
        candidate=Configuration(batch_size=batch, image=image),
        phase="Completed",
        rates=tuple(rate for rate, _ in shown),
        levels=tuple(
            RateLevel.model_validate(
                {"offeredRate": rate, "achievedRate": rate, "verdict": verdict}
            ).model_copy(update={"p95": Reading(value=rate * 5, unit="ms", samples=500)})
            for rate, verdict in shown
        ),
        knee_rate=knee,
        started_at=NOW - timedelta(seconds=120),
        finished_at=NOW - timedelta(seconds=60),
    )
    return base.model_copy(update=changes)


def snapshot_of(tuning: TuningView | None = None, **changes: Any) -> Snapshot:
    """Return a snapshot with a live target, its autoscaler and healthy live traffic."""
    base = Snapshot(
        now=NOW,
        tuning=tuning or tuning_of(),
        target=target_of(),
        autoscaler=autoscaler_of(),
        jobs=(),
        selectors=(Selector("Service", "resnet", {"app": "resnet"}),),
        config_maps={},
        live=live_of(),
        installation=INSTALLATION,
    )
    return replace(base, **changes)


def context_of(snapshot: Snapshot) -> Context:
    """Return the context that a state function gets."""
    assert isinstance(snapshot.tuning.spec, TuningSpec)
    return Context(snapshot, snapshot.tuning.spec)


def decide(status: TuningStatus, spec: TuningSpec | None = None, **world: Any) -> Plan:
    """Return what one tick plans; ``world`` are parts of the snapshot or of the tuning."""
    of_tuning = ("generation", "deleting", "finalizer", "key")
    parts = {name: world.pop(name) for name in of_tuning if name in world}
    return plan(snapshot_of(tuning_of(status, spec, **parts), **world))


def after(seconds: float) -> datetime:
    """Return a moment after the snapshot's usual one."""
    return NOW + timedelta(seconds=seconds)


def conditions_of(status: TuningStatus) -> dict[str, tuple[str, str]]:
    """Return status and reason of each condition that was observed."""
    return {c.type: (c.status, c.reason) for c in status.conditions if c.reason != "NotObservedYet"}


def edited(raw: Mapping[str, Any], path: tuple[str | int, ...], value: Any) -> dict[str, Any]:
    """Return a copy of an object with one field changed."""
    copied = copy.deepcopy(dict(raw))
    node: Any = copied
    for part in path[:-1]:
        node = node[part]
    node[path[-1]] = value
    return copied


def _bounds(low: int, high: int) -> Bounds:
    return Bounds(min_replicas=low, max_replicas=high)
