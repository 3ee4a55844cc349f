"""The committed CRD is what the models say, and it teaches."""

from collections.abc import Iterator
from typing import Any

from infertune.api.spec import TuningSpec
from infertune.api.status import TuningStatus
from infertune.cli.crd import render_crd
from infertune.cli.reference import render_reference
from tests.contract.paths import CHART, CRD_FILE, CRD_NAME, ROOT

REGENERATE = "run `make generate` and commit the result"


def schema_of(crd: dict[str, Any]) -> dict[str, Any]:
    return crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]


def fields(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every field below a schema with its path."""
    for name, field in schema.get("properties", {}).items():
        yield f"{path}.{name}", field
        yield from fields(field, f"{path}.{name}")
    if "items" in schema:
        yield from fields(schema["items"], f"{path}[]")


def test_the_committed_crd_is_what_the_models_say() -> None:
    assert CRD_FILE.read_text() == render_crd(), REGENERATE


def test_the_committed_reference_is_what_the_models_say() -> None:
    assert (ROOT / "docs" / "reference.md").read_text() == render_reference(), REGENERATE


def test_the_chart_carries_the_same_bytes() -> None:
    assert (CHART / "crds" / CRD_NAME).read_bytes() == CRD_FILE.read_bytes(), REGENERATE


def test_every_field_is_described_by_a_sentence(crd: dict[str, Any]) -> None:
    described = {
        path: field.get("description", "")
        for path, field in fields(schema_of(crd), "")
        if path != ".metadata"  # the server knows it better and refuses a description
    }
    assert len(described) > 150
    assert [path for path, text in described.items() if not text.endswith((".", "?"))] == []


def test_every_field_of_the_models_is_in_the_schema(crd: dict[str, Any]) -> None:
    properties = schema_of(crd)["properties"]
    for name, model in (("spec", TuningSpec), ("status", TuningStatus)):
        aliases = [field.alias or key for key, field in model.model_fields.items()]
        assert list(properties[name]["properties"]) == aliases


def test_a_status_has_no_defaults_because_a_default_was_never_measured(
    crd: dict[str, Any],
) -> None:
    status = schema_of(crd)["properties"]["status"]
    assert [path for path, field in fields(status, "status") if "default" in field] == []


def test_lists_say_how_they_merge(crd: dict[str, Any]) -> None:
    lists = {
        path: field["x-kubernetes-list-type"]
        for path, field in fields(schema_of(crd), "")
        if field.get("type") == "array"
    }
    assert {path: kind for path, kind in lists.items() if kind != "atomic"} == {
        ".spec.knobs.batchSize.values": "set",
        ".spec.knobs.imageVersions": "map",
        ".spec.knobs.images": "set",
        ".spec.knobs.settings": "map",
        ".spec.knobs.settings[].values": "set",
        ".spec.trial.podTemplateOverride.dropInitContainers": "set",
        ".spec.trial.podTemplateOverride.emptyVolumes": "set",
        ".status.conditions": "map",
    }


def test_the_names_and_columns_of_kubectl_get(crd: dict[str, Any]) -> None:
    version = crd["spec"]["versions"][0]
    columns = {column["name"]: column["jsonPath"] for column in version["additionalPrinterColumns"]}
    assert crd["spec"]["names"]["shortNames"] == ["it", "tuning"]
    assert columns == {
        "Target": ".spec.targetRef.name",
        "Mode": ".spec.mode",
        "State": ".status.state",
        "SLO": ".status.summary.slo",
        "P95": ".status.summary.p95",
        "Best": ".status.summary.best",
        "Verdict": ".status.summary.verdict",
        "Spent": ".status.summary.spent",
        "Age": ".metadata.creationTimestamp",
    }
    paths = {path for path, _ in fields(schema_of(crd), "")}
    assert set(columns.values()) - paths == {".metadata.creationTimestamp"}
