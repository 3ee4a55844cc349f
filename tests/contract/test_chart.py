"""The chart renders, lints, and gives exactly the rights that the code uses.

These tests run helm, which comes with the cluster's programs; hence the marker.
"""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from infertune.adapters.kube.paths import PLURALS
from infertune.core.prometheus_access import AccessRules, pattern_of
from infertune.core.snapshot import Installation, Key
from infertune.runtime.settings import settings_from
from tests.contract.paths import CHART

pytestmark = pytest.mark.real_api
# A helm that was built from source believes in an old cluster unless it is told.
KUBERNETES = "1.37.1"
# Who needs what: one row per group and resource.
RIGHTS = {
    ("infertune.io", "inferencetunings"): {"get", "list", "watch", "patch"},
    ("infertune.io", "inferencetunings/status"): {"update"},
    ("apps", "deployments"): {"get", "list", "watch", "patch"},
    ("apps", "statefulsets"): {"get", "list", "watch", "patch"},
    ("apps", "deployments/scale"): {"get", "update"},
    ("apps", "statefulsets/scale"): {"get", "update"},
    ("apps", "controllerrevisions"): {"list"},
    ("apps", "replicasets"): {"list"},
    ("autoscaling", "horizontalpodautoscalers"): {"get", "list", "watch", "patch"},
    ("batch", "jobs"): {"create", "get", "list", "watch", "delete"},
    ("", "pods"): {"list", "watch"},
    ("", "pods/log"): {"get"},
    ("", "configmaps"): {"get", "list", "create", "delete"},
    ("", "services"): {"list"},
    ("", "replicationcontrollers"): {"list"},
    ("", "nodes"): {"get"},
    ("", "persistentvolumeclaims"): {"get"},
    ("policy", "poddisruptionbudgets"): {"list"},
    ("", "resourcequotas"): {"list"},
    ("monitoring.coreos.com", "podmonitors"): {"list"},
    ("", "events"): {"create", "list"},
}
# In the operator's own namespace only.
LEASE_BINDING = "infertune-lease"
LEASE_RIGHTS = {("coordination.k8s.io", "leases"): {"create", "get", "update"}}


@pytest.fixture(scope="session")
def helm() -> Path:
    """The helm of the development cluster, else one on the machine (for a cluster of one's own)."""
    from devcluster.binaries import cache_folder, ensure_binaries
    from devcluster.settings import current

    pinned = cache_folder(current()) / "helm"
    elsewhere = shutil.which("helm")
    if pinned.exists() or elsewhere is None:
        return pinned if pinned.exists() else ensure_binaries(current(), wanted=("helm",))["helm"]
    return Path(elsewhere)


