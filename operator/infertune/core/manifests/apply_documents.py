"""Documents for server-side apply: exactly our fields, nothing else.

Role: turn a rollout's intent into what is to be sent, with the expectations that must hold. Must
not know: in which order they are sent. Trade-off: a template document names what this rollout sets
and no more; ``sent_document`` adds what is ours from earlier ones, of the object as it is then.
"""

from dataclasses import dataclass
from typing import Any

from infertune.api.argument_lists import ArgumentList
from infertune.api.spec import TuningSpec
from infertune.api.status import Bounds, RolloutIntent, TemplateValues
from infertune.core.last_good import PATH, RecordState, last_good, noted
from infertune.core.manifests.naming import ANNOTATION_LAST_GOOD
from infertune.core.manifests.template_fields import (
    Path,
    Value,
    batch_path,
    container_path,
    fields_of,
    put,
)
from infertune.core.plan import ApplyFields, FieldExpectation
from infertune.core.snapshot import Key, RawObject
from infertune.core.target_reference import target_of

AUTOSCALER_API = "autoscaling/v2"
AUTOSCALER_KIND = "HorizontalPodAutoscaler"


def apply_template(
    key: Key, spec: TuningSpec, intent: RolloutIntent, live: RawObject, *, back: bool
) -> ApplyFields:
    """Return the write of the pod template and of the record beside it, in one apply."""
    record = record_after(intent, back=back)
    expected = template_expectations(intent, back=back)
    document = _template_document(key, spec, intent, (expected, record))
    expectations = (*expected, FieldExpectation(PATH, noted(live), record))
    return ApplyFields(document=document, expectations=expectations, adopt=not back)


def settle_template(
    key: Key, spec: TuningSpec, intent: RolloutIntent, live: RawObject
) -> ApplyFields:
    """Return the write that changes nothing but the record: the rollout is over and stays."""
    record = last_good(intent, "Settled")
    fields = template_expectations(intent, back=False)
    expectations = (*standing_still(fields), FieldExpectation(PATH, noted(live), record))
    document = _template_document(key, spec, intent, (fields, record))
    return ApplyFields(document=document, expectations=expectations, adopt=False)


@dataclass(frozen=True, slots=True)
class BoundsChange:
    """From which bounds to which, and the record beside them; ``adopt`` as in ``ApplyFields``."""

    old: Bounds
    new: Bounds
    record: str | None
    adopt: bool


@dataclass(frozen=True, slots=True)
class Scaler:
    """The autoscaler that is written, by its name and its UID."""

    namespace: str
    name: str | None
    uid: str | None


def apply_bounds(
    key: Key, intent: RolloutIntent, live: RawObject, change: BoundsChange
) -> ApplyFields:
    """Return the write of the autoscaler's bounds, and of the record beside them."""
    scaler = Scaler(key.namespace, intent.autoscaler, intent.autoscaler_uid)
    expectations = (
        *bounds_expectations(change.old, change.new),
        FieldExpectation(PATH, noted(live), change.record),
    )
    document = bounds_document(scaler, change.new, change.record)
    return ApplyFields(document=document, expectations=expectations, adopt=change.adopt)


def bounds_document(scaler: Scaler, bounds: Bounds, record: str | None) -> dict[str, Any]:
    """Return the document of the bounds and the record; a record of None is left out."""
    metadata: dict[str, Any] = {
        "name": scaler.name,
        "namespace": scaler.namespace,
        "uid": scaler.uid,
    }
    if record is not None:
        metadata["annotations"] = {ANNOTATION_LAST_GOOD: record}
    return {
        "apiVersion": AUTOSCALER_API,
        "kind": AUTOSCALER_KIND,
        "metadata": metadata,
        "spec": {"minReplicas": bounds.min_replicas, "maxReplicas": bounds.max_replicas},
    }


def bounds_expectations(old: Bounds, new: Bounds) -> tuple[FieldExpectation, FieldExpectation]:
    """Return what must stand in the bounds before they are written."""
    return (
        FieldExpectation(("spec", "minReplicas"), old.min_replicas, new.min_replicas),
        FieldExpectation(("spec", "maxReplicas"), old.max_replicas, new.max_replicas),
    )


def record_after(intent: RolloutIntent, *, back: bool) -> str | None:
    """Return the record that stands beside an object once it is written; None: it is removed.

    On the way back to an earlier tuning's values it stays, so that nobody takes them for untouched.
    """
    state: RecordState = "Settled" if back else "Open"
    return None if back and not intent.after_tuning else last_good(intent, state)


def standing_still(fields: tuple[FieldExpectation, ...]) -> tuple[FieldExpectation, ...]:
    """Return the expectations that these fields hold their new values already."""
    return tuple(FieldExpectation(field.path, field.new, field.new) for field in fields)


def template_expectations(intent: RolloutIntent, *, back: bool) -> tuple[FieldExpectation, ...]:
    """Return what must stand in the template's fields before it is written forward or back.

    This is the list of all fields that the rollout writes there. Of a list of arguments our own are
    compared, and the digest of all others: where somebody has changed one, nothing is written.
    """
    before, after = (_fields(intent, values) for values in (intent.before, intent.after))
    old, new = (after, before) if back else (before, after)
    paths = dict.fromkeys((*old, *new))
    place = intent.place
    if place is not None and place.env is not None:
        paths[batch_path(intent.container, place.env)] = None
    return tuple(FieldExpectation(path, old.get(path), new.get(path)) for path in paths)


def _template_document(
    key: Key,
    spec: TuningSpec,
    intent: RolloutIntent,
    content: tuple[tuple[FieldExpectation, ...], str | None],
) -> dict[str, Any]:
    """Return the document of the fields and the record; a record of None is left out."""
    fields, record = content
    kind, name = target_of(spec, intent)
    metadata: dict[str, Any] = {
        "name": name,
        "namespace": key.namespace,
        "uid": intent.target_uid,
    }
    if record is not None:
        metadata["annotations"] = {ANNOTATION_LAST_GOOD: record}
    return {
        "apiVersion": spec.target_ref.api_version,
        "kind": kind,
        "metadata": metadata,
        **_template(intent, fields),
    }


def _fields(intent: RolloutIntent, values: TemplateValues) -> dict[Path, Value]:
    """Return the fields that these values stand for; arguments that stay are not written."""
    staying = {
        name: None
        for name in ("args", "command", "own_args", "own_command")
        if getattr(intent.before, name) == getattr(intent.after, name)
    }
    return fields_of(intent.container, intent.place, values.model_copy(update=staying))


def _template(intent: RolloutIntent, expectations: tuple[FieldExpectation, ...]) -> dict[str, Any]:
    """Return what this rollout sets, but for lists of arguments."""
    document: dict[str, Any] = {}
    put(document, (*container_path(intent.container), "name"), intent.container)
    for field in expectations:
        if field.new is not None and not isinstance(field.new, ArgumentList):
            put(document, field.path, field.new)
    return document
