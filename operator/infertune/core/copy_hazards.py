"""What keeps a target from being copied for a trial, recognised before the first copy is made.

Role: from the workload, the override and the access modes of its claims to a refusal with the fix.
Must not know: states, how a copy is made. Trade-off: a doubt is a refusal (a claim that cannot be
read, a pod name that may only be logged), because a copy that writes to the wrong volume or joins
the wrong cluster harms live traffic, and the override is one line.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from infertune.api.trial_rules import PodTemplateOverride
from infertune.core.snapshot import RawObject

HazardWord = Literal[
    "OverrideUnknown",
    "HostNetwork",
    "HostPort",
    "VolumeClaimTemplates",
    "ReadWriteOnceVolume",
    "PodIdentity",
    "SharedResourceClaim",
]
AccessModes = Mapping[str, tuple[str, ...]]
_SHARED_MODES = frozenset({"ReadWriteMany", "ReadOnlyMany"})
_OVERRIDE = "spec.trial.podTemplateOverride"
_NAME_FIELDS = re.compile(
    r"^metadata\.name$|pod-index|statefulset\.kubernetes\.io/pod-name|^metadata\.annotations\[.*ordinal"
)
_HOST_NAME = re.compile(r"\$\(?\{?HOSTNAME\b|\$\(\s*hostname\b|`\s*hostname\b")
_REFERENCE = re.compile(r"\$\(([A-Za-z_][A-Za-z0-9_]*)\)")


@dataclass(frozen=True, slots=True)
class Hazard:
    """Why a copy would do harm, as a word and as a sentence with the fix."""

    word: HazardWord
    message: str


@dataclass(frozen=True, slots=True)
class _Copy:
    """What is about to be copied."""

    workload: RawObject
    override: PodTemplateOverride
    access_modes: AccessModes

    @property
    def pod(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.workload["spec"]["template"].get("spec", {})
        return found

    @property
    def stateful(self) -> bool:
        return self.workload.get("kind") == "StatefulSet"

    def containers(self) -> Iterator[Mapping[str, Any]]:
        """Yield every container that the copy would run."""
        for container in self.pod.get("initContainers") or ():
            if container.get("name") not in self.override.drop_init_containers:
                yield container
        yield from self.pod.get("containers") or ()

    def volumes(self) -> Iterator[Mapping[str, Any]]:
        """Yield every volume that the copy would share with live pods or with nobody."""
        for volume in self.pod.get("volumes") or ():
            if volume.get("name") not in self.override.empty_volumes:
                yield volume


def hazard_of(
    workload: RawObject, override: PodTemplateOverride | None, access_modes: AccessModes
) -> Hazard | None:
    """Return the first reason why this workload must not be copied, or None.

    ``access_modes`` are those of the claims in ``claims_of``; a missing one could not be read.
    """
    copy = _Copy(workload, override or PodTemplateOverride.model_validate({}), access_modes)
    return next((found for check in _CHECKS if (found := check(copy)) is not None), None)


def claims_of(workload: RawObject) -> tuple[str, ...]:
    """Return the names of the claims that the pod template mounts."""
    volumes = workload["spec"]["template"].get("spec", {}).get("volumes") or ()
    found = (_claim_of(volume) for volume in volumes)
    return tuple(sorted({name for name in found if name}))


def _claim_of(volume: Mapping[str, Any]) -> str | None:
    claim = volume.get("persistentVolumeClaim")
    return str(claim["claimName"]) if claim else None


def _override_unknown(copy: _Copy) -> Hazard | None:
    inits = [str(c.get("name")) for c in copy.pod.get("initContainers") or ()]
    claims = [t["metadata"]["name"] for t in _claim_templates(copy)]
    volumes = [str(v.get("name")) for v in copy.pod.get("volumes") or ()] + claims
    for field, asked, known in (
        ("dropInitContainers", copy.override.drop_init_containers, inits),
        ("emptyVolumes", copy.override.empty_volumes, volumes),
    ):
        unknown = [name for name in asked if name not in known]
        if unknown:
            held = ", ".join(known) or "none"
            words = f"{_OVERRIDE}.{field}: no {unknown[0]!r} in the template; it has: {held}"
            return Hazard("OverrideUnknown", words)
    return None


def _host_network(copy: _Copy) -> Hazard | None:
    if not copy.pod.get("hostNetwork"):
        return None
    words = (
        "the template sets hostNetwork: a copy would take the ports of the live server on its "
        "node; remove hostNetwork from the template"
    )
    return Hazard("HostNetwork", words)


def _host_port(copy: _Copy) -> Hazard | None:
    for container in copy.containers():
        for port in container.get("ports") or ():
            if port.get("hostPort"):
                words = (
                    f"container {container['name']!r} takes hostPort {port['hostPort']}, which a "
                    "copy would take from live pods; remove hostPort, a Service needs none"
                )
                return Hazard("HostPort", words)
    return None


def _claim_templates(copy: _Copy) -> Iterable[Mapping[str, Any]]:
    found: Iterable[Mapping[str, Any]] = copy.workload["spec"].get("volumeClaimTemplates") or ()
    return found


def _volume_claim_templates(copy: _Copy) -> Hazard | None:
    for template in _claim_templates(copy):
        name = template["metadata"]["name"]
        if name not in copy.override.empty_volumes:
            words = (
                f"volumeClaimTemplates has {name!r}: each pod has data of its own, which a copy "
                f"has not; where an empty volume will do, name it in {_OVERRIDE}.emptyVolumes"
            )
            return Hazard("VolumeClaimTemplates", words)
    return None


def _read_write_once(copy: _Copy) -> Hazard | None:
    for volume in copy.volumes():
        claim = _claim_of(volume)
        if claim is None:
            continue
        modes = copy.access_modes.get(claim)
        if modes is not None and _SHARED_MODES & set(modes):
            continue
        told = "cannot be read" if modes is None else f"is {', '.join(modes)}"
        words = (
            f"volume {volume['name']!r}: claim {claim!r} {told}, so a copy must not mount it; use "
            "a ReadWriteMany or ReadOnlyMany claim, or where an empty volume will do, name it in "
            f"{_OVERRIDE}.emptyVolumes"
        )
        return Hazard("ReadWriteOnceVolume", words)
    return None


def _pod_identity(copy: _Copy) -> Hazard | None:
    """A pod of a StatefulSet is somebody: its name is its rank or its shard."""
    if not copy.stateful:
        return None
    for container in copy.containers():
        found = _identity_in(container, frozenset(copy.override.env))
        if found is not None:
            words = (
                f"container {container['name']!r}: {found}, and a copy has another name; if any "
                f"name will do, set it in {_OVERRIDE}.env"
            )
            return Hazard("PodIdentity", words)
    for volume in copy.volumes():
        for item in (volume.get("downwardAPI") or {}).get("items") or ():
            if _names_the_pod(item):
                words = f"volume {volume['name']!r} holds the pod's name, and a copy has another"
                return Hazard("PodIdentity", words)
    return None


def _identity_in(container: Mapping[str, Any], overridden: frozenset[str]) -> str | None:
    for entry in container.get("env") or ():
        if entry["name"] not in overridden and _names_the_pod(entry.get("valueFrom") or {}):
            return f"env {entry['name']} is the pod's name or ordinal"
    texts = [("command", text) for text in container.get("command") or ()]
    texts += [("args", text) for text in container.get("args") or ()]
    texts += [
        (f"env {entry['name']}", str(entry.get("value") or ""))
        for entry in container.get("env") or ()
        if entry["name"] not in overridden
    ]
    for place, text in texts:
        asks = _HOST_NAME.search(text) or "HOSTNAME" in _REFERENCE.findall(text)
        if asks and "HOSTNAME" not in overridden:
            return f"{place} uses the host name, which is the pod's name"
    return None


def _names_the_pod(source: Mapping[str, Any]) -> bool:
    path = str((source.get("fieldRef") or {}).get("fieldPath") or "")
    return bool(_NAME_FIELDS.search(path))


def _shared_claim(copy: _Copy) -> Hazard | None:
    for claim in copy.pod.get("resourceClaims") or ():
        if claim.get("resourceClaimName"):
            words = (
                f"resourceClaims has {claim['resourceClaimName']!r}, whose devices live pods "
                "hold; use a resourceClaimTemplateName"
            )
            return Hazard("SharedResourceClaim", words)
    return None


_CHECKS: tuple[Callable[[_Copy], Hazard | None], ...] = (
    _override_unknown,
    _host_network,
    _host_port,
    _volume_claim_templates,
    _read_write_once,
    _pod_identity,
    _shared_claim,
)
