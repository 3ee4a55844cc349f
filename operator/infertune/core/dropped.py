"""Knobs that were dropped from the spec: what is still ours there is given back.

Role: which fields the spec of today may write, and the release of all others. Must not know: when
it is asked. Trade-off: a dropped field keeps the tuned value, as with every release; to have the
old one back is the owner's decision, and the record on the target names it.
"""

from collections.abc import Iterable

from infertune.api.knobs import Knobs
from infertune.core.last_good import PATH
from infertune.core.manifests.template_fields import slot_path
from infertune.core.ownership import field_path, keeping, managed_fields_of
from infertune.core.plan import ReleaseFields
from infertune.core.snapshot import Key, RawObject


def declared_paths(
    knobs: Knobs, container: str, slots: Iterable[str] = ()
) -> tuple[tuple[str, ...], ...]:
    """Return every field of the pod template that a rollout of these knobs may write.

    ``slots`` are those of settings, by where they stand in the target as it is.
    """
    base = ("spec", "template", "spec", "containers", f"name={container}")
    found: list[tuple[str, ...]] = []
    if knobs.images:
        found.append((*base, "image"))
    batch = knobs.batch_size
    if batch is not None and batch.argument is not None:
        found.append((*base, "args"))
    elif batch is not None:
        # The entry goes as a whole: its name and its value belong together.
        found.append((*base, "env", f"name={batch.env}"))
    for slot in slots:
        path = slot_path(container, slot)
        # A variable goes as a whole, and so does its reference to a ConfigMap's key.
        found.append(path[:-1] if slot.startswith(("env/", "envRef/")) else path)
    return tuple(dict.fromkeys(found))


def release_dropped(
    key: Key, target: RawObject, declared: tuple[tuple[str, ...], ...]
) -> tuple[ReleaseFields, ...]:
    """Return the release of what is ours on the target and declared no more; nothing otherwise.

    An apply that leaves a field out deletes it where nobody else owns it, so this goes before the
    next rollout.
    """
    managed = list(managed_fields_of(target))
    kept = keeping(managed, [field_path(path) for path in (*declared, PATH)])
    if kept == managed:
        return ()
    metadata = target["metadata"]
    return (
        ReleaseFields(
            api_version=target["apiVersion"],
            kind=target["kind"],
            namespace=key.namespace,
            name=metadata["name"],
            uid=metadata["uid"],
            tuning=key.name,
            keep=declared,
        ),
    )
