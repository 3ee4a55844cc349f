"""Which objects a GitOps controller keeps, and the entries that make it leave our fields alone."""

from typing import Any

import pytest
import yaml

from infertune.core.gitops import (
    Ignored,
    KeptByGitOps,
    ignore_text,
    jq_path,
    kept_by,
    perhaps_kept,
    pointer,
)
from infertune.core.plan import FieldExpectation
from tests.builders import decide, deployment_of, spec_of, status_of, target_of, trial_of

BASE = ("spec", "template", "spec", "containers", "name=server")
BATCH = (*BASE, "env", "name=MAX_BATCH", "value")
RAW: dict[str, Any] = {
    "kind": "Deployment",
    "metadata": {"name": "server", "namespace": "prod"},
    "spec": {
        "template": {
            "spec": {
                "containers": [
                    {"name": "proxy"},
                    {"name": "server", "env": [{"name": "A"}, {"name": "MAX_BATCH"}]},
                ]
            }
        }
    },
}


def marked(manager: str = "", **metadata: Any) -> dict[str, Any]:
    fields = [{"manager": manager, "fieldsV1": {}}] if manager else []
    return {"metadata": {"managedFields": fields, **metadata}}


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        (marked(), None),
        (marked("helm", labels={"app.kubernetes.io/instance": "shop"}), None),
        (
            marked(
                labels={"app.kubernetes.io/instance": "other"},
                annotations={"argocd.argoproj.io/tracking-id": "shop:apps/Deployment:prod/server"},
            ),
            ("Argo CD", "Application", "shop"),
        ),
        (
            marked("argocd-controller", labels={"app.kubernetes.io/instance": "shop"}),
            ("Argo CD", "Application", "shop"),
        ),
        (marked("argocd-application-controller"), ("Argo CD", "Application", "")),
        (marked("kustomize-controller"), ("Flux", "Kustomization", "")),
        (marked("helm-controller"), ("Flux", "HelmRelease", "")),
        (
            marked(labels={"kustomize.toolkit.fluxcd.io/name": "shop"}),
            ("Flux", "Kustomization", "shop"),
        ),
        (marked(labels={"helm.toolkit.fluxcd.io/name": "shop"}), ("Flux", "HelmRelease", "shop")),
        (
            marked(
                "kustomize-controller",
                labels={"kustomize.toolkit.fluxcd.io/name": "shop"},
                annotations={"kustomize.toolkit.fluxcd.io/ssa": "Ignore"},
            ),
            None,
        ),
        (
            marked(
                "kustomize-controller",
                annotations={"kustomize.toolkit.fluxcd.io/reconcile": "disabled"},
            ),
            None,
        ),
    ],
)
def test_the_keeper_is_told_by_what_it_leaves(raw: dict[str, Any], found: Any) -> None:
    kept = kept_by(raw)
    assert (kept and (kept.keeper, kept.source, kept.name)) == found


INSTANCE = {"app.kubernetes.io/instance": "shop"}
LABEL = {"f:metadata": {"f:labels": {"f:app.kubernetes.io/instance": {}}}}


def labelled(*managers: str, **metadata: Any) -> dict[str, Any]:
    """Return an object whose instance label these managers own."""
    fields = [{"manager": manager, "fieldsV1": LABEL} for manager in managers]
    return {"metadata": {"managedFields": fields, "labels": INSTANCE, **metadata}}


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(marked(), id="no label"),
        pytest.param(labelled("argocd-controller"), id="Argo CD by its name: told elsewhere"),
        pytest.param(labelled("helm"), id="Helm by its name"),
        pytest.param(
            labelled("kubectl", annotations={"meta.helm.sh/release-name": "shop"}),
            id="a release of Helm, edited since",
        ),
        pytest.param(labelled("kustomize-controller"), id="Flux by its name: told elsewhere"),
    ],
)
def test_there_is_nothing_to_wonder_about_where_the_label_is_somebodys(raw: Any) -> None:
    assert perhaps_kept(raw) is None


@pytest.mark.parametrize(
    ("raw", "by"),
    [
        (labelled("kubectl-client-side-apply"), "set by kubectl-client-side-apply"),
        (labelled(), "set by nobody knows whom"),
        (marked("helm", labels=INSTANCE), "set by nobody knows whom"),
    ],
    ids=["kubectl, or helm template piped into it", "a restored backup", "Helm owns other fields"],
)
def test_a_label_alone_is_no_proof_and_the_doubt_is_told(raw: Any, by: str) -> None:
    assert kept_by(raw) is None
    assert str(perhaps_kept(raw)).startswith(f"label app.kubernetes.io/instance 'shop' ({by}) ")


@pytest.mark.parametrize(("rollout", "told"), [({}, True), ({"gitOps": "Acknowledged"}, False)])
def test_the_doubt_stands_beside_the_first_write_unless_it_was_answered(
    rollout: dict[str, str], *, told: bool
) -> None:
    target = target_of(deployment_of(metadata={"labels": INSTANCE}))
    spec = spec_of(rollout={"warmupSeconds": 5, **rollout})
    trials = (trial_of(1, 10.0), trial_of(4, 30.0))
    first = decide(status_of("Deciding", trials=trials), spec, target=target)
    opened = decide(first.status, spec, target=target)
    assert opened.status.state == "Applying"
    assert ("is no proof" in opened.decision) is told


def test_a_field_as_jq_and_as_a_pointer() -> None:
    assert jq_path(BATCH) == (
        '.spec.template.spec.containers[]? | select(.name == "server")'
        ' | .env[]? | select(.name == "MAX_BATCH")'
    )
    assert jq_path((*BASE, "image")).endswith('select(.name == "server") | .image')
    assert jq_path(("spec", "maxReplicas")) == ".spec.maxReplicas"
    assert pointer(RAW, BATCH) == "/spec/template/spec/containers/1/env/1/value"
    absent = (*BASE, "env", "name=NEW", "value")
    assert pointer(RAW, absent) == "/spec/template/spec/containers/1/env"


def entries(keeper: Any, source: Any) -> Any:
    fields = (FieldExpectation(BATCH, None, None),)
    kept = KeptByGitOps(keeper, source, "shop", "a trace")
    return yaml.safe_load(ignore_text(kept, [Ignored("apps/v1", RAW, fields)]))


def test_the_entries_are_yaml_that_each_controller_reads() -> None:
    argo = entries("Argo CD", "Application")["spec"]
    assert argo["ignoreDifferences"] == [
        {
            "group": "apps",
            "kind": "Deployment",
            "name": "server",
            "namespace": "prod",
            "managedFieldsManagers": ["infertune"],
            "jqPathExpressions": [jq_path(BATCH)],
        }
    ]
    assert "RespectIgnoreDifferences=true" in argo["syncPolicy"]["syncOptions"]
    ignored = [
        {
            "paths": ["/spec/template/spec/containers/1/env/1/value"],
            "target": {
                "group": "apps",
                "version": "v1",
                "kind": "Deployment",
                "name": "server",
                "namespace": "prod",
            },
        }
    ]
    assert entries("Flux", "Kustomization") == {"spec": {"ignore": ignored}}
    assert entries("Flux", "HelmRelease") == {"spec": {"driftDetection": {"ignore": ignored}}}
