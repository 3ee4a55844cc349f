"""The copy: what is left out, what is added, what stays."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infertune.api.status import TemplateValues
from infertune.core.manifests.probe_jobs import benchmark_job, load_job
from infertune.core.manifests.trial_pod import copied_annotations, copied_pod
from infertune.core.manifests.trial_server import Setting, server_job
from infertune.core.placement import OfKind
from infertune.core.quantities import amount_of, larger
from infertune.core.resolve import Resolved, resolve
from tests.builders import (
    INSTALLATION,
    container_of,
    deployment_of,
    edited,
    snapshot_of,
    spec_of,
    target_of,
    tuning_of,
)

OVERRIDE = {
    "dropInitContainers": ["migrate"],
    "env": {"READ_ONLY": "1", "LOG_LEVEL": "error", "MAX_BATCH": "99"},
    "serviceAccountName": "nobody",
    "emptyVolumes": ["cache"],
}


def resolved_of(raw: dict[str, Any], **spec: Any) -> Resolved:
    target = {"name": "resnet", "container": "server"}
    found = resolve(snapshot_of(target=target_of(raw)), spec_of(targetRef=target, **spec))
    assert isinstance(found, Resolved)
    return found


def server_of(raw: dict[str, Any], **spec: Any) -> Any:
    made = server_job(
        tuning_of(),
        spec_of(**spec),
        "t",
        TemplateValues(batch_value="4"),
        resolved_of(raw, **spec),
        Setting(INSTALLATION, OfKind("node.kubernetes.io/instance-type", "p4d")),
    )
    return made["spec"]["template"]


def test_the_override_drops_sets_and_swaps_and_a_knob_wins_over_it() -> None:
    pod = {
        "initContainers": [{"name": "migrate"}, {"name": "fetch"}],
        "serviceAccount": "writer",
        "serviceAccountName": "writer",
        "volumes": [
            {"name": "cache", "persistentVolumeClaim": {"claimName": "c"}},
            {"name": "tmp", "emptyDir": {"medium": "Memory"}},
        ],
    }
    sidecar = {"name": "log", "env": [{"name": "READ_ONLY", "value": "0"}]}
    raw = deployment_of(pod={**pod, "containers": [container_of("1"), sidecar]})
    made = server_of(raw, trial={"podTemplateOverride": OVERRIDE})["spec"]
    assert [c["name"] for c in made["initContainers"]] == ["fetch"]
    assert (made["serviceAccountName"], "serviceAccount" in made) == ("nobody", False)
    assert made["volumes"] == [
        {"name": "tmp", "emptyDir": {"medium": "Memory"}},
        {"name": "cache", "emptyDir": {}},
    ]
    env = {e["name"]: e["value"] for e in made["containers"][0]["env"]}
    assert env == {"LOG_LEVEL": "error", "MAX_BATCH": "4", "READ_ONLY": "1"}
    assert made["containers"][1]["env"] == [{"name": "READ_ONLY", "value": "1"}]


def test_a_trial_is_placed_by_the_scheduler_on_nodes_of_that_kind() -> None:
    made = server_of(deployment_of(pod={"nodeName": "node-1", "hostname": "live-0"}))["spec"]
    assert "nodeName" not in made
    assert "hostname" not in made
    terms = made["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert terms["nodeSelectorTerms"][0]["matchExpressions"][0]["values"] == ["p4d"]


@pytest.mark.parametrize(
    ("declared", "requests", "limits"),
    [
        ({}, {"cpu": "100m", "memory": "128Mi"}, {"cpu": "4", "memory": "16Gi"}),
        (
            {"limits": {"cpu": "200m", "memory": "1Gi"}},
            {"cpu": "200m", "memory": "1Gi"},
            {"cpu": "200m", "memory": "1Gi"},
        ),
        (
            {"requests": {"cpu": "8", "memory": "32Gi"}},
            {"cpu": "8", "memory": "32Gi"},
            {"cpu": "8", "memory": "32Gi"},
        ),
        (
            {"requests": {"cpu": "1"}, "limits": {"memory": "2Gi", "nvidia.com/gpu": "1"}},
            {"cpu": "1", "memory": "2Gi"},
            {"cpu": "4", "memory": "2Gi", "nvidia.com/gpu": "1"},
        ),
    ],
)
def test_requests_and_limits_are_always_set_and_declared_ones_stay(
    declared: Any, requests: Any, limits: Any
) -> None:
    template = {"spec": {"containers": [{"name": "server", "resources": declared}]}}
    (container,) = copied_pod(template, "server", spec_of(), None)["containers"]
    assert container["resources"] == {"requests": requests, "limits": limits}
    own = spec_of(trial={"defaultLimits": {"cpu": "2", "memory": "40Gi"}})
    (container,) = copied_pod(template, "server", own, None)["containers"]
    if not declared:
        assert container["resources"]["limits"] == {"cpu": "2", "memory": "40Gi"}


QUANTITIES = st.from_regex(r"[1-9][0-9]{0,5}(m|k|M|G|Ki|Mi|Gi)?", fullmatch=True)


@given(one=QUANTITIES, other=QUANTITIES)
def test_the_larger_of_two_amounts(one: str, other: str) -> None:
    found = larger(one, other)
    assert found in (one, other)
    assert amount_of(found) == max(amount_of(one), amount_of(other))


def test_amounts_as_kubernetes_writes_them() -> None:
    texts = ("250m", "1.5", "2Ki", "3G", "1e3")
    assert [float(amount_of(text)) for text in texts] == [0.25, 1.5, 2048.0, 3e9, 1000.0]


SCRAPING = {
    "prometheus.io/scrape": "true",
    "prometheus.io/port": "80",
    "prometheus.io/scrape-slow": "true",
    "prometheus.istio.io/merge-metrics": "true",
    "k8s.grafana.com/scrape": "true",
    "ad.datadoghq.com/server.checks": "{}",
    "co.elastic.metrics/hosts": "x",
    "sidecar.opentelemetry.io/inject": "true",
    "instrumentation.opentelemetry.io/inject-python": "true",
    "metrics.dynatrace.com/scrape": "true",
    "example.com/scrape": "true",
}
MESHED = {"sidecar.istio.io/proxyCPU": "10m", "linkerd.io/inject": "enabled"}
KEPT = {"team": "vision", "checksum/config": "abc", "example.com/landscape": "wide"}


@pytest.mark.parametrize("name", SCRAPING)
def test_whatever_asks_to_be_scraped_is_dropped(name: str) -> None:
    template = {"metadata": {"annotations": {name: SCRAPING[name], **KEPT}}}
    found = copied_annotations(template, spec_of())
    assert name not in found
    assert found.items() >= KEPT.items()


def test_no_mesh_by_default_and_the_targets_own_where_it_is_inherited() -> None:
    labels = {"app": "resnet", "sidecar.istio.io/inject": "true"}
    raw = deployment_of()
    raw = edited(raw, ("spec", "template", "metadata"), {"labels": labels, "annotations": MESHED})
    off, on = server_of(raw)["metadata"], server_of(raw, load={"mesh": "Inherit"})["metadata"]
    assert off["annotations"]["sidecar.istio.io/inject"] == "false"
    assert off["annotations"]["linkerd.io/inject"] == "disabled"
    assert "sidecar.istio.io/proxyCPU" not in off["annotations"]
    assert "sidecar.istio.io/inject" not in off["labels"]
    assert on["annotations"] == MESHED
    assert on["labels"]["sidecar.istio.io/inject"] == "true"
    assert "app" not in on["labels"]
    for mesh, wanted in (("Disabled", "disabled"), ("Inherit", "enabled")):
        spec = spec_of(load={"mesh": mesh})
        load = load_job(tuning_of(), "t", [], spec, raw["spec"]["template"], INSTALLATION)
        metadata = load["spec"]["template"]["metadata"]
        assert metadata["annotations"]["linkerd.io/inject"] == wanted
    probe = benchmark_job(tuning_of(), resolved_of(raw), "node-1", INSTALLATION)
    assert probe["spec"]["template"]["metadata"]["annotations"]["linkerd.io/inject"] == "disabled"
