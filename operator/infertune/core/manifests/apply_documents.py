"""Documents for server-side apply: exactly our fields, nothing else.

Role: turn a rollout's intent into what is sent, with the expectations that must hold. Must not
know: in which order they are sent. Trade-off: the template document always names every field we
own, those of earlier rollouts too, because a field left out of an apply is a field given up, and
one that nobody else owns is then deleted.
"""

from typing import Any

from infertune.api.spec import TuningSpec
from infertune.api.status import Bounds, RolloutIntent, TemplateValues
from infertune.core.knobs import KnobProblem, Place, find_container
from infertune.core.manifests.naming import ANNOTATION_LAST_GOOD
from infertune.core.ownership import fields_below, is_ours
from infertune.core.plan import ApplyFields, FieldExpectation
from infertune.core.render import canonical_json
from infertune.core.snapshot import Key, RawObject

AUTOSCALER_API = "autoscaling/v2"
AUTOSCALER_KIND = "HorizontalPodAutoscaler"


def apply_template(
    key: Key, spec: TuningSpec, intent: RolloutIntent, live: RawObject, *, back: bool
) -> ApplyFields:
    """Return the write of the pod template: forward, or back to the values before.

    ``live`` tells which other fields of the container are ours from earlier rollouts; they are
    named with the value they have.
    """
    new = intent.before if back else intent.after
    reference = spec.target_ref
    metadata: dict[str, Any] = {
        "name": reference.name,
        "namespace": key.namespace,
        "uid": intent.target_uid,
    }
    if not back:
        metadata["annotations"] = {ANNOTATION_LAST_GOOD: last_good(intent)}
    container = container_fields(intent.container, new, intent.place)
    document = {
        "apiVersion": reference.api_version,
        "kind": reference.kind,
        "metadata": metadata,
        "spec": {"template": {"spec": {"containers": [_with_kept(container, intent, live)]}}},
    }
    expectations = template_expectations(intent, back=back)
    return ApplyFields(document=document, expectations=expectations, adopt=not back)


def apply_bounds(
    key: Key, intent: RolloutIntent, old: Bounds, new: Bounds, *, back: bool
) -> ApplyFields:
    """Return the write of the autoscaler's bounds from ``old`` to ``new``."""
    metadata = {
        "name": intent.autoscaler,
        "namespace": key.namespace,
        "uid": intent.autoscaler_uid,
    }
    document = {
        "apiVersion": AUTOSCALER_API,
        "kind": AUTOSCALER_KIND,
        "metadata": metadata,
        "spec": {"minReplicas": new.min_replicas, "maxReplicas": new.max_replicas},
    }
    expectations = (
        FieldExpectation(("spec", "minReplicas"), old.min_replicas, new.min_replicas),
        FieldExpectation(("spec", "maxReplicas"), old.max_replicas, new.max_replicas),
    )
    return ApplyFields(document=document, expectations=expectations, adopt=not back)


def container_fields(name: str, values: TemplateValues, place: Place | None) -> dict[str, Any]:
    """Return the container entry of an apply document; an absent value is left out."""
    fields: dict[str, Any] = {"name": name}
    if values.image is not None:
        fields["image"] = values.image
    if place is None:
        return fields
    if place.argument is not None and values.args is not None:
        fields["args"] = list(values.args)
    elif place.env is not None and values.batch_value is not None:
        fields["env"] = [{"name": place.env, "value": values.batch_value}]
    return fields


def last_good(intent: RolloutIntent) -> str:
    """Return the annotation that lets a human go back without us."""
    content = {
        "container": intent.container,
        "template": intent.before.model_dump(by_alias=True, exclude_none=True, mode="json"),
        "autoscaler": intent.autoscaler,
        "bounds": intent.bounds_before.model_dump(by_alias=True) if intent.bounds_before else None,
    }
    return canonical_json({k: v for k, v in content.items() if v is not None})


def template_expectations(intent: RolloutIntent, *, back: bool) -> tuple[FieldExpectation, ...]:
    """Return what must stand in the template's fields before it is written forward or back."""
    old, new = (intent.after, intent.before) if back else (intent.before, intent.after)
    base = ("spec", "template", "spec", "containers", f"name={intent.container}")
    found: list[FieldExpectation] = []
    if new.image is not None:
        found.append(FieldExpectation((*base, "image"), old.image, new.image))
    place = intent.place
    if place is not None and place.argument is not None:
        found.append(FieldExpectation((*base, "args"), old.args, new.args))
    elif place is not None and place.env is not None:
        path = (*base, "env", f"name={place.env}", "value")
        found.append(FieldExpectation(path, old.batch_value, new.batch_value))
    return tuple(found)


def _with_kept(fields: dict[str, Any], intent: RolloutIntent, live: RawObject) -> dict[str, Any]:
    """Add what is ours in this container but not of this rollout, with the value it has."""
    container = find_container(live["spec"]["template"], intent.container)
    if isinstance(container, KnobProblem):
        return fields
    managed = live["metadata"].get("managedFields", ())
    base = ("f:spec", "f:template", "f:spec", "f:containers", f'k:{{"name":"{intent.container}"}}')
    kept = dict(fields)
    by_flag = intent.place is not None and intent.place.argument is not None
    for name, of_this_rollout in (("image", intent.before.image is not None), ("args", by_flag)):
        if not of_this_rollout and name in container and is_ours(managed, (*base, f"f:{name}")):
            kept[name] = container[name]
    ours = fields_below(managed, (*base, "f:env"))
    turned = intent.place.env if intent.place is not None else None
    entries = [
        {"name": entry["name"], "value": entry["value"]}
        for entry in container.get("env", ())
        if entry["name"] != turned
        and "value" in entry
        and f'k:{{"name":"{entry["name"]}"}}' in ours
    ]
    if entries:
        kept["env"] = [*kept.get("env", ()), *entries]
    return kept
