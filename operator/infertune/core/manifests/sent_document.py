"""The document that is really sent: completed from the object as it is right before the write.

Role: add to an apply what is ours on the object from earlier rollouts, and make the lists of
arguments, whose other arguments nobody keeps. Must not know: when, by whom. Trade-off: it can be
made only of the very object that was looked at. That keeps foreign arguments out of everything that
is planned, kept or told, and no write names a value that somebody has changed since the decision.
"""

from typing import Any

from infertune.api.argument_lists import ArgumentList, Tokens
from infertune.core.argument_lists import completed_list
from infertune.core.manifests.template_fields import (
    container_path,
    in_live_order,
    ours,
    put,
    remove,
    whole_key_references,
)
from infertune.core.plan import ApplyFields, FieldExpectation
from infertune.core.preconditions import Unreadable, dotted, read_field
from infertune.core.snapshot import RawObject

_TEMPLATE = ("spec", "template")


def sent_document(effect: ApplyFields, live: RawObject) -> RawObject:
    """Return the document of an apply whose expectations hold for the live object.

    A template names every field that is ours: one that is left out of an apply is given up, and
    deleted where nobody else owns it.

    Raises:
        ValueError: the expectations do not hold.
    """
    planned = effect.document
    if "template" not in planned.get("spec", {}):
        return planned
    (container,) = planned["spec"]["template"]["spec"]["containers"]
    fields = [field for field in effect.expectations if field.path[:2] == _TEMPLATE]
    document = ours(live)
    put(document, (*container_path(container["name"]), "name"), container["name"])
    for field in fields:
        remove(document, field.path)
    for field in fields:
        value = _completed(field, live) if isinstance(field.new, ArgumentList) else field.new
        if value is not None:
            put(document, field.path, value)
    put(document, (*container_path(container["name"]), "name"), container["name"])
    whole_key_references(document, container["name"], live)
    in_live_order(document, container["name"], live)
    whole: dict[str, Any] = {**planned, **document}
    return whole


def _completed(field: FieldExpectation, live: RawObject) -> Tokens:
    found = read_field(live, field.path)
    there = None if isinstance(found, Unreadable) else found
    made = None
    if isinstance(field.new, ArgumentList):
        made = completed_list(there, field.old, field.new)
    if made is None:
        message = f"{dotted(field.path)} is not the list that the write was planned for"
        raise ValueError(message)
    return made
