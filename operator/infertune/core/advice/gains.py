"""What a change of one part does to the whole.

Role: Amdahl's law with ranges, and the words that say what was assumed. Must not know: probes,
techniques. Trade-off: a gain is about the time of one call on the server, since how that moves a
P95 under load depends on the load; a trial answers that.
"""

from dataclasses import dataclass

# Nothing that answers requests is free: more than this was never only waiting.
_MOST_REMOVED = 0.95


@dataclass(frozen=True, slots=True)
class Gain:
    """How many times faster a call becomes, between ``low`` and ``high``; 1 is no change.

    Attributes:
        low: the cautious end, at least 1.
        high: the hopeful end.
        how: the arithmetic in one sentence, with the figures that went in.
        assumption: what was not measured; empty when everything was.
    """

    low: float
    high: float
    how: str
    assumption: str = ""

    @property
    def middle(self) -> float:
        """The geometric middle of both ends."""
        return float((self.low * self.high) ** 0.5)


def amdahl(share: float, speedup: float) -> float:
    """Return how many times faster the whole is when ``share`` of its time is ``speedup`` faster.

    ``share`` is in [0, 1]; ``speedup`` above 0, ``inf`` removes the part. Source: G. Amdahl,
    "Validity of the single processor approach", AFIPS 1967.

    Raises:
        ValueError: an argument is out of its range.
    """
    if not 0 <= share <= 1 or not speedup > 0:
        msg = f"no part of a whole: share {share!r}, speedup {speedup!r}"
        raise ValueError(msg)
    left = 1 - share + share / speedup
    return 1 / left if left > 0 else float("inf")


def without(share: float) -> float:
    """Return how many times faster the whole is when the part goes away, at most 20 times."""
    return amdahl(min(share, _MOST_REMOVED), float("inf"))
