"""The one small namespace that most stories play in.

A Deployment ``server`` with the batch cap in ``MAX_BATCH_SIZE``, an autoscaler, a Service, and a
tuning ``demo`` that wants a P95 of 200 ms at 60 requests/s.
"""

from collections.abc import Mapping
from typing import Any

from infertune.api.v1alpha1 import API_VERSION, KIND
from infertune.core.snapshot import Key
from tests.fakes.cluster import FakeCluster

NAMESPACE = "default"
TUNING = Key(NAMESPACE, "demo")
IMAGE = "demo-server:fp32"
FASTER_IMAGE = "demo-server:int8"


def tuning(**changes: Any) -> dict[str, Any]:
    """Return the tuning; ``changes`` replace top-level parts of its spec."""
    spec: dict[str, Any] = {
        "targetRef": {"kind": "Deployment", "name": "server"},
        "mode": "Recommend",
        "slo": {"percentile": 95, "latencyMilliseconds": 200},
        "demand": {"peakRequestsPerSecond": 60, "troughRequestsPerSecond": 10},
        "knobs": {
            "batchSize": {"env": "MAX_BATCH_SIZE", "values": [1, 4, 16]},
            "replicas": {"min": 1, "max": 6},
        },
        "load": {"path": "/predict"},
        "metrics": {
            "prometheusURL": "http://prometheus.test:9090",
            "histogram": "request_duration_seconds",
            "scrapeIntervalSeconds": 2,
        },
        "rollout": {"warmupSeconds": 5, "applyTimeoutSeconds": 120},
        "trial": {"secondsPerRate": 20, "warmupSeconds": 3},
    }
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"namespace": NAMESPACE, "name": "demo"},
        "spec": spec | changes,
    }


def deployment(batch: str | None = "1", replicas: int = 2) -> dict[str, Any]:
    """Return the target."""
    labels = {"app": "server"}
    env = [{"name": "LOG_LEVEL", "value": "info"}]
    if batch is not None:
        env.append({"name": "MAX_BATCH_SIZE", "value": batch})
    container = {
        "name": "server",
        "image": IMAGE,
        "env": env,
        "ports": [{"name": "http", "containerPort": 8080}],
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": 8080}},
        "resources": {"limits": {"cpu": "200m", "memory": "256Mi"}},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"namespace": NAMESPACE, "name": "server", "labels": labels},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


def autoscaler(low: int = 2, high: int = 2) -> dict[str, Any]:
    """Return the autoscaler of the target."""
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"namespace": NAMESPACE, "name": "server"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "server"},
            "minReplicas": low,
            "maxReplicas": high,
        },
    }


def service() -> dict[str, Any]:
    """Return the Service in front of the target."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"namespace": NAMESPACE, "name": "server"},
        "spec": {"selector": {"app": "server"}, "ports": [{"port": 80}]},
    }


def fill(cluster: FakeCluster, *, batch: str | None = "1", **spec: Any) -> None:
    """Put target, autoscaler, Service and tuning into the cluster."""
    for raw in (deployment(batch), autoscaler(), service(), tuning(**spec)):
        cluster.store.add(raw)


def served_p95(container: Mapping[str, Any], rate: float) -> float:
    """Return the P95 in ms of one replica: a queue whose capacity grows with the batch cap.

    Capacity is 20, 40 or 60 requests/s for a cap of 1, 4 or 16, half as much again with the faster
    image; one request alone takes 30 ms, and the P95 is 30 / (1 - load), at most 5 s.
    """
    cap = next((e["value"] for e in container.get("env", ()) if e["name"] == "MAX_BATCH_SIZE"), "1")
    capacity = {"1": 20.0, "4": 40.0, "16": 60.0}.get(cap, 20.0)
    if container["image"] == FASTER_IMAGE:
        capacity *= 1.5
    spare = 1 - rate / capacity
    return 5000.0 if spare <= 0.006 else 30.0 / spare
