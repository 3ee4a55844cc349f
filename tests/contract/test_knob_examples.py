"""The examples of settings find their knobs on the demo's server, as the API server stores it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client, config

from infertune.api.spec import TuningSpec
from infertune.api.v1alpha1 import parse_spec
from infertune.core.config_copies import names_to_read
from infertune.core.knobs import find_container
from infertune.core.turning import Stand, read_setting
from tests.contract.paths import ROOT, load_yaml

EXAMPLES = ROOT / "examples"
NAMESPACE = "default"
STRATEGIC = "application/strategic-merge-patch+json"
Raw = dict[str, Any]


def one(path: Path, kind: str) -> Raw:
    """Return the only document of this kind."""
    (found,) = (document for document in load_yaml(path) if document.get("kind") == kind)
    return dict(found)


def settings_today(example: Path, deployment: Raw, *config_maps: Raw) -> dict[str, object]:
    """Return what each setting of the example holds on this Deployment."""
    spec = parse_spec(one(example, "InferenceTuning")["spec"])
    assert isinstance(spec, TuningSpec)
    assert spec.target_ref.name == deployment["metadata"]["name"]
    template = deployment["spec"]["template"]
    sources = {raw["metadata"]["name"]: raw for raw in config_maps}
    assert set(names_to_read(spec, template)) == set(sources)
    container = find_container(template, spec.target_ref.container)
    assert isinstance(container, dict)
    stand = Stand(template, container, sources)
    return {setting.name: read_setting(stand, setting) for setting in spec.knobs.settings}


@pytest.fixture
def apps(kubeconfig: Path) -> Iterator[client.AppsV1Api]:
    """Talk to the API server for tests about Deployments."""
    api = config.new_client_from_config(config_file=str(kubeconfig))
    yield client.AppsV1Api(api)
    api.close()


@pytest.fixture
def stored(apps: client.AppsV1Api) -> Iterator[Raw]:
    """The demo's Deployment as the server stores it, patched as the example says."""
    deployment = one(EXAMPLES / "manifests" / "demo-server.yaml", "Deployment")
    name = deployment["metadata"]["name"]
    deployment["metadata"]["namespace"] = NAMESPACE
    # Where the API server belongs to a whole cluster, no pod is to come of this.
    deployment["spec"]["replicas"] = 0
    apps.create_namespaced_deployment(NAMESPACE, deployment)
    try:
        (patch,) = load_yaml(EXAMPLES / "manifests" / "demo-server-reads-config.yaml")
        patched = apps.patch_namespaced_deployment(
            name, NAMESPACE, patch, _content_type=STRATEGIC, field_validation="Strict"
        )
        yield apps.api_client.sanitize_for_serialization(patched)
    finally:
        apps.delete_namespaced_deployment(name, NAMESPACE)


def test_the_resource_stands_in_the_manifest_of_the_demo() -> None:
    deployment = one(EXAMPLES / "manifests" / "demo-server.yaml", "Deployment")
    assert settings_today(EXAMPLES / "knob-resource.yaml", deployment) == {"cores": "150m"}


@pytest.mark.real_api
def test_the_patched_deployment_reads_the_key_of_the_config_map(stored: Raw) -> None:
    example = EXAMPLES / "knob-config-map.yaml"
    config_map = one(example, "ConfigMap")
    assert settings_today(example, stored, config_map) == {"batch-wait": "0"}
    (container,) = stored["spec"]["template"]["spec"]["containers"]
    (entry,) = (e for e in container["env"] if e["name"] == "BATCH_WAIT_MS")
    assert "value" not in entry
