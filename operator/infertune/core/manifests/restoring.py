"""The patches that bring the values before a rollout back, or forward, for a human's kubectl.

Role: from an intent to a strategic-merge patch of the pod template, and to a JSON patch of lists of
arguments. Must not know: commands, the API server. Trade-off: an absent entry is deleted by
kubectl's own ``$patch`` word, which server-side apply does not know; arguments have positions and
no names, so their patch tests what stands there first.
"""

from typing import Any

from infertune.api.argument_lists import ArgumentList
from infertune.api.status import RolloutIntent
from infertune.core.argument_lists import Operation, operations
from infertune.core.gitops import pointer
from infertune.core.manifests.apply_documents import template_expectations
from infertune.core.manifests.template_fields import container_path, put
from infertune.core.plan import FieldExpectation
from infertune.core.snapshot import RawObject

_DELETE = {"$patch": "delete"}


def restoring_patch(intent: RolloutIntent) -> dict[str, Any] | None:
    """Return the patch of the fields that the rollout writes, but for lists; None without one."""
    fields = [f for f in template_expectations(intent, back=True) if not _is_list(f)]
    if not fields:
        return None
    patch: dict[str, Any] = {}
    put(patch, (*container_path(intent.container), "name"), intent.container)
    for field in fields:
        if field.new is None and field.path[-3] == "env":
            put(patch, (*field.path[:-1], "$patch"), _DELETE["$patch"])
        else:
            put(patch, field.path, field.new)
    return patch


def arguments_patch(
    intent: RolloutIntent, target: RawObject, *, back: bool
) -> tuple[Operation, ...]:
    """Return the JSON patch of the lists of arguments; empty where the rollout turns none.

    ``target`` tells the position of the container; its name is the first thing that is tested.
    """
    container = pointer(target, container_path(intent.container))
    found: list[Operation] = []
    for field in template_expectations(intent, back=back):
        if _is_list(field):
            old, new = (v if isinstance(v, ArgumentList) else None for v in (field.old, field.new))
            found += operations(f"{container}/{field.path[-1]}", old, new)
    test = {"op": "test", "path": f"{container}/name", "value": intent.container}
    return (test, *found) if found else ()


def _is_list(field: FieldExpectation) -> bool:
    return isinstance(field.old, ArgumentList) or isinstance(field.new, ArgumentList)
