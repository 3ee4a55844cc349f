"""Good manifests pass and bad ones are refused, offline and by a real API server alike."""

from pathlib import Path
from typing import Any

import pytest

from infertune.api.v1alpha1 import SpecError, parse_spec
from infertune.cli.check import find_problems
from tests.contract.expectations import invalid_manifests, read_expectation
from tests.contract.full_objects import full_status
from tests.contract.paths import VALID, example_tunings, load_yaml
from tests.contract.scratch_api import ScratchApi

EXAMPLES = example_tunings()
EXAMPLE_IDS = [f"{path.parent.name}/{path.stem}" for path, _ in EXAMPLES]
BAD = invalid_manifests()
every_example = pytest.mark.parametrize(
    "manifest", [manifest for _, manifest in EXAMPLES], ids=EXAMPLE_IDS
)
every_mistake = pytest.mark.parametrize("path", BAD, ids=[path.stem for path in BAD])


def rules_between_fields(schema: dict[str, Any]) -> list[str]:
    """Return the message of every rule that a new object can break."""
    own = [
        rule["message"]
        for rule in schema.get("x-kubernetes-validations", ())
        if "oldSelf" not in rule["rule"]
    ]
    inner = [*schema.get("properties", {}).values(), *filter(None, [schema.get("items")])]
    return own + [message for field in inner for message in rules_between_fields(field)]


def fields_left_out(schema: dict[str, Any], value: dict[str, Any], path: str = "") -> list[str]:
    """Return the fields of a schema that an object does not name, objects within it included."""
    found = []
    for name, field in schema.get("properties", {}).items():
        if name in value:
            found += fields_left_out(field, value[name], f"{path}{name}.")
        else:
            found.append(f"{path}{name}")
    return found


def test_the_full_manifest_names_every_field(crd: dict[str, Any]) -> None:
    """One field excludes another: the batch size stands in an argument, so not in the env."""
    (full,) = load_yaml(VALID / "full.yaml")
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    assert fields_left_out(schema, full["spec"]) == ["knobs.batchSize.env"]


@every_example
def test_an_example_passes_the_offline_check(manifest: dict[str, Any]) -> None:
    assert find_problems(manifest) == ()


@every_mistake
def test_a_mistake_is_refused_offline_with_field_and_fix(path: Path) -> None:
    (manifest,) = load_yaml(path)
    expected = read_expectation(path)
    parsed = parse_spec(manifest["spec"])
    assert isinstance(parsed, SpecError)
    (problem,) = parsed.problems
    named = problem.partition(":")[0]
    # A rule between two fields is reported at their parent; its sentence names the field.
    assert named.startswith(expected.field) or expected.field.startswith(named)
    assert expected.field.rpartition(".")[2] in problem
    assert expected.offline in problem


@pytest.mark.real_api
@every_example
def test_an_example_is_accepted_by_the_server(
    manifest: dict[str, Any], scratch_api: ScratchApi
) -> None:
    assert scratch_api.refusal(manifest) is None


@pytest.mark.real_api
@every_mistake
def test_a_mistake_is_refused_by_the_server_with_field_and_fix(
    path: Path, scratch_api: ScratchApi
) -> None:
    (manifest,) = load_yaml(path)
    expected = read_expectation(path)
    message = scratch_api.refusal(manifest)
    assert message is not None
    assert expected.field in message
    assert expected.server in message


@pytest.mark.real_api
def test_every_rule_between_fields_is_broken_by_a_fixture(
    crd: dict[str, Any], scratch_api: ScratchApi
) -> None:
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    refusals = "\n".join(str(scratch_api.refusal(load_yaml(path)[0])) for path in BAD)
    messages = rules_between_fields(schema["properties"]["spec"])
    assert len(messages) >= 6
    assert [message for message in messages if message not in refusals] == []


@pytest.mark.real_api
def test_the_committed_crd_is_accepted_by_the_server(
    crd: dict[str, Any], scratch_api: ScratchApi
) -> None:
    assert scratch_api.dry_run_crd(crd) is None


@pytest.mark.real_api
def test_server_and_models_fill_in_the_same_defaults(scratch_api: ScratchApi) -> None:
    (minimal,) = load_yaml(VALID / "minimal.yaml")
    stored = scratch_api.create(minimal, dry_run="All")
    assert parse_spec(stored["spec"]) == parse_spec(minimal["spec"])
    # Whatever has a default is spelled out in the stored object, so that a reader sees it.
    assert stored["spec"]["budget"] == {
        "maxTrials": 12,
        "gpuHours": "2",
        "wallClockSeconds": 7200,
    }
    assert stored["spec"]["mode"] == "Recommend"


@pytest.mark.real_api
def test_a_spec_with_every_field_is_stored_unchanged(scratch_api: ScratchApi) -> None:
    (full,) = load_yaml(VALID / "full.yaml")
    assert scratch_api.create(full, dry_run="All")["spec"] == full["spec"]


@pytest.mark.real_api
def test_a_status_with_every_field_is_stored_unchanged(scratch_api: ScratchApi) -> None:
    (minimal,) = load_yaml(VALID / "minimal.yaml")
    minimal["metadata"]["name"] = "every-status-field"
    stored = scratch_api.create(minimal)
    try:
        status = full_status()
        assert scratch_api.write_status(stored, status) == status
        printed = scratch_api.printed("every-status-field")
    finally:
        scratch_api.delete("every-status-field")
    summary = status["summary"]
    assert {name: printed[name] for name in ("Target", "Mode", "State", "Best", "Spent")} == {
        "Target": "resnet",
        "Mode": "Recommend",
        "State": status["state"],
        "Best": summary["best"],
        "Spent": summary["spent"],
    }


@pytest.mark.real_api
def test_target_and_container_may_be_changed_later(scratch_api: ScratchApi) -> None:
    (manifest,) = load_yaml(VALID / "minimal.yaml")
    manifest["metadata"]["name"] = "moving-target"
    scratch_api.create(manifest)

    def refused(reference: dict[str, str]) -> str | None:
        return scratch_api.patch_refusal("moving-target", {"spec": {"targetRef": reference}})

    try:
        assert refused({"name": "bert"}) is None
        assert refused({"container": "server"}) is None
        assert refused({"container": "sidecar", "kind": "StatefulSet"}) is None
        assert refused({"kind": "DaemonSet"}) is not None
    finally:
        scratch_api.delete("moving-target")
