"""Which pods and nodes Prometheus scrapes, as its HTTP service discovery.

Debian builds Prometheus without Kubernetes discovery. This small server runs beside it
in the same pod, asks the API server with the pod's own ServiceAccount and answers in
Prometheus's format, with the labels that series shall carry. It depends on nothing but
the standard library and imports nothing of this package, because it is mounted as a
single file. Trade-off: one list from the API server's cache per question, instead of a
watch.
"""

from __future__ import annotations

import http.server
import json
import os
import ssl
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
PORT = 9099
PREFIX = "prometheus.io/"
Group = dict[str, Any]


def pod_target(pod: dict[str, Any]) -> Group | None:
    """Return the target of a pod; None when it does not ask for it or does not run yet.

    The port is the annotated one, else the first that is declared. The container label is
    the container that declares the port, else the pod's first container.
    """
    meta, status = pod["metadata"], pod.get("status", {})
    asked = meta.get("annotations", {})
    address = status.get("podIP")
    if asked.get(f"{PREFIX}scrape") != "true" or status.get("phase") != "Running" or not address:
        return None
    containers = pod["spec"]["containers"]
    declared = [
        (str(port["containerPort"]), container["name"])
        for container in containers
        for port in container.get("ports", [])
    ]
    port = asked.get(f"{PREFIX}port") or (declared[0][0] if declared else "")
    if not port:
        return None
    owner = next((name for number, name in declared if number == port), containers[0]["name"])
    labels = {
        "namespace": meta["namespace"],
        "pod": meta["name"],
        "container": owner,
        "node": pod["spec"].get("nodeName", ""),
        "__metrics_path__": asked.get(f"{PREFIX}path", "/metrics"),
        "__scheme__": asked.get(f"{PREFIX}scheme", "http"),
    }
    return {"targets": [f"{address}:{port}"], "labels": labels}


def node_target(node: dict[str, Any]) -> Group | None:
    """Return the target of a node's kubelet; None when it has no address inside."""
    status = node.get("status", {})
    inside = [one["address"] for one in status.get("addresses", []) if one["type"] == "InternalIP"]
    if not inside:
        return None
    port = status.get("daemonEndpoints", {}).get("kubeletEndpoint", {}).get("Port", 10250)
    return {"targets": [f"{inside[0]}:{port}"], "labels": {"node": node["metadata"]["name"]}}


TARGETS: dict[str, tuple[str, Callable[[dict[str, Any]], Group | None]]] = {
    "/pods": ("/api/v1/pods", pod_target),
    "/nodes": ("/api/v1/nodes", node_target),
}


def listed(path: str) -> list[dict[str, Any]]:
    """Return the objects of an API path, from the API server's cache."""
    host = os.environ["KUBERNETES_SERVICE_HOST"]
    port = os.environ["KUBERNETES_SERVICE_PORT"]
    request = urllib.request.Request(
        f"https://{host}:{port}{path}?resourceVersion=0",
        headers={"Authorization": f"Bearer {(ACCOUNT / 'token').read_text()}"},
    )
    context = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
    with urllib.request.urlopen(request, timeout=5, context=context) as answer:  # noqa: S310 - https
        items: list[dict[str, Any]] = json.load(answer)["items"]
    return items


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers `/pods` and `/nodes` with target groups."""

    def do_GET(self) -> None:
        """Answer one question; an error of the API server is a 502, and targets stay."""
        if self.path not in TARGETS:
            self.send_error(404)
            return
        source, make = TARGETS[self.path]
        try:
            groups = [group for item in listed(source) if (group := make(item))]
        except OSError as error:
            self.send_error(502, str(error))
            return
        body = json.dumps(groups).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - inherited name
        """Say nothing: a question comes every two seconds."""


if __name__ == "__main__":
    http.server.ThreadingHTTPServer(("127.0.0.1", PORT), Handler).serve_forever()
