"""Prometheus as a pod of the cluster, scraping every two seconds.

In the cluster is where users have it and where the operator looks for it; the program
is the distribution's, put on our base image. Trade-off: Debian's 2.42 knows classic
histograms only, which is what the demo server exports.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from devcluster.addons import MANIFESTS, kubectl_flags, render
from devcluster.binaries import ensure_binaries
from devcluster.console import run, step
from devcluster.images import build_image, load_image, load_image_foreign
from devcluster.packages import ensure_packages
from devcluster.settings import PACKAGE_ROOT, Settings, current

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

TAG = "localhost/infertune-prometheus:2.42"
URL_IN_CLUSTER = "http://prometheus.monitoring:9090"


def manifest(settings: Settings) -> str:
    """Return the objects of Prometheus as JSON and YAML documents for `kubectl apply`."""
    files = {
        "prometheus.yml": (MANIFESTS / "prometheus.yml").read_text(),
        "discovery.py": (PACKAGE_ROOT / "discovery.py").read_text(),
    }
    key = hashlib.sha256(json.dumps(files).encode()).hexdigest()[:12]
    config = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "prometheus", "namespace": "monitoring"},
        "data": files,
    }
    objects = render(settings, "prometheus.yaml", IMAGE=TAG, CONFIG_KEY=key)
    return f"{objects}---\n{json.dumps(config)}\n"


def build_prometheus(settings: Settings) -> None:
    """Build the image of Prometheus when its inputs changed."""
    ensure_packages(settings)
    dockerfile = MANIFESTS / "prometheus.Dockerfile"
    context = settings.root / "usr" / "bin"
    build_image("", TAG, context=context, dockerfile=dockerfile, settings=settings)


def install_prometheus(
    settings: Settings | None = None,
    *,
    kubectl_words: Sequence[str | Path] | None = None,
    loader: str | None = None,
) -> None:
    """Have Prometheus running in the namespace `monitoring`, and wait until it is ready.

    Args:
        settings: The cluster; the running one by default.
        kubectl_words: kubectl and its options for a foreign cluster.
        loader: The command that gives a foreign cluster the image.

    Raises:
        CommandError: An object was refused, or the pod was not ready in two minutes.
    """
    settings = settings or current()
    build_prometheus(settings)
    if loader:
        load_image_foreign(TAG, loader, settings)
    elif kubectl_words is None:
        load_image(TAG, settings)
    program = ensure_binaries(settings)["kubectl"]
    kubectl = kubectl_words or [program, *kubectl_flags(settings)]
    with step("installing Prometheus"):
        flags = ["--server-side", "--force-conflicts", "--field-manager=devcluster", "-f", "-"]
        run([*kubectl, "apply", *flags], stdin=manifest(settings))
        wait = ["rollout", "status", "deployment/prometheus", "--timeout=120s"]
        run([*kubectl, "-n", "monitoring", *wait], timeout_seconds=150)
