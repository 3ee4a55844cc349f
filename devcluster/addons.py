"""Objects that make the host's CoreDNS and metrics-server part of the cluster.

Both run as processes of the machine, so the cluster only needs their Services,
endpoints and rights. Trade-off: no image and no pod for them, and they do not show
in `kubectl get pods`.
"""

from __future__ import annotations

from string import Template
from typing import TYPE_CHECKING

from devcluster.console import run
from devcluster.settings import DNS_PORT, METRICS_SERVER_PORT, PACKAGE_ROOT, Settings

if TYPE_CHECKING:
    from pathlib import Path

MANIFESTS = PACKAGE_ROOT / "manifests"


def render(settings: Settings, name: str, **more: str) -> str:
    """Return a manifest of our folder with the cluster's values filled in."""
    values = {
        "DNS_SERVICE": str(settings.dns_service),
        "DNS_PORT": str(DNS_PORT),
        "METRICS_SERVER_PORT": str(METRICS_SERVER_PORT),
        "GATEWAY": str(settings.gateway),
        "NODE": settings.node_name,
        **more,
    }
    return Template((MANIFESTS / name).read_text()).substitute(values)


def kubectl(settings: Settings, program: Path, *words: str, stdin: str | None = None) -> str:
    """Call kubectl as the cluster's administrator and return what it said."""
    return run([program, *kubectl_flags(settings), *words], stdin=stdin)


def kubectl_flags(settings: Settings) -> list[str]:
    """Return the flags that keep kubectl to our cluster and its cache in the state folder."""
    cache = settings.state / "kubectl-cache"
    return [f"--kubeconfig={settings.kubeconfig}", f"--cache-dir={cache}"]


def apply(settings: Settings, program: Path, manifest: str) -> None:
    """Apply a manifest on the server's side, taking fields over from earlier versions."""
    kubectl(
        settings,
        program,
        "apply",
        "--server-side",
        "--force-conflicts",
        "--field-manager=devcluster",
        "-f",
        "-",
        stdin=manifest,
    )
