"""Flags in a list of arguments: find one, read it, turn it, put it back to the letter.

Role: pure functions on token lists. Must not know: containers, knobs. Trade-off: without the
server's own parser a token is a flag by its looks alone; whatever can be read in two ways (a
flag that stands twice, a value glued to a letter) is refused by name instead of guessed at.
"""

import re
from dataclasses import dataclass

Tokens = tuple[str, ...]
PRESENT, ABSENT = "true", "false"
_END_OF_FLAGS = "--"
_LOOKS_LIKE_A_FLAG = re.compile(r"^(--|-[A-Za-z])")
_SINGLE_LETTER = re.compile(r"^-[A-Za-z]$")


@dataclass(frozen=True, slots=True)
class Flag:
    """A flag by its name; ``bare`` takes no value: it stands there or it does not."""

    name: str
    bare: bool = False


@dataclass(frozen=True, slots=True)
class FlagProblem:
    """Why a flag cannot be read: a reason and what follows the flag's name in a sentence."""

    reason: str
    words: str


def stands(tokens: Tokens, flag: Flag) -> tuple[int, ...]:
    """Return the positions of the flag, in any form, before the end of flags (``--``)."""
    end = tokens.index(_END_OF_FLAGS) if _END_OF_FLAGS in tokens else len(tokens)
    with_value = f"{flag.name}="
    return tuple(
        position
        for position, token in enumerate(tokens[:end])
        if token == flag.name or token.startswith(with_value)
    )


def own_positions(tokens: Tokens, flag: Flag) -> tuple[int, ...]:
    """Return the positions of the flag and of its value where that is a token of its own."""
    width = 1 if flag.bare else 2
    return tuple(
        position
        for at in stands(tokens, flag)
        for position in range(at, min(at + (width if tokens[at] == flag.name else 1), len(tokens)))
    )


def read_flag(tokens: Tokens, flag: Flag) -> str | FlagProblem | None:
    """Return the flag's value; None when it is absent. A bare flag is ``true`` or ``false``."""
    positions = stands(tokens, flag)
    if len(positions) > 1:
        return FlagProblem("KnobDuplicated", f"stands {len(positions)} times: keep one")
    ambiguous = _ambiguous(tokens, flag)
    if ambiguous is not None:
        return ambiguous
    if flag.bare:
        return _read_bare(tokens, flag, positions)
    return _read_value(tokens, flag, positions[0]) if positions else None


def set_flag(tokens: Tokens, flag: Flag, value: str | None) -> Tokens:
    """Return the tokens with the flag set, in the form it has; None takes it out.

    An absent flag is put at the end, before an end of flags: as one token with ``=``, which every
    parser of long flags takes, or as two where the flag is a single letter. A bare flag is there
    for ``true`` and gone for anything else. No other token ever changes.
    """
    positions = stands(tokens, flag)
    wanted = None if flag.bare and value != PRESENT else value
    if not positions:
        return _added(tokens, flag, wanted)
    at = positions[0]
    head, width = tokens[:at], 1
    if tokens[at] != flag.name:
        fresh: Tokens = () if wanted is None else (f"{flag.name}={wanted}",)
    elif flag.bare:
        fresh = () if wanted is None else (flag.name,)
    else:
        width = min(2, len(tokens) - at)
        fresh = () if wanted is None else (flag.name, wanted)
    return (*head, *fresh, *tokens[at + width :])


def _added(tokens: Tokens, flag: Flag, value: str | None) -> Tokens:
    if value is None:
        return tokens
    if flag.bare:
        fresh: Tokens = (flag.name,)
    elif _SINGLE_LETTER.match(flag.name):
        fresh = (flag.name, value)
    else:
        fresh = (f"{flag.name}={value}",)
    end = tokens.index(_END_OF_FLAGS) if _END_OF_FLAGS in tokens else len(tokens)
    return (*tokens[:end], *fresh, *tokens[end:])


def _read_value(tokens: Tokens, flag: Flag, at: int) -> str | FlagProblem:
    name, equals, value = tokens[at].partition("=")
    if equals and name == flag.name:
        return value
    following = tokens[at + 1] if at + 1 < len(tokens) else None
    if following is None or _LOOKS_LIKE_A_FLAG.match(following):
        return FlagProblem(
            "KnobUnreadable", "stands without a value: give it one, or set argumentForm to Bare"
        )
    return following


def _read_bare(tokens: Tokens, flag: Flag, positions: tuple[int, ...]) -> str | FlagProblem:
    if not positions:
        return ABSENT
    if tokens[positions[0]] != flag.name:
        return FlagProblem(
            "KnobUnreadable",
            f"stands as {tokens[positions[0]]!r}, with a value: leave out argumentForm",
        )
    return PRESENT


def _ambiguous(tokens: Tokens, flag: Flag) -> FlagProblem | None:
    """Return why the tokens can be read in two ways: a glued value, or the flag's own negation."""
    if _SINGLE_LETTER.match(flag.name):
        glued = re.compile(rf"^{flag.name}[0-9]")
        token = next((token for token in tokens if glued.match(token)), None)
        words = "is glued to its value in one token: write them apart"
    else:
        negation = "--no-" + flag.name.removeprefix("--")
        token = negation if flag.bare and negation in tokens else None
        words = f"is contradicted by {token}: take that out"
    return None if token is None else FlagProblem("KnobUnreadable", words)
