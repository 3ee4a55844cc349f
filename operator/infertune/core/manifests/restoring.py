"""The strategic-merge patch that brings the values before a rollout back, for a human's kubectl.

Role: from an intent to one patch of the pod template. Must not know: commands, the API server.
Trade-off: an absent entry is deleted by kubectl's own ``$patch`` word, which server-side apply does
not know; a human needs one line, not a manager of fields.
"""

from typing import Any

from infertune.api.status import RolloutIntent
from infertune.core.manifests.apply_documents import template_expectations
from infertune.core.manifests.template_fields import container_path, put

_DELETE = {"$patch": "delete"}


def restoring_patch(intent: RolloutIntent) -> dict[str, Any]:
    """Return the patch of exactly the fields that the rollout writes."""
    patch: dict[str, Any] = {}
    put(patch, (*container_path(intent.container), "name"), intent.container)
    for field in template_expectations(intent, back=True):
        if field.new is None and field.path[-3] == "env":
            put(patch, (*field.path[:-1], "$patch"), _DELETE["$patch"])
        else:
            put(patch, field.path, field.new)
    return patch
