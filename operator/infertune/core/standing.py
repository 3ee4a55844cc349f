"""Does what a finished rollout wrote still stand? Whose is it by now?

Role: compare target and autoscaler of a resting tuning with its last intent. Must not know: states,
conditions. Trade-off: the first field that somebody else holds is named and ends the look; whoever
took one field is to be asked about the others as well.
"""

from dataclasses import dataclass
from typing import TypeAlias

from infertune.api.status import RolloutIntent
from infertune.core.argument_lists import shown
from infertune.core.last_good import noted
from infertune.core.manifests.apply_documents import (
    AUTOSCALER_KIND,
    standing_still,
    template_expectations,
)
from infertune.core.ownership import field_path, foreign_owners, is_ours, managed_fields_of
from infertune.core.plan import FieldExpectation
from infertune.core.preconditions import Violated, check, dotted
from infertune.core.snapshot import RawObject, WatchedObjects


@dataclass(frozen=True, slots=True)
class Held:
    """Every field holds what we wrote, and is ours, alone or with others."""


@dataclass(frozen=True, slots=True)
class GivenBack:
    """The values stand and nothing is ours any more: ownership was released."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A field holds another value than the one we wrote, or the same by somebody else's hand.

    ``value`` and ``wanted`` are as they may be told: two lists of arguments may read alike.
    """

    where: str
    path: str
    value: str
    owners: tuple[str, ...]
    wanted: str
    same: bool = False


Standing: TypeAlias = Held | GivenBack | Taken


def still_ours(intent: RolloutIntent, seen: WatchedObjects) -> Standing | None:
    """Return whose the fields of a finished rollout are; None where that cannot be said.

    That is so for a target that is gone or was replaced. An autoscaler that is not the one of the
    intent has fields of its own, which the intent says nothing about.
    """
    target, autoscaler = seen.target, seen.autoscaler
    if target is None or target["metadata"]["uid"] != intent.target_uid:
        return None
    objects = [_Written(f"{intent.target_kind}/{intent.target_name}", target, _template(intent))]
    if autoscaler is not None and autoscaler["metadata"]["uid"] == intent.autoscaler_uid:
        where = f"{AUTOSCALER_KIND}/{intent.autoscaler}"
        objects.append(_Written(where, autoscaler, _bounds(intent)))
    for written in objects:
        taken = _third_value(written)
        if taken is not None:
            return taken
    any_ours = any(_is_ours(w.raw, field) for w in objects for field in w.fields)
    if not any_ours and all(noted(written.raw) is None for written in objects):
        return GivenBack()
    return next((taken for written in objects if (taken := _taken_over(written))), Held())


@dataclass(frozen=True, slots=True)
class _Written:
    """One object of the rollout with the fields that were written there."""

    where: str
    raw: RawObject
    fields: tuple[FieldExpectation, ...]


def _third_value(written: _Written) -> Taken | None:
    for field in written.fields:
        found = check(written.raw, (field,))
        if isinstance(found, Violated):
            return Taken(written.where, found.path, found.value, found.owners, shown(field.new))
    return None


def _taken_over(written: _Written) -> Taken | None:
    """Return the first field whose value stands, but which is somebody else's alone."""
    for field in written.fields:
        owners = foreign_owners(written.raw, field.path)
        if owners and not _is_ours(written.raw, field):
            value = shown(field.new)
            return Taken(written.where, dotted(field.path), value, owners, value, same=True)
    return None


def _template(intent: RolloutIntent) -> tuple[FieldExpectation, ...]:
    return standing_still(template_expectations(intent, back=False))


def _bounds(intent: RolloutIntent) -> tuple[FieldExpectation, ...]:
    after = intent.bounds_after
    if after is None:
        return ()
    return (
        FieldExpectation(("spec", "minReplicas"), after.min_replicas, after.min_replicas),
        FieldExpectation(("spec", "maxReplicas"), after.max_replicas, after.max_replicas),
    )


def _is_ours(raw: RawObject, field: FieldExpectation) -> bool:
    return is_ours(managed_fields_of(raw), field_path(field.path))
