"""kubectl and helm, called for one cluster.

Role: the demo's only way to the cluster; JSON in, JSON out. It must not know what is asked. Its
trade-off: one process per question, half a core for a moment, so that everything the demo does can
be repeated by hand; the watch loop asks for one object a second and no more.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from devcluster.console import run
from devcluster.errors import CommandError

DELETE_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Kubectl:
    """kubectl and helm with the options that name the cluster."""

    kubectl: tuple[str, ...]
    helm: tuple[str, ...]

    def run(self, *words: str | Path, stdin: str | None = None, timeout_seconds: float = 60) -> str:
        """Return what kubectl printed.

        Raises:
            CommandError: It failed or took too long.
        """
        return run([*self.kubectl, *words], stdin=stdin, timeout_seconds=timeout_seconds)

    def run_helm(self, *words: str | Path, timeout_seconds: float = 300) -> str:
        """Return what helm printed."""
        return run([*self.helm, *words], timeout_seconds=timeout_seconds)

    def find(self, kind: str, name: str, namespace: str | None = None) -> dict[str, Any] | None:
        """Return one object, or None when it, or its kind, does not exist."""
        scope = [f"--namespace={namespace}"] if namespace else []
        try:
            text = self.run("get", kind, name, *scope, "--ignore-not-found", "--output=json")
        except CommandError as error:
            if "the server doesn't have a resource type" in str(error):
                return None
            raise
        return dict(json.loads(text)) if text.strip() else None

    def items(self, kind: str, namespace: str, selector: str = "") -> tuple[dict[str, Any], ...]:
        """Return the objects of a kind in a namespace."""
        chosen = [f"--selector={selector}"] if selector else []
        text = self.run("get", kind, f"--namespace={namespace}", *chosen, "--output=json")
        return tuple(json.loads(text)["items"])

    def apply(self, documents: str, manager: str = "infertune-demo") -> None:
        """Apply documents, YAML or JSON, by server-side apply under a field manager's name."""
        flags = ("--server-side", "--force-conflicts", f"--field-manager={manager}")
        self.run("apply", *flags, "--filename=-", stdin=documents)

    def delete(self, kind: str, name: str, namespace: str | None = None) -> None:
        """Delete an object and wait until it is gone; gone already is fine."""
        if self.find(kind, name, namespace) is None:
            return
        scope = [f"--namespace={namespace}"] if namespace else []
        flags = ["--ignore-not-found", "--wait=true", f"--timeout={DELETE_SECONDS}s"]
        self.run("delete", kind, name, *scope, *flags, timeout_seconds=DELETE_SECONDS + 30)

    def prometheus(self, path: str, parameters: Mapping[str, str]) -> dict[str, Any]:
        """Return Prometheus' answer, asked through the API server, so that no port is opened."""
        service = "/api/v1/namespaces/monitoring/services/prometheus:9090/proxy"
        query = urlencode(parameters, quote_via=quote)
        return dict(json.loads(self.run("get", "--raw", f"{service}{path}?{query}")))


def manifests(documents: Sequence[Mapping[str, Any]]) -> str:
    """Return objects as one text that kubectl reads."""
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": list(documents)})