def run(helm: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([helm, *arguments], capture_output=True, text=True, check=False)


def render(helm: Path, **values: object) -> list[dict[str, Any]]:
    """Return what `helm template` makes of the chart."""
    settings = [f"--set-json={key.replace('__', '.')}={json.dumps(v)}" for key, v in values.items()]
    done = run(
        helm,
        "template",
        "infertune",
        str(CHART),
        f"--kube-version={KUBERNETES}",
        "--namespace=infertune-system",
        *settings,
    )
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def of_kind(documents: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [document for document in documents if document["kind"] == kind]


def rights(role: dict[str, Any]) -> dict[tuple[str, str], set[str]]:
    found: dict[tuple[str, str], set[str]] = {}
    for rule in role["rules"]:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                found.setdefault((group, resource), set()).update(rule["verbs"])
    return found


def test_helm_lint_has_nothing_to_say(helm: Path) -> None:
    done = run(helm, "lint", "--strict", f"--kube-version={KUBERNETES}", str(CHART))
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_operator_has_the_rights_it_uses_and_no_others(helm: Path) -> None:
    roles = {
        role["metadata"]["name"]: rights(role) for role in of_kind(render(helm), "ClusterRole")
    }
    assert roles == {"infertune": RIGHTS}
    roles = {role["metadata"]["name"]: rights(role) for role in of_kind(render(helm), "Role")}
    assert roles == {"infertune-lease": LEASE_RIGHTS}


def test_the_rights_name_every_kind_that_the_adapter_touches_and_no_other() -> None:
    """`PLURALS` holds every kind that a request can name; a sub-resource goes with its kind."""
    touched = {(version.rpartition("/")[0], plural) for (version, _), plural in PLURALS.items()}
    rights_of_all = RIGHTS | LEASE_RIGHTS
    assert {(group, name.partition("/")[0]) for group, name in rights_of_all} == touched


def test_no_namespace_named_means_all_of_them(helm: Path) -> None:
    documents = render(helm)
    bound = {b["metadata"]["name"] for b in of_kind(documents, "ClusterRoleBinding")}
    assert bound == {"infertune"}
    assert [b["metadata"]["name"] for b in of_kind(documents, "RoleBinding")] == [LEASE_BINDING]


def test_named_namespaces_get_a_binding_each_and_nothing_else_does(helm: Path) -> None:
    documents = render(helm, watchNamespaces=["serving", "staging"])
    assert of_kind(documents, "ClusterRoleBinding") == []
    bindings = {
        (b["metadata"]["namespace"], b["roleRef"]["name"])
        for b in of_kind(documents, "RoleBinding")
    }
    assert bindings == {
        ("serving", "infertune"),
        ("staging", "infertune"),
        ("infertune-system", LEASE_BINDING),
        ("infertune-system", "infertune-switches"),
    }
    (role,) = (r for r in of_kind(documents, "Role") if "switches" in r["metadata"]["name"])
    assert role["rules"] == [
        {
            "apiGroups": [""],
            "resources": ["configmaps"],
            "resourceNames": ["infertune-switches"],
            "verbs": ["get"],
        }
    ]
    (deployment,) = of_kind(documents, "Deployment")
    assert environment(deployment)["INFERTUNE_NAMESPACES"] == "serving,staging"


def environment(deployment: dict[str, Any]) -> dict[str, str]:
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return {entry["name"]: entry["value"] for entry in container["env"] if "value" in entry}


def test_one_operator_runs_with_no_privilege_at_all(helm: Path) -> None:
    (deployment,) = of_kind(render(helm), "Deployment")
    spec = deployment["spec"]
    pod = spec["template"]["spec"]
    (container,) = pod["containers"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["resources"] == {
        "requests": {"cpu": "50m", "memory": "96Mi"},
        "limits": {"memory": "256Mi"},
    }


def test_two_operators_are_replaced_one_by_one_and_never_both_evicted(helm: Path) -> None:
    documents = render(helm, replicas=2, podDisruptionBudget__create=True)
    (deployment,) = of_kind(documents, "Deployment")
    assert deployment["spec"]["replicas"] == 2
    assert deployment["spec"]["strategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1},
    }
    (budget,) = of_kind(documents, "PodDisruptionBudget")
    assert budget["spec"]["maxUnavailable"] == 1
    assert budget["spec"]["selector"] == deployment["spec"]["selector"]
    assert of_kind(render(helm), "PodDisruptionBudget") == []


def test_a_digest_wins_over_a_tag(helm: Path) -> None:
    digest = "sha256:" + "ab" * 32
    documents = render(helm, probeImage={"repository": "registry.example/p", "digest": digest})
    (deployment,) = of_kind(documents, "Deployment")
    assert environment(deployment)["INFERTUNE_PROBE_IMAGE"] == f"registry.example/p@{digest}"


def test_the_chart_tells_the_operator_all_it_has_to_know(helm: Path) -> None:
    (deployment,) = of_kind(
        render(helm, gpuProbeImage={"repository": "gpu", "tag": "1"}), "Deployment"
    )
    settings = settings_from(environment(deployment))
    assert settings.installation == Installation(
        probe_image="infertune/probes:0.1.0",
        gpu_probe_image="gpu:1",
        trial_priority_class="infertune-trial",
        switches=Key("infertune-system", "infertune-switches"),
    )
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"health": settings.health_port, "metrics": settings.metrics_port}


@pytest.mark.parametrize("freeze", [True, False])
def test_the_freeze_of_the_values_is_what_the_switch_says_at_first(
    helm: Path, *, freeze: bool
) -> None:
    (switches,) = of_kind(render(helm, freeze=freeze), "ConfigMap")
    assert switches["metadata"]["name"] == "infertune-switches"
    assert switches["data"] == {"freeze": "true" if freeze else "false"}


def test_prometheus_credentials_are_mounted_and_never_read_by_the_api(helm: Path) -> None:
    documents = render(
        helm,
        prometheus__allowedURLs=["http://a:9090", "http://b:9090"],
        prometheus__credentials=[{"url": "https://c/team", "secretName": "token"}],
    )
    (deployment,) = of_kind(documents, "Deployment")
    settings = settings_from(environment(deployment))
    listed = tuple(map(pattern_of, ("http://a:9090", "http://b:9090", "https://c/team")))
    folder = "/etc/infertune/prometheus/0"
    assert settings.prometheus_rules == AccessRules(listed, services=False)
    assert settings.prometheus_credentials == ((listed[-1], folder),)
    pod = deployment["spec"]["template"]["spec"]
    (mounted,) = [m for m in pod["containers"][0]["volumeMounts"] if m["mountPath"] == folder]
    (volume,) = [v for v in pod["volumes"] if v["name"] == mounted["name"]]
    assert (volume["secret"], mounted["readOnly"]) == ({"secretName": "token"}, True)
    roles = [*of_kind(documents, "ClusterRole"), *of_kind(documents, "Role")]
    assert not [one for role in roles for one in rights(role) if one == ("", "secrets")]


def test_the_policy_about_authors_is_bound_and_can_be_left_out(helm: Path) -> None:
    documents = render(helm)
    (policy,) = of_kind(documents, "ValidatingAdmissionPolicy")
    (binding,) = of_kind(documents, "ValidatingAdmissionPolicyBinding")
    assert binding["spec"] == {
        "policyName": policy["metadata"]["name"],
        "validationActions": ["Deny"],
    }
    assert policy["spec"]["failurePolicy"] == "Fail"
    without = render(helm, admissionPolicy__create=False)
    assert not [raw for raw in without if raw["kind"].startswith("ValidatingAdmission")]


def test_before_a_removal_a_hook_runs_that_is_no_more_than_the_operator(helm: Path) -> None:
    (job,) = of_kind(render(helm), "Job")
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-delete"
    (deployment,) = of_kind(render(helm), "Deployment")
    hook, pod = job["spec"]["template"]["spec"], deployment["spec"]["template"]["spec"]
    (ran,), (operator,) = hook["containers"], pod["containers"]
    for name in ("image", "securityContext", "resources"):
        assert ran[name] == operator[name]
    assert hook["serviceAccountName"] == pod["serviceAccountName"]
    labels = job["spec"]["template"]["metadata"]["labels"]
    selector = deployment["spec"]["selector"]["matchLabels"]
    assert labels | selector != labels, "it is none of the operator's pods"
    assert of_kind(render(helm, uninstall__hook=False), "Job") == []


def test_trials_never_push_a_pod_off_its_node(helm: Path) -> None:
    (priority,) = of_kind(render(helm), "PriorityClass")
    assert (priority["value"] < 0, priority["preemptionPolicy"]) == (True, "Never")
    assert of_kind(render(helm, trialPriorityClass__create=False), "PriorityClass") == []


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("logLevel", "loud"),
        ("replicas", "two"),
        ("watchNamespaces", ["Not A Name"]),
        ("prometheus.allowedURLs", ["prometheus:9090"]),
        ("prometheus.allowedURLs", ["http://user:password@prometheus"]),
    ],
    ids=["unknown level", "not a number", "a namespace that cannot be", "no URL", "a password"],
)
def test_a_wrong_value_is_refused_by_the_values_schema(helm: Path, key: str, value: object) -> None:
    done = run(helm, "template", str(CHART), f"--set-json={key}={json.dumps(value)}")
    assert done.returncode != 0
    assert key.rpartition(".")[2] in done.stderr


@pytest.mark.parametrize("key", ["uninstall", "probeImage", "logLevel"])
def test_a_value_that_was_taken_out_is_named(helm: Path, key: str) -> None:
    """As by null, or by an upgrade with --reuse-values from a chart that did not have it yet."""
    done = run(helm, "template", str(CHART), f"--set-json={key}=null")
    assert done.returncode != 0
    assert f"missing property '{key}'" in done.stderr


def test_the_server_accepts_an_installation_and_the_notes_tell_the_next_command(
    helm: Path,
    kubeconfig: Path,
) -> None:
    done = run(
        helm,
        "install",
        "chart-contract",
        str(CHART),
        "--dry-run=server",
        "--namespace=default",
        "--set=trialPriorityClass.create=false",
        f"--kubeconfig={kubeconfig}",
    )
    assert done.returncode == 0, done.stderr
    notes = done.stdout.partition("NOTES:")[2]
    assert "kubectl -n default rollout status deployment/chart-contract-infertune" in notes
    assert "kubectl get inferencetunings --all-namespaces --watch" in notes
