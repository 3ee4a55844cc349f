"""What the demo puts into the cluster, in order, and how all of it is taken away again.

Role: Prometheus, the operator by its chart, the demo's namespace; and the way back. It must not
know the story. Its trade-off: on an existing cluster nothing that was there before is touched:
a namespace or a kind that exists already and is not the demo's own ends the run instead.
"""

from collections.abc import Mapping
from pathlib import Path

from demo.console import Console
from demo.errors import RefusedError
from demo.image_set import OPERATOR, PROBES, push_image, reference
from demo.kubectl import Kubectl, manifests
from demo.place import Place
from demo.workload import NAMESPACE
from devcluster.errors import CommandError
from devcluster.prometheus import TAG, build_prometheus, install_prometheus, manifest
from devcluster.settings import REPO_ROOT

CHART = REPO_ROOT / "charts" / "infertune"
RELEASE = "infertune"
OPERATOR_NAMESPACE = "infertune-system"
MONITORING = "monitoring"
NAMESPACES = (NAMESPACE, OPERATOR_NAMESPACE, MONITORING)
CRD = "inferencetunings.infertune.io"
OWNED = "infertune.io/demo"
# Made by the manifests of Prometheus, outside of any namespace.
CLUSTER_SCOPED = (
    ("clusterrolebinding", "devcluster:prometheus"),
    ("clusterrole", "devcluster:prometheus"),
)


def refuse_occupied(cluster: Kubectl) -> None:
    """Stop where a name that the demo needs belongs to somebody else.

    Raises:
        RefusedError: A namespace or our kind exists and was not made by the demo.
    """
    for kind, name in (*(("namespace", one) for one in NAMESPACES), ("crd", CRD)):
        found = cluster.find(kind, name)
        if found is not None and not _ours(found):
            message = f"{kind} {name} exists in this cluster and is not the demo's: use another "
            raise RefusedError(message + "cluster, or remove it yourself if nothing needs it")


def claim_namespaces(cluster: Kubectl) -> None:
    """Create the namespaces with the label that says whose they are."""
    documents = [
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": name, "labels": {OWNED: "true"}},
        }
        for name in NAMESPACES
    ]
    # Under a name of its own: the server's manifest applies its namespace again, without the label.
    cluster.apply(manifests(documents), manager="infertune-demo-claim")


def install_metrics(place: Place) -> None:
    """Have Prometheus running, scraping pods every two seconds."""
    cluster = place.cluster
    if not place.foreign:
        install_prometheus(place.settings)
    elif place.loader:
        words = cluster.kubectl
        install_prometheus(place.settings, kubectl_words=words, loader=place.loader)
    else:
        build_prometheus(place.settings)
        name = push_image(place, TAG, TAG.partition("/")[2])
        cluster.apply(manifest(place.settings).replace(TAG, name))
        _await_rollout(cluster, MONITORING, "prometheus")


def install_operator(place: Place, keys: Mapping[str, str], console: Console) -> None:
    """Install the chart with the local images, under the operator's own ServiceAccount, and wait.

    Raises:
        CommandError: helm was refused, or the operator was not ready in two minutes.
    """
    crd_was_there = place.cluster.find("crd", CRD) is not None
    repository, _, tag = reference(place, OPERATOR).rpartition(":")
    probes_repository, _, probes_tag = reference(place, PROBES).rpartition(":")
    values = {
        "image.repository": repository,
        "image.tag": tag,
        "probeImage.repository": probes_repository,
        "probeImage.tag": probes_tag,
        # A new image under the same tag starts a new pod.
        "podAnnotations.demo-image-key": f"key-{keys[OPERATOR]}",
    }
    flags = [word for name, value in values.items() for word in ("--set-string", f"{name}={value}")]
    scope = ("--namespace", OPERATOR_NAMESPACE)
    place.cluster.run_helm("upgrade", "--install", RELEASE, CHART, *scope, *flags)
    if crd_was_there:
        # helm installs the kinds of a chart once and never changes them.
        place.cluster.apply(_crd_text())
    place.cluster.run("label", "crd", CRD, f"{OWNED}=true", "--overwrite")
    place.cluster.run("wait", "--for=condition=Established", f"crd/{CRD}", "--timeout=30s")
    _await_rollout(place.cluster, OPERATOR_NAMESPACE, RELEASE)
    account = _service_account(place.cluster)
    console.say(f"operator: ready in {OPERATOR_NAMESPACE}, as ServiceAccount {account}")


def remove_workload(cluster: Kubectl, namespace: str = NAMESPACE) -> None:
    """Delete the tunings, while the operator can still close them, and then their namespace."""
    if cluster.find("namespace", namespace) is None:
        return
    if cluster.find("crd", CRD) is not None:
        for one in cluster.items(CRD, namespace):
            _delete_tuning(cluster, one["metadata"]["name"], namespace)
    cluster.delete("namespace", namespace)


def remove_everything(cluster: Kubectl, console: Console) -> None:
    """Remove from an existing cluster what the demo created there, and nothing else."""
    namespaces = {name: cluster.find("namespace", name) for name in NAMESPACES}
    mine = [name for name, found in namespaces.items() if found is not None and _ours(found)]
    if NAMESPACE in mine:
        console.say("removing the tuning and the demo's namespace")
        remove_workload(cluster)
    if OPERATOR_NAMESPACE in mine:
        console.say("removing the operator")
        cluster.run_helm(
            "uninstall", RELEASE, "--namespace", OPERATOR_NAMESPACE, "--ignore-not-found", "--wait"
        )
        cluster.delete("namespace", OPERATOR_NAMESPACE)
    crd = cluster.find("crd", CRD)
    if crd is not None and _ours(crd):
        cluster.delete("crd", CRD)
    if MONITORING in mine:
        console.say("removing Prometheus")
        cluster.delete("namespace", MONITORING)
        for kind, name in CLUSTER_SCOPED:
            cluster.delete(kind, name)
    kept = sorted(name for name, found in namespaces.items() if found and name not in mine)
    if kept:
        console.say(f"left alone, not the demo's: namespaces {', '.join(kept)}")


def _delete_tuning(cluster: Kubectl, name: str, namespace: str) -> None:
    try:
        cluster.delete(CRD, name, namespace)
    except CommandError:
        # The operator is gone or stuck: without its finalizer the object can go.
        patch = '{"metadata":{"finalizers":null}}'
        scope = f"--namespace={namespace}"
        cluster.run("patch", CRD, name, scope, "--type=merge", f"--patch={patch}")


def _await_rollout(cluster: Kubectl, namespace: str, name: str) -> None:
    scope = f"--namespace={namespace}"
    words = ("rollout", "status", f"deployment/{name}", scope, "--timeout=120s")
    cluster.run(*words, timeout_seconds=150)


def _service_account(cluster: Kubectl) -> str:
    found = cluster.find("deployment", RELEASE, OPERATOR_NAMESPACE)
    return str(found["spec"]["template"]["spec"]["serviceAccountName"]) if found else "?"


def _crd_text() -> str:
    return "---\n".join(path.read_text(encoding="utf-8") for path in _crd_files())


def _crd_files() -> tuple[Path, ...]:
    return tuple(sorted((CHART / "crds").glob("*.yaml")))


def _ours(found: Mapping[str, object]) -> bool:
    metadata = found.get("metadata")
    labels = metadata.get("labels") if isinstance(metadata, Mapping) else None
    return isinstance(labels, Mapping) and labels.get(OWNED) == "true"
