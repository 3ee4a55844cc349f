"""What we create: names that fit, pods that match nothing, bytes that stay."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infertune.api.status import Bounds, Configuration, TemplateValues
from infertune.core.last_good import LastGood, last_good, read_last_good
from infertune.core.manifests.load_arguments import load_arguments, seed_of
from infertune.core.manifests.naming import object_metadata, probe_job_name, trial_name
from infertune.core.manifests.probe_jobs import (
    benchmark_job,
    gpu_check_job,
    load_job,
    versions_job,
)
from infertune.core.manifests.recommendation import (
    config_map_name,
    patch_digest,
    patches,
    recommendation_config_map,
)
from infertune.core.manifests.trial_server import (
    Setting,
    deadline_seconds,
    selected_by,
    server_job,
)
from infertune.core.resolve import Resolved, resolve
from infertune.core.snapshot import Installation, Key, Selector
from infertune.core.space import Candidate
from tests.builders import (
    IMAGE,
    INSTALLATION,
    OTHER_IMAGE,
    container_of,
    deployment_of,
    intent_between,
    snapshot_of,
    spec_of,
    target_of,
    trial_of,
    tuning_of,
)

LABEL = re.compile(r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")
SUBDOMAIN = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
PARTS = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,60}[a-z0-9])?", fullmatch=True)
NAMES = st.lists(PARTS, min_size=1, max_size=12).map(".".join).filter(lambda n: len(n) <= 253)
SUFFIX_OF_A_POD = "-abcde"


def resolved_of(container: dict[str, Any] | None = None, **pod: Any) -> Resolved:
    raw = deployment_of(container or container_of(), pod=pod)
    found = resolve(snapshot_of(target=target_of(raw)), spec_of())
    assert isinstance(found, Resolved)
    return found


def pod_of(manifest: Any) -> Any:
    return manifest["spec"]["template"]["spec"]


@given(name=NAMES, node=st.text(max_size=300), attempt=st.integers(0, 9))
def test_every_name_is_a_valid_label_for_the_job_and_its_pod(
    name: str, node: str, attempt: int
) -> None:
    tuning = tuning_of(key=Key("serving", name))
    trial = trial_name(tuning, Candidate(IMAGE, 4), attempt)
    names = [f"{trial}-server", f"{trial}-load", probe_job_name(tuning, "benchmark", node)]
    for made in names:
        assert LABEL.match(made + SUFFIX_OF_A_POD), made
    assert trial == trial_name(tuning, Candidate(IMAGE, 4), attempt)
    published = config_map_name(tuning, "0123456789")
    assert len(published) <= 253
    assert SUBDOMAIN.match(published)


def test_another_candidate_attempt_generation_or_node_has_another_name() -> None:
    tuning, later = tuning_of(), tuning_of(generation=2)
    names = {
        trial_name(tuning, Candidate(IMAGE, 4), 0),
        trial_name(tuning, Candidate(IMAGE, 4), 1),
        trial_name(tuning, Candidate(IMAGE, None), 0),
        trial_name(tuning, Candidate(OTHER_IMAGE, 4), 0),
        trial_name(later, Candidate(IMAGE, 4), 0),
        probe_job_name(tuning, "gpu", "node-1"),
        probe_job_name(tuning, "gpu", "node-2"),
    }
    assert len(names) == 7


def test_what_we_create_names_its_owner_so_that_the_garbage_collector_follows() -> None:
    metadata = object_metadata(tuning_of(), "x", {"a": "b"})
    assert metadata["ownerReferences"] == [
        {
            "apiVersion": "infertune.io/v1alpha1",
            "kind": "InferenceTuning",
            "name": "resnet",
            "uid": "tuning-uid",
            "controller": True,
            "blockOwnerDeletion": False,
        }
    ]


def test_a_trial_server_is_the_template_with_the_values_and_without_what_ties_it_to_the_live() -> (
    None
):
    container = container_of("1")
    container["env"].append({"name": "ARGS", "value": "--batch $(MAX_BATCH)"})
    sidecar = {"name": "proxy", "image": "proxy:1"}
    resolved = _with_sidecar(container, sidecar)
    values = TemplateValues(image=OTHER_IMAGE, batch_value="4")
    made = server_job(tuning_of(), spec_of(), "t", values, resolved, Setting(INSTALLATION))
    pod = pod_of(made)
    assert pod["containers"][0]["image"] == OTHER_IMAGE
    assert pod["containers"][0]["env"] == [
        {"name": "LOG_LEVEL", "value": "info"},
        {"name": "MAX_BATCH", "value": "4"},
        {"name": "ARGS", "value": "--batch $(MAX_BATCH)"},
    ]
    assert {**pod["containers"][1], "resources": None} == {**sidecar, "resources": None}
    assert "nodeName" not in pod
    assert (pod["priorityClassName"], pod["nodeSelector"]) == ("infertune-trial", {"gpu": "yes"})
    assert (pod["restartPolicy"], pod["automountServiceAccountToken"]) == ("Never", False)
    annotations = made["spec"]["template"]["metadata"]["annotations"]
    assert "prometheus.io/scrape" not in annotations
    assert annotations["team"] == "vision"
    assert made["spec"]["backoffLimit"] == 0
    assert made["spec"]["activeDeadlineSeconds"] == deadline_seconds(spec_of())


def _with_sidecar(container: dict[str, Any], sidecar: dict[str, Any]) -> Resolved:
    raw = deployment_of(container)
    template = raw["spec"]["template"]
    template["spec"] = {
        "containers": [container, sidecar],
        "nodeName": "node-1",
        "priorityClassName": "live-traffic",
        "nodeSelector": {"gpu": "yes"},
    }
    template["metadata"]["annotations"] = {"prometheus.io/scrape": "true", "team": "vision"}
    spec = spec_of(targetRef={"name": "resnet", "container": "server"})
    found = resolve(snapshot_of(target=target_of(raw)), spec)
    assert isinstance(found, Resolved)
    return found


@pytest.mark.parametrize(
    ("knobs", "values", "wanted"),
    [
        ({"images": [OTHER_IMAGE]}, TemplateValues(image=OTHER_IMAGE), {"image": OTHER_IMAGE}),
        (
            {"batchSize": {"argument": "--max-batch", "values": [4]}},
            TemplateValues(args=("--max-batch=4",)),
            {"args": ["--max-batch=4"]},
        ),
        ({"batchSize": {"argument": "--max-batch", "values": [4]}}, TemplateValues(), {}),
        (
            {"batchSize": {"env": "MAX_BATCH", "values": [4]}},
            TemplateValues(),
            {"env": [{"name": "LOG_LEVEL", "value": "info"}]},
        ),
        (
            {"batchSize": {"env": "NEW", "values": [4]}},
            TemplateValues(batch_value="4"),
            {"env": [*container_of("1")["env"], {"name": "NEW", "value": "4"}]},
        ),
    ],
)
def test_the_values_of_a_candidate_stand_where_the_knob_says(
    knobs: dict[str, Any], values: TemplateValues, wanted: dict[str, Any]
) -> None:
    spec = spec_of(knobs=knobs)
    plain = Setting(Installation("probes:1"))
    made = server_job(tuning_of(), spec, "t", values, resolved_of(), plain)
    found = dict(pod_of(made)["containers"][0])
    del found["resources"]
    assert found == container_of("1") | wanted
    assert "priorityClassName" not in pod_of(made)


@given(picked=st.dictionaries(st.sampled_from(["app", "tier", "team"]), st.text(max_size=3)))
def test_labels_of_live_pods_never_pick_a_trial(picked: dict[str, str]) -> None:
    service = Selector("Service", "live", picked)
    assert selected_by(tuning_of(), "t", (service,)) is None


def test_something_that_picks_by_our_own_labels_is_found_out() -> None:
    greedy = Selector("PodMonitor", "all", {"app.kubernetes.io/managed-by": "infertune"})
    nothing = Selector("Service", "empty", {})
    assert selected_by(tuning_of(), "t", (nothing, greedy)) == greedy


def test_a_probe_pod_holds_no_token_no_gpu_and_no_rights() -> None:
    resolved = resolved_of()
    made = gpu_check_job(tuning_of(), spec_of(), resolved, "node-1", INSTALLATION)
    pod = pod_of(made)
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["priorityClassName"] == "infertune-trial"
    assert "nvidia.com/gpu" not in pod["containers"][0]["resources"]["limits"]
    assert "--require" not in pod["containers"][0]["args"]
    of_pod = {"valueFrom": {"fieldRef": {"fieldPath": "metadata.uid"}}}
    assert {"name": "INFERTUNE_POD_UID", **of_pod} in pod["containers"][0]["env"]
    terms = pod["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert terms["nodeSelectorTerms"] == [
        {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["node-1"]}]}
    ]


def test_a_required_gpu_is_asked_for_and_benchmarked_where_the_target_uses_one() -> None:
    gpu = {"resources": {"limits": {"nvidia.com/gpu": "2"}}}
    resolved = resolved_of(container_of(**gpu), runtimeClassName="nvidia")
    spec = spec_of(probes={"gpuCheck": "Required"})
    check = pod_of(gpu_check_job(tuning_of(), spec, resolved, "node-1", INSTALLATION))
    bench = pod_of(benchmark_job(tuning_of(), resolved, "node-1", INSTALLATION))
    assert check["containers"][0]["args"] == ["infertune_probes.gpu", "--require"]
    assert bench["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert bench["containers"][0]["image"] == "infertune/probes:gpu"
    assert (check["runtimeClassName"], bench["runtimeClassName"]) == ("nvidia", "nvidia")
    only_cpu = Installation("probes:1")
    cpu = pod_of(benchmark_job(tuning_of(), resolved, "node-1", only_cpu))
    assert cpu["containers"][0]["image"] == "probes:1"
    assert "priorityClassName" not in cpu


def test_the_probe_of_versions_looks_at_the_host_alone_and_takes_no_gpu() -> None:
    gpu = {"resources": {"limits": {"nvidia.com/gpu": "2"}}}
    resolved = resolved_of(container_of(**gpu), runtimeClassName="nvidia")
    pod = pod_of(versions_job(tuning_of(), resolved, "node-1", INSTALLATION))
    (container,) = pod["containers"]
    assert container["args"] == ["infertune_probes.versions", "--host-only"]
    assert "nvidia.com/gpu" not in container["resources"]["limits"]
    assert {"name": "NVIDIA_DRIVER_CAPABILITIES", "value": "utility"} in container["env"]
    assert (container["image"], pod["runtimeClassName"]) == ("infertune/probes:gpu", "nvidia")


def test_the_load_probe_reads_payload_and_golden_answers_from_their_config_maps() -> None:
    spec = spec_of(
        load={"path": "/predict", "payloadRef": {"configMap": "body"}, "readyPath": "/up"},
        quality={"goldenConfigMap": "golden", "maxQualityDropPercent": "1.5"},
    )
    arguments = load_arguments(trial_of(4, None, (10.0, "Pass")), spec, resolved_of(), "10.0.0.9")
    pod = pod_of(load_job(tuning_of(), "t", arguments, spec, resolved_of().template, INSTALLATION))
    assert pod["volumes"] == [
        {"name": "payload", "configMap": {"name": "body"}},
        {"name": "golden", "configMap": {"name": "golden"}},
    ]
    text = " ".join(pod["containers"][0]["args"])
    assert "--url http://10.0.0.9:8080/predict " in text
    assert "--body-file /payload/body.json" in text
    assert "--golden /golden/golden.json --max-quality-drop-percent 1.5" in text
    (wish,) = pod["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    assert wish["podAffinityTerm"] == {
        "topologyKey": "kubernetes.io/hostname",
        "labelSelector": {
            "matchLabels": {"infertune.io/trial": "t", "infertune.io/role": "server"}
        },
    }


@pytest.mark.parametrize(
    ("probe", "address", "wanted"),
    [
        ({"path": "/up", "port": 9000}, "10.0.0.9", "http://10.0.0.9:9000/up"),
        ({"path": "/up", "port": "http"}, "fd00::9", "http://[fd00::9]:8080/up"),
        ({"path": "/up", "port": "unknown"}, "10.0.0.9", "http://10.0.0.9:8080/up"),
        ({"path": "/up", "port": 9000, "scheme": "HTTPS"}, "10.0.0.9", None),
        ({}, "10.0.0.9", None),
    ],
)
def test_readiness_is_asked_on_the_port_of_the_readiness_probe(
    probe: dict[str, Any], address: str, wanted: str | None
) -> None:
    resolved = resolved_of(container_of(readinessProbe={"httpGet": probe}))
    arguments = load_arguments(trial_of(4, None, (10.0, "Pass")), spec_of(), resolved, address)
    found = arguments[arguments.index("--wait-ready") + 1] if "--wait-ready" in arguments else None
    assert found == wanted


def test_the_seed_follows_the_name() -> None:
    assert seed_of("a") == seed_of("a") != seed_of("b")
    assert 0 <= seed_of("a") < 2**31


def test_a_patch_is_the_same_bytes_whenever_it_is_made() -> None:
    values = TemplateValues(image=IMAGE, batch_value="4")
    bounds = Bounds(min_replicas=1, max_replicas=3)
    content = patches(spec_of(), "server", values, "resnet", bounds)
    again = patches(spec_of(), "server", values, "resnet", bounds)
    assert content == again
    assert content["patch.json"] == (
        '{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"resnet"},"spec":'
        '{"template":{"spec":{"containers":[{"env":[{"name":"MAX_BATCH","value":"4"}],'
        f'"image":"{IMAGE}","name":"server"}}]}}}}}}}}'
    )
    assert json.loads(content["autoscaler-patch.json"])["spec"] == {
        "minReplicas": 1,
        "maxReplicas": 3,
    }
    made = recommendation_config_map(tuning_of(), content)
    assert made["immutable"] is True
    assert made["metadata"]["name"] == f"resnet-recommendation-{patch_digest(content)[:8]}"
    assert "infertune.io/role" not in made["metadata"]["labels"]


def test_without_an_autoscaler_there_is_one_patch() -> None:
    values = TemplateValues(image=IMAGE)
    bounds = Bounds(min_replicas=1, max_replicas=3)
    assert list(patches(spec_of(), "server", values, None, bounds)) == ["patch.json"]


def test_the_last_good_annotation_holds_all_that_a_human_or_another_operator_needs() -> None:
    intent = intent_between("1", "4").model_copy(
        update={
            "tuning_name": "resnet",
            "tuning_uid": "u-1",
            "baseline": Configuration(batch_size=1, image=IMAGE),
        }
    )
    assert json.loads(last_good(intent)) == {
        "version": 1,
        "state": "Open",
        "tuning": {"name": "resnet", "uid": "u-1"},
        "baseline": {"batchSize": 1, "image": IMAGE},
        "intent": {
            "id": "0123456789ab",
            "targetUid": "target-uid",
            "container": "server",
            "place": {"env": "MAX_BATCH"},
            "before": {"batchValue": "1"},
            "after": {"batchValue": "4"},
            "autoscaler": "resnet",
            "autoscalerUid": "scaler-uid",
            "boundsBefore": {"minReplicas": 2, "maxReplicas": 2},
            "boundsAfter": {"minReplicas": 1, "maxReplicas": 3},
            "ownersBefore": {},
            "afterTuning": False,
        },
    }
    raw = {"metadata": {"annotations": {"infertune.io/last-good": last_good(intent, "Settled")}}}
    assert read_last_good(raw) == LastGood("Settled", intent)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"version":2}',
        '{"version":1,"state":"Half","intent":{}}',
        '{"version":1,"state":"Open","tuning":7}',
        '{"version":1,"state":"Open","intent":{"id":[]}}',
    ],
)
def test_an_annotation_that_cannot_be_read_is_nobodys_record(text: str) -> None:
    assert read_last_good({"metadata": {"annotations": {"infertune.io/last-good": text}}}) is None
    assert read_last_good({"metadata": {}}) is None
