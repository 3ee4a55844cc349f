"""The document that is really sent: with the lists of arguments, made of the object as it is now.

Role: complete an apply with what nobody keeps, the arguments of others. Must not know: when, by
whom. Trade-off: it can be made only right before the write and from the very object that was
looked at, which is what keeps foreign arguments out of everything that is planned, kept or told.
"""

import copy

from infertune.api.argument_lists import ArgumentList
from infertune.core.argument_lists import completed_list
from infertune.core.manifests.template_fields import put
from infertune.core.plan import ApplyFields
from infertune.core.preconditions import Unreadable, dotted, read_field
from infertune.core.snapshot import RawObject


def sent_document(effect: ApplyFields, live: RawObject) -> RawObject:
    """Return the document of an apply whose expectations hold for the live object.

    Raises:
        ValueError: they do not hold.
    """
    if not any(isinstance(field.new, ArgumentList) for field in effect.expectations):
        return effect.document
    document = copy.deepcopy(dict(effect.document))
    for field in effect.expectations:
        if isinstance(field.new, ArgumentList):
            found = read_field(live, field.path)
            there = None if isinstance(found, Unreadable) else found
            made = completed_list(there, field.old, field.new)
            if made is None:
                message = f"{dotted(field.path)} is not the list that the write was planned for"
                raise ValueError(message)
            put(document, field.path, made)
    return document
