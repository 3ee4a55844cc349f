"""The immutable copy of a ConfigMap with another value, as an object to create.

Role: its labels, its owner, its content. Must not know: which values are worth copying. Trade-off:
a copy that live pods use belongs to the target, so that it outlives the tuning; one for a trial
belongs to the tuning.
"""

from infertune.core.config_copies import ConfigCopy
from infertune.core.manifests.naming import LABEL_MANAGED_BY, MANAGED_BY, owner_reference
from infertune.core.snapshot import RawObject, TuningView

LABEL_COPY = "infertune.io/config-copy"
ANNOTATION_COPY_OF = "infertune.io/copy-of"


def copy_manifest(
    copy: ConfigCopy, namespace: str | None, owner: dict[str, object] | None = None
) -> RawObject:
    """Return the ConfigMap; without a namespace and an owner it is for a human to apply."""
    metadata: dict[str, object] = {
        "name": copy.name,
        "labels": {LABEL_MANAGED_BY: MANAGED_BY, LABEL_COPY: "true"},
        "annotations": {ANNOTATION_COPY_OF: copy.source},
    }
    if namespace is not None:
        metadata["namespace"] = namespace
    if owner is not None:
        metadata["ownerReferences"] = [owner]
    content: dict[str, object] = {"data": dict(copy.data)}
    if copy.binary:
        content["binaryData"] = dict(copy.binary)
    head = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "immutable": True}
    return head | content


def target_owner(target: RawObject) -> dict[str, object]:
    """Return the reference to the workload whose pods use the copy; it does not control it."""
    return {
        "apiVersion": target.get("apiVersion", "apps/v1"),
        "kind": target["kind"],
        "name": target["metadata"]["name"],
        "uid": target["metadata"]["uid"],
        "controller": False,
        "blockOwnerDeletion": False,
    }


def target_copies(
    copies: tuple[ConfigCopy, ...], namespace: str, target: RawObject
) -> tuple[RawObject, ...]:
    """Return the copies that live pods will use: they belong to the workload."""
    return tuple(copy_manifest(copy, namespace, target_owner(target)) for copy in copies)


def trial_copies(tuning: TuningView, copies: tuple[ConfigCopy, ...]) -> tuple[RawObject, ...]:
    """Return the copies that a trial server will use: they belong to the tuning."""
    owner = owner_reference(tuning)
    return tuple(copy_manifest(copy, tuning.key.namespace, owner) for copy in copies)
