"""What is tuned and who calls it: the model server's manifests, and a steady client.

Role: build the objects that the demo puts into its namespace. It must not know kubectl. Its
trade-off: the client's rate, path and payload are read from the tuning's own manifest, so that the
live traffic is by construction the demand that the tuning was told.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from demo.errors import DemoError
from infertune.api.spec import TuningSpec
from infertune.api.v1alpha1 import SpecError, parse_spec

EXAMPLES = Path(__file__).resolve().parent.parent
TUNING_FILE = EXAMPLES / "demo.yaml"
SERVER_FILES = (EXAMPLES / "manifests" / "demo-server.yaml",)
REQUEST_FILES = (EXAMPLES / "manifests" / "demo-requests.yaml",)
NAMESPACE = "demo"
SERVER = "demo-server"
CLIENT = "demo-client"
CONTAINER = "server"
REQUESTS_PER_CONNECTION = 5
LIVE_SECONDS = 2


def read_tuning(path: Path = TUNING_FILE) -> tuple[dict[str, Any], TuningSpec]:
    """Return the tuning's manifest, raw and typed.

    Raises:
        DemoError: It is not valid.
    """
    raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    spec = parse_spec(raw["spec"])
    if isinstance(spec, SpecError):
        message = f"{path.name}: {spec}"
        raise DemoError(message)
    return raw, spec


def server_documents(
    names: Mapping[str, str], namespace: str = NAMESPACE
) -> Iterator[dict[str, Any]]:
    """Yield the manifests of the server and its requests, images named as the cluster knows them.

    Args:
        names: Full image name by the tag that stands in the manifests.
        namespace: Where they go, in place of the manifests' own.
    """
    for path in (*SERVER_FILES, *REQUEST_FILES):
        for document in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            if document["kind"] == "Deployment":
                _rename(document, names)
            place = "name" if document["kind"] == "Namespace" else "namespace"
            document["metadata"][place] = namespace
            yield document


def tuning_document(raw: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Return the tuning's manifest with its images named as the cluster knows them."""
    knobs = dict(raw["spec"]["knobs"])
    knobs["images"] = [names.get(image, image) for image in knobs.get("images", ())]
    return {**raw, "spec": {**raw["spec"], "knobs": knobs}}


def client_document(spec: TuningSpec, image: str, namespace: str = NAMESPACE) -> dict[str, Any]:
    """Return the Deployment of the steady client: open loop, Poisson, at the declared peak."""
    labels = {"app.kubernetes.io/name": CLIENT}
    payload = spec.load.payload_ref
    assert payload is not None  # the demo's manifest declares one
    pod = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 5,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_client_container(spec, image, f"http://{SERVER}.{namespace}")],
        "volumes": [{"name": "payload", "configMap": {"name": payload.config_map}}],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": CLIENT, "namespace": namespace, "labels": labels},
        "spec": {
            "replicas": 1,
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }


def _client_container(spec: TuningSpec, image: str, server: str) -> dict[str, Any]:
    payload = spec.load.payload_ref
    assert payload is not None  # checked by the caller
    flags = {
        "--url": f"{server}{spec.load.path}",
        "--method": spec.load.method,
        "--header": f"Content-Type: {spec.load.content_type}",
        "--body-file": f"/payload/{payload.key}",
        "--rates": str(spec.demand.peak_requests_per_second),
        "--duration": "0",
        "--arrivals": "poisson",
        "--slo-ms": str(spec.slo.latency_milliseconds),
        "--timeout-seconds": str(spec.load.request_timeout_seconds),
        "--requests-per-connection": str(REQUESTS_PER_CONNECTION),
        "--live-jsonl": "-",
        "--live-seconds": str(LIVE_SECONDS),
    }
    words = [word for pair in flags.items() for word in pair]
    ready = ["--wait-ready", f"{server}{spec.load.ready_path or spec.load.path}", "120"]
    return {
        "name": "load",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", "-m", "infertune_probes.load"],
        "args": [*words, *ready],
        # A share to send on time and no limit: a late or throttled client would measure itself.
        "resources": {
            "requests": {"cpu": "250m", "memory": "96Mi"},
            "limits": {"memory": "256Mi"},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "payload", "mountPath": "/payload", "readOnly": True}],
    }


def _rename(deployment: dict[str, Any], names: Mapping[str, str]) -> None:
    for container in deployment["spec"]["template"]["spec"]["containers"]:
        container["image"] = names.get(container["image"], container["image"])
