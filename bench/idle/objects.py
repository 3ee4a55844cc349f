"""The objects of the bench: one namespace, a ConfigMap with the server, and the targets.

Role: numbers in, manifests out. It must not know the cluster. Its trade-off: each target is a
Deployment of one pod with an autoscaler of its own, as a target has one in life, although nothing
here ever scales.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from infertune.api.v1alpha1 import API_VERSION, KIND

NAMESPACE = "idle"
SCRIPT = Path(__file__).with_name("pod_server.py")
SCRIPTS = "pod-server"
CONTAINER = "server"
BATCH_ENV = "MAX_BATCH_SIZE"
SLO_MILLISECONDS = 250
PEAK = 60
SCRAPE_SECONDS = 15
BATCHES = (1, 4, 8, 16)
Manifest = dict[str, Any]


def target_name(number: int) -> str:
    """Return the name of a target, of its tuning and of its autoscaler."""
    return f"server-{number:03d}"


def histogram_name(number: int, histograms: int) -> str:
    """Return the histogram of a target; targets share ``histograms`` names in turn."""
    return f"idle_request_seconds_{number % histograms:03d}"


def ground() -> Iterator[Manifest]:
    """Yield what all targets stand on."""
    yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    yield {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": SCRIPTS, "namespace": NAMESPACE},
        "data": {SCRIPT.name: SCRIPT.read_text(encoding="utf-8")},
    }


def targets(count: int, histograms: int, image: str) -> Iterator[Manifest]:
    """Yield a Deployment and an autoscaler for every target."""
    for number in range(count):
        yield deployment(target_name(number), histogram_name(number, histograms), image)
        yield autoscaler(target_name(number))


def deployment(name: str, histogram: str, image: str) -> Manifest:
    """Return a Deployment of one pod that is scraped."""
    labels = {"app.kubernetes.io/name": name}
    scraped = {"prometheus.io/scrape": "true", "prometheus.io/port": "8080"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": labels},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels, "annotations": scraped},
                "spec": {
                    "automountServiceAccountToken": False,
                    "enableServiceLinks": False,
                    "terminationGracePeriodSeconds": 1,
                    "securityContext": {
                        "runAsNonRoot": True,
                        "runAsUser": 65532,
                        "seccompProfile": {"type": "RuntimeDefault"},
                    },
                    "containers": [_container(histogram, image)],
                    "volumes": [{"name": "script", "configMap": {"name": SCRIPTS}}],
                },
            },
        },
    }


def autoscaler(name: str) -> Manifest:
    """Return an autoscaler by CPU that the target never reaches."""
    average = {"type": "AverageValue", "averageValue": "500m"}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "minReplicas": 1,
            "maxReplicas": 3,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": average}}],
        },
    }


def tuning(number: int, histograms: int, prometheus_url: str) -> Manifest:
    """Return the tuning of a target: Recommend, watched by the target's own histogram."""
    name = target_name(number)
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "mode": "Recommend",
            "slo": {"percentile": 95, "latencyMilliseconds": SLO_MILLISECONDS},
            "demand": {"peakRequestsPerSecond": PEAK, "troughRequestsPerSecond": 5},
            "knobs": {
                "batchSize": {"env": BATCH_ENV, "values": list(BATCHES)},
                "replicas": {"min": 1, "max": 6},
            },
            "load": {"path": "/predict", "readyPath": "/readyz"},
            "metrics": {
                "prometheusURL": prometheus_url,
                "histogram": histogram_name(number, histograms),
                "scrapeIntervalSeconds": SCRAPE_SECONDS,
            },
            "cost": {"replicaHourly": "0.05", "currency": "USD"},
        },
    }


def _container(histogram: str, image: str) -> Manifest:
    return {
        "name": CONTAINER,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python3", "-I", "-S", f"/script/{SCRIPT.name}"],
        "env": [
            {"name": BATCH_ENV, "value": str(BATCHES[0])},
            {"name": "HISTOGRAM", "value": histogram},
        ],
        "ports": [{"name": "http", "containerPort": 8080}],
        "resources": {
            "requests": {"cpu": "1m", "memory": "8Mi"},
            "limits": {"memory": "48Mi"},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "script", "mountPath": "/script", "readOnly": True}],
    }
