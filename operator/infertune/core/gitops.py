"""Is the target kept by a GitOps controller, and what would have to be told to it?

Role: recognise Argo CD and Flux by what they leave on an object, and write the exact entries that
let a tuning and them live side by side. Must not know: the spec's answer to it. Trade-off: what
they leave is taken at its word; a controller that hides its traces is met as a ``FieldConflict``
later, after one write.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from infertune.core.manifests.apply_documents import AUTOSCALER_KIND
from infertune.core.ownership import FIELD_MANAGER, managed_fields_of, owners_of
from infertune.core.plan import FieldExpectation
from infertune.core.snapshot import RawObject

Keeper = Literal["Argo CD", "Flux"]
Source = Literal["Application", "Kustomization", "HelmRelease"]
IGNORE_KEY = "gitops-ignore.yaml"
_ARGO_TRACKING = "argocd.argoproj.io/tracking-id"
_ARGO_INSTANCE = ("argocd.argoproj.io/instance", "app.kubernetes.io/instance")
_ARGO_MANAGERS = frozenset({"argocd-controller", "argocd-application-controller"})
_KUSTOMIZE = "kustomize.toolkit.fluxcd.io"
_HELM = "helm.toolkit.fluxcd.io"
_FLUX_MANAGERS: Mapping[str, Source] = {
    "kustomize-controller": "Kustomization",
    "helm-controller": "HelmRelease",
}
_HELM_RELEASE = "meta.helm.sh/release-name"
_LEFT_ALONE = frozenset({"IfNotPresent", "Ignore"})


@dataclass(frozen=True, slots=True)
class KeptByGitOps:
    """Who keeps an object, the name of its source there as far as it is told, and the trace."""

    keeper: Keeper
    source: Source
    name: str
    trace: str


@dataclass(frozen=True, slots=True)
class Ignored:
    """One object with the fields of it that a controller is to leave to us."""

    api_version: str
    raw: RawObject
    fields: tuple[FieldExpectation, ...]


def kept_by(raw: RawObject) -> KeptByGitOps | None:
    """Return the GitOps controller that would revert our writes to this object, or None.

    ``app.kubernetes.io/instance`` alone is no proof, since every Helm chart sets it: whoever tracks
    by it is known by the name under which it writes. An object that Flux was told to leave alone is
    not kept by it.
    """
    metadata = raw["metadata"]
    labels: Mapping[str, str] = metadata.get("labels") or {}
    annotations: Mapping[str, str] = metadata.get("annotations") or {}
    managers = sorted({str(m.get("manager", "")) for m in managed_fields_of(raw)})
    return _argo(labels, annotations, managers) or _flux(labels, annotations, managers)


def perhaps_kept(raw: RawObject) -> str | None:
    """Return what cannot be told about an object, or None where there is nothing to wonder about.

    An Argo CD that tracks by label leaves ``app.kubernetes.io/instance`` and its manager's name. A
    restored backup has lost the names; then nothing on the object tells it from a label that
    kubectl or kustomize has set. Helm's own releases bear an annotation.
    """
    metadata, label = raw["metadata"], _ARGO_INSTANCE[1]
    name = (metadata.get("labels") or {}).get(label)
    if name is None or kept_by(raw) is not None:
        return None
    if _HELM_RELEASE in (metadata.get("annotations") or {}):
        return None
    owners = owners_of(managed_fields_of(raw), ("f:metadata", "f:labels", f"f:{label}"))
    if "helm" in owners:
        return None
    by = f"set by {', '.join(owners)}" if owners else "set by nobody knows whom"
    return (
        f"label {label} {name!r} ({by}) may be the only trace of an Argo CD that tracks by label, "
        "and is no proof: if one keeps this object it reverts what is written, which is then a "
        "FieldConflict"
    )


def ignore_text(kept: KeptByGitOps, objects: Sequence[Ignored]) -> str:
    """Return the lines to add to the Argo Application, Kustomization or HelmRelease, as YAML."""
    if kept.keeper == "Argo CD":
        return "\n".join(_argo_lines(objects)) + "\n"
    return "\n".join(_flux_lines(kept, objects)) + "\n"


def advice(kept: KeptByGitOps) -> str:
    """Return what the user does about it, in one sentence."""
    where = f"{kept.source} {kept.name!r}" if kept.name else f"the {kept.source}"
    return (
        f"commit the recommended patch to the source of {where}; or add the entries of "
        f"{IGNORE_KEY} to {where} and set spec.rollout.gitOps: Acknowledged"
    )


def _argo(
    labels: Mapping[str, str], annotations: Mapping[str, str], managers: Sequence[str]
) -> KeptByGitOps | None:
    manager = next((name for name in managers if name in _ARGO_MANAGERS), None)
    tracking = annotations.get(_ARGO_TRACKING)
    own_label = labels.get(_ARGO_INSTANCE[0])
    if manager is None and tracking is None and own_label is None:
        return None
    # The tracking id begins with the application's name: app:group/Kind:namespace/name.
    name = tracking.partition(":")[0] if tracking else ""
    name = name or next((labels[label] for label in _ARGO_INSTANCE if label in labels), "")
    if tracking is not None:
        trace = f"annotation {_ARGO_TRACKING}"
    else:
        trace = f"label {_ARGO_INSTANCE[0]}" if own_label else f"field manager {manager}"
    return KeptByGitOps("Argo CD", "Application", name, trace)


def _flux(
    labels: Mapping[str, str], annotations: Mapping[str, str], managers: Sequence[str]
) -> KeptByGitOps | None:
    if annotations.get(f"{_KUSTOMIZE}/reconcile") == "disabled":
        return None
    if annotations.get(f"{_KUSTOMIZE}/ssa") in _LEFT_ALONE:
        return None
    sources: tuple[tuple[str, Source], ...] = (
        (_KUSTOMIZE, "Kustomization"),
        (_HELM, "HelmRelease"),
    )
    for domain, source in sources:
        label = f"{domain}/name"
        if label in labels:
            return KeptByGitOps("Flux", source, labels[label], f"label {label}")
    for manager in managers:
        if manager in _FLUX_MANAGERS:
            return KeptByGitOps("Flux", _FLUX_MANAGERS[manager], "", f"field manager {manager}")
    return None


def _argo_lines(objects: Sequence[Ignored]) -> list[str]:
    lines = ["spec:", "  ignoreDifferences:"]
    for item in objects:
        lines += [
            f"    - group: {item.api_version.partition('/')[0]}",
            f"      kind: {_kind(item)}",
            f"      name: {item.raw['metadata']['name']}",
            f"      namespace: {item.raw['metadata']['namespace']}",
            f"      managedFieldsManagers: [{FIELD_MANAGER}]",
            "      jqPathExpressions:",
            *(f"        - {json.dumps(jq_path(field.path))}" for field in item.fields),
        ]
    options = ("RespectIgnoreDifferences=true", "ServerSideApply=true")
    return [*lines, "  syncPolicy:", "    syncOptions:", *(f"      - {o}" for o in options)]


def _flux_lines(kept: KeptByGitOps, objects: Sequence[Ignored]) -> list[str]:
    helm = kept.source == "HelmRelease"
    pad = "    " if helm else "  "
    lines = ["spec:", "  driftDetection:", f"{pad}ignore:"] if helm else ["spec:", f"{pad}ignore:"]
    for item in objects:
        group, _, version = item.api_version.rpartition("/")
        metadata = item.raw["metadata"]
        target = {
            "group": group,
            "version": version,
            "kind": _kind(item),
            "name": metadata["name"],
            "namespace": metadata["namespace"],
        }
        lines.append(f"{pad}  - paths:")
        paths = dict.fromkeys(pointer(item.raw, field.path) for field in item.fields)
        lines += [f"{pad}      - {json.dumps(path)}" for path in paths]
        lines.append(f"{pad}    target:")
        lines += [f"{pad}      {name}: {value}" for name, value in target.items()]
    return lines


def jq_path(path: Sequence[str]) -> str:
    """Return a field as a jq path expression.

    >>> jq_path(("spec", "containers", "name=server", "env", "name=MAX", "value"))
    '.spec.containers[]? | select(.name == "server") | .env[]? | select(.name == "MAX")'
    """
    steps: list[str] = [""]
    for part in path:
        if part.startswith("name="):
            steps[-1] += "[]?"
            steps.append(f"select(.name == {json.dumps(part.removeprefix('name='))})")
            steps.append("")
        else:
            steps[-1] += f".{part}"
    # The whole entry of an environment variable: its value may come and go with it.
    if steps[-1] in {".value", ""}:
        steps.pop()
    return " | ".join(step for step in steps if step)


def pointer(raw: RawObject, path: Sequence[str]) -> str:
    """Return a field as a JSON pointer into the object as it stands.

    A list item that is not there yet has no number: the pointer then names the whole list.
    """
    node: Any = raw
    found: list[str] = []
    for part in path:
        if part.startswith("name="):
            name = part.removeprefix("name=")
            items = list(node or ())
            number = next((n for n, item in enumerate(items) if item.get("name") == name), None)
            if number is None:
                break
            found.append(str(number))
            node = items[number]
        else:
            found.append(part.replace("~", "~0").replace("/", "~1"))
            node = node.get(part) if isinstance(node, Mapping) else None
    return "/" + "/".join(found)


def _kind(item: Ignored) -> str:
    return str(item.raw.get("kind") or AUTOSCALER_KIND)
