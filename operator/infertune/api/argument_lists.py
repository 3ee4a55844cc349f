"""A list of arguments as it may be kept: our own tokens in it, and a digest of all others.

Role: the model that stands in status and in the target's annotation, and how a whole list becomes
one. Must not know: containers, knobs. Trade-off: the digest is a plain SHA-256, so whoever reads it
can confirm a guess of all the other arguments at once; a token that nobody can guess stays secret.
"""

import json
from collections.abc import Iterable
from difflib import SequenceMatcher
from hashlib import sha256

from pydantic import Field

from infertune.api.fields import StatusModel

Tokens = tuple[str, ...]
LONGEST_LIST = 512


class OwnToken(StatusModel):
    """One token that a knob has put there, and its position in the list."""

    at: int = Field(0, description="Position in the list, from 0.")
    token: str = Field("", description="The argument that stands there.")


class ArgumentList(StatusModel):
    """A list of arguments of which only our own are told."""

    length: int = Field(0, description="How many arguments the list has, all in all.")
    own: tuple[OwnToken, ...] = Field(
        (), max_length=LONGEST_LIST, description="The arguments that the knobs turn."
    )
    others_sha256: str = Field("", description="SHA-256 of all other arguments, as a JSON list.")

    def others_in(self, tokens: Tokens) -> Tokens:
        """Return the tokens that are not at a position of our own."""
        own = {token.at for token in self.own}
        return tuple(token for at, token in enumerate(tokens) if at not in own)

    def is_of(self, tokens: Tokens) -> bool:
        """Return whether these tokens are the list that was kept, the others by their digest."""
        ours = all(own.at < len(tokens) and tokens[own.at] == own.token for own in self.own)
        return ours and digest_of(self.others_in(tokens)) == self.others_sha256

    def filled(self, others: Tokens) -> Tokens:
        """Return the whole list from the tokens that are not ours, as far as there are any."""
        own, left = {token.at: token.token for token in self.own}, iter(others)
        tokens = (own[at] if at in own else next(left, None) for at in range(self.length))
        return tuple(token for token in tokens if token is not None)


def digest_of(tokens: Tokens) -> str:
    """Return the SHA-256 of tokens; no two lists share a text."""
    return sha256(json.dumps(list(tokens)).encode()).hexdigest()


def kept(tokens: Tokens, own: Iterable[int]) -> ArgumentList:
    """Return what is kept of a list in which the tokens at these positions are ours."""
    places = sorted(set(own))
    bare = ArgumentList(
        length=len(tokens), own=tuple(OwnToken(at=at, token=tokens[at]) for at in places)
    )
    return bare.model_copy(update={"others_sha256": digest_of(bare.others_in(tokens))})


def kept_where_they_differ(
    before: Tokens | None, after: Tokens | None
) -> tuple[ArgumentList | None, ArgumentList | None]:
    """Return what is kept of two whole lists, of which nobody says any more what is ours.

    What both have in common is taken for somebody else's: a rollout has changed our tokens only.
    """
    old, new = before or (), after or ()
    blocks = SequenceMatcher(None, old, new, autojunk=False).get_matching_blocks()
    common_old = {block.a + step for block in blocks for step in range(block.size)}
    common_new = {block.b + step for block in blocks for step in range(block.size)}
    return (
        None if before is None else kept(old, set(range(len(old))) - common_old),
        None if after is None else kept(new, set(range(len(new))) - common_new),
    )
