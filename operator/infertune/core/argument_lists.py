"""Lists of arguments that are known by our own tokens: compare, name and restore them.

Role: does a live list hold what was kept, what may be said of it, and the JSON patch between two of
them. Must not know: objects, intents. Trade-off: an empty list and an absent one are the same, as
they are to the API server; a list that is made of nothing but our tokens is taken out whole.
"""

from collections.abc import Mapping
from typing import Any, TypeAlias

from infertune.api.argument_lists import ArgumentList, Tokens

FieldValue: TypeAlias = str | int | Tokens | ArgumentList | None
Operation = Mapping[str, Any]


def stands_for(wanted: FieldValue, found: FieldValue) -> bool:
    """Return whether what was found in an object is what a field is expected to hold."""
    if not isinstance(wanted, ArgumentList):
        return found == wanted
    tokens = () if found is None else found
    return isinstance(tokens, tuple) and wanted.is_of(tokens)


def may_become(found: FieldValue, old: FieldValue, new: FieldValue) -> bool:
    """Return whether a live value is the old one, and the new one can be made of it."""
    return stands_for(old, found) and (
        not isinstance(new, ArgumentList) or completed_list(found, old, new) is not None
    )


def completed_list(found: FieldValue, old: FieldValue, new: ArgumentList) -> Tokens | None:
    """Return the whole new list, made of a live one that holds the old or the new.

    None where the live list holds neither, or where old and new do not belong together: what
    others wrote there is then unknown.
    """
    tokens = found if isinstance(found, tuple) else ()
    if new.is_of(tokens):
        return tokens
    if not stands_for(old, found):
        return None
    made = new.filled(old.others_in(tokens) if isinstance(old, ArgumentList) else ())
    return made if new.is_of(made) else None


def shown(value: FieldValue) -> str:
    """Return a value as it may be told: of a list of arguments, our own tokens only."""
    if value is None:
        return "absent"
    if isinstance(value, ArgumentList):
        ours = f", ours are {' '.join(own.token for own in value.own)!r}" if value.own else ""
        return f"a list of {value.length} arguments{ours}"
    if isinstance(value, tuple):
        return f"another list of {len(value)} arguments"
    return repr(value)


def operations(
    place: str, old: ArgumentList | None, new: ArgumentList | None
) -> tuple[Operation, ...]:
    """Return the JSON patch from one list to the other, which first tests each token of ours.

    ``place`` is the JSON pointer of the list. Nothing is said of a token that is not ours.
    """
    if old is None or old.length == 0:
        whole = [own.token for own in new.own] if new else []
        return ({"op": "add", "path": place, "value": whole},) if whole else ()
    tests = tuple(
        {"op": "test", "path": f"{place}/{own.at}", "value": own.token} for own in old.own
    )
    if new is None or new.length == 0:
        return (*tests, {"op": "remove", "path": place})
    there, wanted = ({own.at: own.token for own in side.own} for side in (old, new))
    if there.keys() == wanted.keys():
        return tests + tuple(
            {"op": "replace", "path": f"{place}/{at}", "value": token}
            for at, token in wanted.items()
            if there[at] != token
        )
    gone = ({"op": "remove", "path": f"{place}/{at}"} for at in sorted(there, reverse=True))
    fresh = ({"op": "add", "path": f"{place}/{at}", "value": token} for at, token in wanted.items())
    return (*tests, *gone, *fresh)
