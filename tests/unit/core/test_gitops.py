"""Which objects a GitOps controller keeps, and the entries that make it leave our fields alone."""

from typing import Any

import pytest
import yaml

from infertune.core.gitops import Ignored, KeptByGitOps, ignore_text, jq_path, kept_by, pointer
from infertune.core.plan import FieldExpectation

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
