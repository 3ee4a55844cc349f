"""Annotations on a tuning by which a human steers it without touching its spec.

Role: their names, what each means, and the typed form that a tick reads. Must not know: states,
effects. Trade-off: annotations and not fields, because they say "now" and not "how": a pipeline
that applies the spec again must not repeat an abort, nor take one back.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

ABORT = "infertune.io/abort"
FREEZE = "infertune.io/freeze"
RETRY = "infertune.io/retry"
_DIGITS = 12

MEANINGS: Mapping[str, str] = {
    ABORT: (
        "Rolls back what is open, ends trials, and rests in `Halted` (reason `Aborted`) until the "
        "annotation is removed or the spec changes. Any value; each value is answered once. With "
        "nothing to end it changes nothing."
    ),
    FREEZE: (
        "No new rollout while it is there, with any value: search and recommendation go on, a "
        "decided rollout waits in `Deciding` (`Applied=False`, reason `Frozen`) and opens when "
        "the annotation is removed. A rollout that is open already goes on."
    ),
    RETRY: (
        "Starts a resting tuning (`Stable`, `Halted`) anew, without its trials. Any value that "
        "was not there before; the current time is a good one. Elsewhere it changes nothing."
    ),
}


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the annotations ask for. ``abort`` and ``retry`` are digests of their values."""

    abort: str | None = None
    freeze: bool = False
    retry: str | None = None


def wishes_of(annotations: Mapping[str, str] | None) -> Wishes:
    """Return what these annotations ask for.

    >>> wishes_of({"infertune.io/freeze": ""}), wishes_of(None) == Wishes()
    (Wishes(abort=None, freeze=True, retry=None), True)
    """
    found = annotations or {}
    return Wishes(
        abort=_digest(found.get(ABORT)), freeze=FREEZE in found, retry=_digest(found.get(RETRY))
    )


def _digest(value: str | None) -> str | None:
    return None if value is None else sha256(value.encode()).hexdigest()[:_DIGITS]
