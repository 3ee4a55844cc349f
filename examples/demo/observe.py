"""Ask the cluster: what runs, and how did it do over a window?

Role: the questions behind an `Observation` and a status; all reading, no writing. It must not know
what the answers are compared with. Its trade-off: the target's pods are named once, at the end of
the window, so a window in which a pod came or went is told apart by the autoscaler's state.
"""

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from demo.client_windows import ClientWindow, client_traffic, parse_windows, within
from demo.errors import DemoError
from demo.kubectl import Kubectl
from demo.observation import Observation, Setting
from demo.scraped import Scrapes, Series, parse_matrix, prometheus_traffic, resources
from demo.workload import CLIENT, CONTAINER, NAMESPACE, SERVER
from infertune.api.spec import TuningSpec
from infertune.api.status import TuningStatus
from infertune.api.v1alpha1 import parse_status

TUNINGS = "inferencetunings.infertune.io"
CPU = "container_cpu_usage_seconds_total"
MEMORY = "container_memory_working_set_bytes"
# Logs of the client arrive within a live window; Prometheus needs a scrape after the window.
SETTLE_SECONDS = 3.0


def fetch_setting(cluster: Kubectl) -> Setting:
    """Return what the Deployment and its autoscaler say now.

    Raises:
        DemoError: One of them does not exist.
    """
    deployment = cluster.find("deployment", SERVER, NAMESPACE)
    scaler = cluster.find("hpa", SERVER, NAMESPACE)
    if deployment is None or scaler is None:
        message = f"Deployment or HorizontalPodAutoscaler {NAMESPACE}/{SERVER} is gone"
        raise DemoError(message)
    container = _container(deployment)
    environment = {one["name"]: one.get("value", "") for one in container.get("env", ())}
    status = scaler.get("status", {})
    return Setting(
        batch_size=environment.get("MAX_BATCH_SIZE", "server default"),
        image=str(container["image"]),
        hpa_min=int(scaler["spec"].get("minReplicas", 1)),
        hpa_max=int(scaler["spec"]["maxReplicas"]),
        hpa_current=int(status.get("currentReplicas", 0)),
        hpa_desired=int(status.get("desiredReplicas", 0)),
        ready_replicas=int(deployment.get("status", {}).get("readyReplicas", 0)),
    )


def fetch_windows(cluster: Kubectl, seconds: float) -> tuple[ClientWindow, ...]:
    """Return the client's windows of the last seconds."""
    since = f"--since={int(seconds) + 5}s"
    scope = f"--namespace={NAMESPACE}"
    return parse_windows(cluster.run("logs", f"deployment/{CLIENT}", scope, since))


def fetch_status(cluster: Kubectl, name: str, namespace: str = NAMESPACE) -> TuningStatus | None:
    """Return the tuning's status, or None when the tuning does not exist."""
    found = cluster.find(TUNINGS, name, namespace)
    return None if found is None else parse_status(found.get("status", {}))


def observe(
    cluster: Kubectl, spec: TuningSpec, started: Setting, start: datetime, end: datetime
) -> Observation:
    """Return the observation of a window that has just ended.

    Args:
        cluster: Who is asked.
        spec: Names the histogram and the promise.
        started: What ran when the window began.
        start: Begin of the window.
        end: Its end, not in the future.
    """
    time.sleep(SETTLE_SECONDS)
    seconds = (end - start).total_seconds()
    age = (datetime.now(tz=UTC) - start).total_seconds()
    windows = within(fetch_windows(cluster, age), start, end)
    pods = _ready_pods(cluster)
    scrapes = _scrapes(cluster, spec, pods, seconds, end)
    return Observation(
        start=start,
        end=end,
        setting=fetch_setting(cluster),
        setting_at_start=started,
        client=client_traffic(windows),
        prometheus=prometheus_traffic(scrapes, spec.slo.latency_milliseconds),
        resources=resources(scrapes),
    )


def _scrapes(
    cluster: Kubectl, spec: TuningSpec, pods: Sequence[str], seconds: float, end: datetime
) -> Scrapes:
    histogram = spec.metrics.histogram
    chosen = f'namespace="{NAMESPACE}",pod=~"{"|".join(pods)}"'
    of_container = f'{chosen},container="{CONTAINER}"'

    def ask(name: str, labels: str) -> tuple[Series, ...]:
        query = f"{name}{{{labels}}}[{int(seconds)}s]"
        parameters = {"query": query, "time": f"{end.timestamp():.3f}"}
        return parse_matrix(cluster.prometheus("/api/v1/query", parameters))

    return Scrapes(
        buckets=ask(f"{histogram}_bucket", chosen),
        requests=ask(f"{histogram}_count", chosen),
        cpu=ask(CPU, of_container),
        memory=ask(MEMORY, of_container),
    )


def _ready_pods(cluster: Kubectl) -> tuple[str, ...]:
    selector = f"app.kubernetes.io/name={SERVER}"
    return tuple(
        str(pod["metadata"]["name"])
        for pod in cluster.items("pods", NAMESPACE, selector)
        if "deletionTimestamp" not in pod["metadata"] and _is_ready(pod)
    )


def _is_ready(pod: dict[str, Any]) -> bool:
    conditions = pod.get("status", {}).get("conditions", ())
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def _container(deployment: dict[str, Any]) -> dict[str, Any]:
    containers = deployment["spec"]["template"]["spec"]["containers"]
    return next(one for one in containers if one["name"] == CONTAINER)
