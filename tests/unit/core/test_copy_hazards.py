"""What must not be copied is recognised before the first copy, with the reason and the fix."""

from typing import Any

import pytest

from infertune.api.trial_rules import PodTemplateOverride
from infertune.core.copy_hazards import claims_of, hazard_of
from tests.builders import container_of, deployment_of

POD_NAME = {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
ORDINAL = {
    "name": "RANK",
    "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['apps.kubernetes.io/pod-index']"}},
}
TEMPLATE = {"metadata": {"name": "data"}}


def claim(name: str = "model") -> dict[str, Any]:
    return {"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": name}}]}


def word_of(
    raw: dict[str, Any], modes: dict[str, tuple[str, ...]] | None = None, **override: Any
) -> str | None:
    rules = PodTemplateOverride.model_validate(override) if override else None
    found = hazard_of(raw, rules, modes or {})
    return None if found is None else found.word


def stateful(container: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    return deployment_of(container or container_of(), kind="StatefulSet", spec=spec)


def template_of(container: dict[str, Any], **pod: Any) -> dict[str, Any]:
    return {"template": {"spec": {"containers": [container], **pod}}}


def test_a_plain_deployment_and_a_stateless_stateful_set_are_copied() -> None:
    assert word_of(deployment_of()) is None
    assert word_of(stateful()) is None


@pytest.mark.parametrize(
    ("modes", "word"),
    [
        (("ReadWriteOnce",), "ReadWriteOnceVolume"),
        (("ReadWriteOncePod",), "ReadWriteOnceVolume"),
        (None, "ReadWriteOnceVolume"),
        (("ReadWriteMany",), None),
        (("ReadWriteOnce", "ReadOnlyMany"), None),
    ],
)
def test_a_claim_that_one_pod_or_node_holds_is_not_shared_with_a_copy(
    modes: tuple[str, ...] | None, word: str | None
) -> None:
    raw = deployment_of(pod=claim())
    assert claims_of(raw) == ("model",)
    assert word_of(raw, {} if modes is None else {"model": modes}) == word
    assert word_of(raw, emptyVolumes=["v"]) is None


def test_the_network_of_the_node_belongs_to_live_pods() -> None:
    assert word_of(deployment_of(pod={"hostNetwork": True})) == "HostNetwork"
    port = {"containerPort": 8080, "hostPort": 8080}
    assert word_of(deployment_of(container_of(ports=[port]))) == "HostPort"


def test_a_stateful_set_with_data_of_its_own_is_copied_only_where_empty_will_do() -> None:
    raw = stateful(volumeClaimTemplates=[TEMPLATE])
    assert word_of(raw) == "VolumeClaimTemplates"
    assert word_of(raw, emptyVolumes=["data"]) is None


@pytest.mark.parametrize(
    "container",
    [
        container_of(env=[POD_NAME]),
        container_of(env=[ORDINAL]),
        container_of(args=["--rank=$(POD_NAME)"], env=[POD_NAME]),
        container_of(command=["sh", "-c", "serve --rank ${HOSTNAME##*-}"]),
        container_of(command=["sh", "-c", "serve --rank $HOSTNAME"]),
        container_of(args=["--id", "$(hostname)"]),
        container_of(args=["--id", "$(HOSTNAME)"]),
        container_of(env=[{"name": "ID", "value": "$(HOSTNAME)"}]),
    ],
)
def test_a_pod_of_a_stateful_set_that_asks_who_it_is_has_no_copy(container: Any) -> None:
    assert word_of(stateful(container)) == "PodIdentity"
    # The pods of a Deployment have random names: nobody can depend on one.
    assert word_of(deployment_of(container)) is None


def test_any_name_may_be_given_to_a_copy() -> None:
    raw = stateful(container_of(env=[POD_NAME]))
    assert word_of(raw, env={"POD_NAME": "trial-0"}) is None
    shell = stateful(container_of(command=["sh", "-c", "serve --rank $HOSTNAME"]))
    assert word_of(shell, env={"HOSTNAME": "trial-0"}) is None


def test_a_file_with_the_pods_name_is_the_pods_name() -> None:
    item = {"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}
    volume = {"name": "about", "downwardAPI": {"items": [item]}}
    assert word_of(
        stateful(template=template_of(container_of(), volumes=[volume])["template"])
    ) == ("PodIdentity")


def test_an_init_container_counts_until_it_is_dropped() -> None:
    init = {"name": "join", "image": "join:1", "env": [POD_NAME]}
    raw = stateful(template=template_of(container_of(), initContainers=[init])["template"])
    assert word_of(raw) == "PodIdentity"
    assert word_of(raw, dropInitContainers=["join"]) is None


def test_a_device_claim_by_name_is_held_by_live_pods() -> None:
    raw = deployment_of(pod={"resourceClaims": [{"name": "gpu", "resourceClaimName": "gpu-0"}]})
    assert word_of(raw) == "SharedResourceClaim"
    by_template = {"name": "gpu", "resourceClaimTemplateName": "gpu"}
    assert word_of(deployment_of(pod={"resourceClaims": [by_template]})) is None


def test_an_override_of_what_is_not_there_is_named_with_what_there_is() -> None:
    raw = deployment_of(pod={"initContainers": [{"name": "migrate"}]} | claim())
    for override, words in (
        ({"drop_init_containers": ("migrat",)}, "no 'migrat' in the template; it has: migrate"),
        ({"empty_volumes": ("cache",)}, "no 'cache' in the template; it has: v"),
    ):
        found = hazard_of(raw, PodTemplateOverride(**override), {})  # type: ignore[arg-type]
        assert found is not None
        assert (found.word, words in found.message) == ("OverrideUnknown", True)


def test_every_refusal_says_what_to_do() -> None:
    for raw in (
        deployment_of(pod={"hostNetwork": True}),
        deployment_of(pod=claim()),
        stateful(volumeClaimTemplates=[TEMPLATE]),
        stateful(container_of(env=[POD_NAME])),
    ):
        found = hazard_of(raw, None, {})
        assert found is not None
        assert any(word in found.message for word in ("remove", "name it", "set it"))
