"""Headers whose values are nobody's business: they come from the environment and go to one server.

Role: read each from its variable, refuse what cannot be sent, and take them out of what is told.
Must not know: where the environment comes from (in a cluster: a Secret). Trade-off: a value is
found in an answer as it was sent; one that a server repeats in another coding is not recognised.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from infertune_probes.contract.session import CouldNotRun
from infertune_probes.load.codes import HEADER_UNUSABLE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from infertune_probes.load.options import Request

Header = tuple[str, str]
_STRUCK_OUT = b"[from a Secret]"
# Shorter words would be struck out of answers that only happen to hold them.
_SHORTEST = 6


def with_private(
    request: Request, variables: Sequence[Header], environment: Mapping[str, str]
) -> Request:
    """Return the request with the headers that ``variables`` (name, variable) stand for.

    Raises:
        CouldNotRun: A variable is missing or empty, or its value cannot stand in a header; the
            finding names the header and never the value.
    """
    private = tuple((name, _value(name, environment.get(variable))) for name, variable in variables)
    return replace(request, private=private)


def _value(name: str, found: str | None) -> str:
    # A Secret made from a file ends in a line break more often than not.
    value = (found or "").strip()
    why = "has no value" if not value else ""
    if not all(" " <= letter <= "~" for letter in value):
        why = "has a value with a line break or another letter that no header may hold"
    if why:
        raise CouldNotRun(HEADER_UNUSABLE.unknown(f"header {name} {why}"))
    return value


def same_server(request: Request, base: Request) -> bool:
    """Return whether a request goes where ``base`` goes: credentials are for that server alone."""
    here, there = urlsplit(request.url), urlsplit(base.url)
    return (here.scheme, here.netloc) == (there.scheme, there.netloc)


def struck_out(answer: bytes, request: Request) -> bytes:
    """Return an answer without the values of the private headers that it may repeat."""
    for word in sorted(_words(request), key=len, reverse=True):
        answer = answer.replace(word.encode(), _STRUCK_OUT)
    return answer


def _words(request: Request) -> Iterator[str]:
    for _, value in request.private:
        yield from (word for word in (value, value.split()[-1]) if len(word) >= _SHORTEST)
