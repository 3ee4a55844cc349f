"""Adoption: fields of other owners are taken once, from the owners that were there, and recorded.

Role: who owns what a rollout writes, and what that allows a single write to force. Must not know:
when a write is sent. Trade-off: only the first write of an object in a rollout may force; whoever
sets a value back after it wins, and the rollout ends there instead of fighting.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

from infertune.api.status import RolloutIntent, RolloutStatus
from infertune.core.argument_lists import shown
from infertune.core.last_good import PATH, read_last_good
from infertune.core.manifests.apply_documents import AUTOSCALER_KIND, template_expectations
from infertune.core.ownership import field_path, foreign_owners, is_ours, managed_fields_of
from infertune.core.plan import ApplyFields, FieldExpectation
from infertune.core.preconditions import dotted
from infertune.core.snapshot import RawObject

Part = Literal["Template", "Bounds"]
_SEPARATOR = ", "


def part_of(effect: ApplyFields) -> Part:
    """Return which part of a rollout a write belongs to."""
    return "Bounds" if effect.document["kind"] == AUTOSCALER_KIND else "Template"


def owners_before(
    intent: RolloutIntent, target: RawObject, autoscaler: RawObject | None
) -> dict[str, str]:
    """Return the other owners of every field that the intent writes, by the field's path."""
    found = {
        dotted(field.path): _SEPARATOR.join(foreign_owners(raw, field.path))
        for raw, field in _fields(intent, target, autoscaler)
    }
    return {path: owners for path, owners in found.items() if owners}


def owned_by_others(
    intent: RolloutIntent, target: RawObject, autoscaler: RawObject | None
) -> str | None:
    """Return a sentence on the first field to be changed that somebody else owns, or None."""
    for raw, field in _fields(intent, target, autoscaler):
        owners = foreign_owners(raw, field.path)
        if owners and field.old != field.new:
            kind, name = raw.get("kind", AUTOSCALER_KIND), raw["metadata"]["name"]
            return (
                f"{kind}/{name} {dotted(field.path)} (owner: {_SEPARATOR.join(owners)}) "
                f"holds {shown(field.old)}"
            )
    return None


def guarded(
    effect: ApplyFields, rollout: RolloutStatus, live: RawObject, *, adopt: bool
) -> ApplyFields:
    """Return the write with what it may take: from recorded owners, and from nobody a second time.

    A field that is ours together with its recorded owners holds a value that all agreed on, so its
    first change may still come; one that is not ours after we wrote it was taken back. ``live`` is
    the object to be written. A rollout of an older operator has recorded no owners by path; it
    goes on as it began.
    """
    intent = rollout.intent
    if intent is None or not intent.target_name:
        return effect
    adopt, first = adopt and effect.adopt, not _has_written(effect, rollout, live)
    managed = managed_fields_of(live)
    fields: list[FieldExpectation] = []
    for field in effect.expectations:
        if field.path == PATH:
            fields.append(field)
            continue
        taking = adopt and (first or is_ours(managed, field_path(field.path)))
        owners = _recorded(intent, field) if taking else ()
        fields.append(replace(field, owners=owners))
    force = any(field.owners and field.old != field.new for field in fields)
    return replace(effect, expectations=tuple(fields), adopt=force)


def _has_written(effect: ApplyFields, rollout: RolloutStatus, live: RawObject) -> bool:
    """Whether this rollout has written the object before: by the status, or by its own record."""
    record, intent = read_last_good(live), rollout.intent
    recorded = record is not None and intent is not None and record.intent.id == intent.id
    return recorded or part_of(effect) in rollout.written


def _recorded(intent: RolloutIntent, field: FieldExpectation) -> tuple[str, ...]:
    text = intent.owners_before.get(dotted(field.path), "")
    return tuple(owner for owner in text.split(_SEPARATOR) if owner)


def _fields(
    intent: RolloutIntent, target: RawObject, autoscaler: RawObject | None
) -> Iterator[tuple[RawObject, FieldExpectation]]:
    for field in template_expectations(intent, back=False):
        yield target, field
    before, after = intent.bounds_before, intent.bounds_after
    if autoscaler is None or before is None or after is None:
        return
    low = FieldExpectation(("spec", "minReplicas"), before.min_replicas, after.min_replicas)
    high = FieldExpectation(("spec", "maxReplicas"), before.max_replicas, after.max_replicas)
    yield autoscaler, low
    yield autoscaler, high
