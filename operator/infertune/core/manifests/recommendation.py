"""The patch to commit: what a GitOps pipeline takes over, byte for byte the same each time.

Role: one ConfigMap with a strategic-merge patch per object. Must not know: whether we apply it
ourselves. Trade-off: its name carries the digest of its content, so it is written once and never
changed; a new recommendation is a new ConfigMap.
"""

from typing import Any

from infertune.api.spec import TuningSpec
from infertune.api.status import Bounds, TemplateValues
from infertune.core.argument_lists import Operation
from infertune.core.config_copies import ConfigCopy
from infertune.core.manifests.apply_documents import AUTOSCALER_API, AUTOSCALER_KIND
from infertune.core.manifests.config_copy import copy_manifest
from infertune.core.manifests.naming import labels, object_metadata
from infertune.core.manifests.template_fields import container_path, fields_of, put
from infertune.core.render import canonical_json, digest
from infertune.core.snapshot import RawObject, TuningView

PATCH_KEY = "patch.json"
AUTOSCALER_PATCH_KEY = "autoscaler-patch.json"
ARGUMENTS_PATCH_KEY = "arguments-patch.json"
BY_HAND_KEY = "by-hand.txt"
COPIES_KEY = "config-maps.json"
_SHORT = 8
_LISTS = frozenset({"args", "command"})
_LONGEST_PREFIX = 200


def patches(
    spec: TuningSpec,
    container: str,
    values: TemplateValues,
    autoscaler: str | None,
    bounds: Bounds | None,
    copies: tuple[ConfigCopy, ...] = (),
) -> dict[str, str]:
    """Return the patch of each object as JSON text, for ``kubectl patch --patch-file``.

    Lists of arguments are not in it, since others' arguments stand there too. Copies of ConfigMaps
    that the patch refers to are a list of their own, to be applied first.
    """
    template: dict[str, Any] = {}
    put(template, (*container_path(container), "name"), container)
    fields = fields_of(container, spec.knobs.batch_size, values)
    for path in (path for path in fields if path[-1] not in _LISTS):
        put(template, path, fields[path])
    reference = spec.target_ref
    head = {
        "apiVersion": reference.api_version,
        "kind": reference.kind,
        "metadata": {"name": reference.name},
    }
    found = {PATCH_KEY: canonical_json(head | template)}
    if autoscaler is not None and bounds is not None:
        found[AUTOSCALER_PATCH_KEY] = canonical_json(
            {
                "apiVersion": AUTOSCALER_API,
                "kind": AUTOSCALER_KIND,
                "metadata": {"name": autoscaler},
                "spec": bounds.model_dump(by_alias=True),
            }
        )
    if copies:
        items = [copy_manifest(copy, None) for copy in copies]
        found[COPIES_KEY] = canonical_json({"apiVersion": "v1", "kind": "List", "items": items})
    return found


def argument_patches(operations: tuple[Operation, ...], lines: tuple[str, ...]) -> dict[str, str]:
    """Return the JSON patch of arguments, and the lines about what only a human may change.

    The patch is for ``kubectl patch --type=json``: it stops where other arguments stand.
    """
    found: dict[str, str] = {}
    if operations:
        found[ARGUMENTS_PATCH_KEY] = canonical_json(operations)
    if lines:
        found[BY_HAND_KEY] = "\n".join(lines) + "\n"
    return found


def patch_digest(content: dict[str, str]) -> str:
    """Return the digest that names this content."""
    return digest(canonical_json(content))


def config_map_name(tuning: TuningView, content_digest: str) -> str:
    """Return the name of the ConfigMap with this content."""
    prefix = tuning.key.name[:_LONGEST_PREFIX].rstrip("-.")
    return f"{prefix}-recommendation-{content_digest[:_SHORT]}"


def recommendation_config_map(tuning: TuningView, content: dict[str, str]) -> RawObject:
    """Return the immutable ConfigMap that holds the patches."""
    ours = labels(tuning, "server")
    ours.pop("infertune.io/role")
    name = config_map_name(tuning, patch_digest(content))
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": object_metadata(tuning, name, ours),
        "immutable": True,
        "data": content,
    }
