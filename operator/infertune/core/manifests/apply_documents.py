"""Documents for server-side apply: exactly our fields, nothing else.

Role: turn a rollout's intent into what is sent, with the expectations that must hold. Must not
know: in which order they are sent. Trade-off: the template document always names every field we
own, those of earlier rollouts too, because a field left out of an apply is a field given up, and
one that nobody else owns is then deleted.
"""

from dataclasses import dataclass
from typing import Any

from infertune.api.spec import TuningSpec
from infertune.api.status import Bounds, RolloutIntent, TemplateValues
from infertune.core.knobs import KnobProblem, Place, find_container
from infertune.core.last_good import PATH, RecordState, last_good, noted
from infertune.core.manifests.naming import ANNOTATION_LAST_GOOD
from infertune.core.ownership import fields_below, is_ours
from infertune.core.plan import ApplyFields, FieldExpectation
from infertune.core.snapshot import Key, RawObject
from infertune.core.target_reference import target_of

AUTOSCALER_API = "autoscaling/v2"
AUTOSCALER_KIND = "HorizontalPodAutoscaler"


def apply_template(
    key: Key, spec: TuningSpec, intent: RolloutIntent, live: RawObject, *, back: bool
) -> ApplyFields:
    """Return the write of the pod template and of the record beside it, in one apply.

    ``live`` tells which other fields of the container are ours from earlier rollouts; they are
    named with the value they have.
    """
    record = record_after(intent, back=back)
    new = intent.before if back else intent.after
    document = _template_document(key, spec, intent, live, (new, record))
    expectations = (
        *template_expectations(intent, back=back),
        FieldExpectation(PATH, noted(live), record),
    )
    return ApplyFields(document=document, expectations=expectations, adopt=not back)


def settle_template(
    key: Key, spec: TuningSpec, intent: RolloutIntent, live: RawObject
) -> ApplyFields:
    """Return the write that changes nothing but the record: the rollout is over and stays."""
    record = last_good(intent, "Settled")
    fields = template_expectations(intent, back=False)
    expectations = (*standing_still(fields), FieldExpectation(PATH, noted(live), record))
    document = _template_document(key, spec, intent, live, (intent.after, record))
    return ApplyFields(document=document, expectations=expectations, adopt=False)


@dataclass(frozen=True, slots=True)
class BoundsChange:
    """From which bounds to which, and the record beside them; ``adopt`` as in ``ApplyFields``."""

    old: Bounds
    new: Bounds
    record: str | None
    adopt: bool


def apply_bounds(
    key: Key, intent: RolloutIntent, live: RawObject, change: BoundsChange
) -> ApplyFields:
    """Return the write of the autoscaler's bounds, and of the record beside them."""
    old, new = change.old, change.new
    metadata: dict[str, Any] = {
        "name": intent.autoscaler,
        "namespace": key.namespace,
        "uid": intent.autoscaler_uid,
    }
    if change.record is not None:
        metadata["annotations"] = {ANNOTATION_LAST_GOOD: change.record}
    document = {
        "apiVersion": AUTOSCALER_API,
        "kind": AUTOSCALER_KIND,
        "metadata": metadata,
        "spec": {"minReplicas": new.min_replicas, "maxReplicas": new.max_replicas},
    }
    expectations = (
        FieldExpectation(("spec", "minReplicas"), old.min_replicas, new.min_replicas),
        FieldExpectation(("spec", "maxReplicas"), old.max_replicas, new.max_replicas),
        FieldExpectation(PATH, noted(live), change.record),
    )
    return ApplyFields(document=document, expectations=expectations, adopt=change.adopt)


def record_after(intent: RolloutIntent, *, back: bool) -> str | None:
    """Return the record that stands beside an object once it is written; None: it is removed.

    On the way back to an earlier tuning's values it stays, so that nobody takes them for untouched.
    """
    state: RecordState = "Settled" if back else "Open"
    return None if back and not intent.after_tuning else last_good(intent, state)


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


def standing_still(fields: tuple[FieldExpectation, ...]) -> tuple[FieldExpectation, ...]:
    """Return the expectations that these fields hold their new values already."""
    return tuple(FieldExpectation(field.path, field.new, field.new) for field in fields)


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


def _template_document(
    key: Key,
    spec: TuningSpec,
    intent: RolloutIntent,
    live: RawObject,
    content: tuple[TemplateValues, str | None],
) -> dict[str, Any]:
    """Return the document of the values and the record; a record of None is left out."""
    values, record = content
    kind, name = target_of(spec, intent)
    metadata: dict[str, Any] = {
        "name": name,
        "namespace": key.namespace,
        "uid": intent.target_uid,
    }
    if record is not None:
        metadata["annotations"] = {ANNOTATION_LAST_GOOD: record}
    container = container_fields(intent.container, values, intent.place)
    return {
        "apiVersion": spec.target_ref.api_version,
        "kind": kind,
        "metadata": metadata,
        "spec": {"template": {"spec": {"containers": [_with_kept(container, intent, live)]}}},
    }


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
