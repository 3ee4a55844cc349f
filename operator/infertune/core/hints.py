"""What probes saw that may save trials.

Role: from the summaries of probes to where the search looks first. Must not know: trials, rates,
verdicts. Trade-off: a hint changes the order alone and leaves nothing out. A profile is of one call
with the user's sample, perhaps not of the batch that is served, and measuring showed that leaving
batches out on its word costs a replica now and then, for ever, to save a trial, once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from infertune.api.node_status import ProbeSummary
from infertune.core.render import number

# A device that is busier than this has nothing left that a larger batch could use.
SATURATED_PERCENT = 90.0
Reach = Literal["Any", "Larger", "Saturated"]
_WAITS = frozenset({"launch", "idle"})


@dataclass(frozen=True, slots=True)
class Hints:
    """``Larger``: larger batches first. ``Saturated``: smaller ones than the best first."""

    reach: Reach = "Any"
    words: str = ""


NO_HINTS = Hints()


def hints_of(summaries: Sequence[ProbeSummary]) -> Hints:
    """Return what the profile says of batches; nothing known, or low confidence, says nothing."""
    profile = next((one for one in summaries if one.bound is not None), None)
    if profile is None or profile.confidence not in {"medium", "high"}:
        return NO_HINTS
    busy, bound = profile.busy_percent, profile.bound
    if busy is None:
        return NO_HINTS
    if bound in _WAITS:
        idle = number(round(100 - busy, 1))
        why = "launch-bound" if bound == "launch" else "waiting for work"
        words = f"the profiler saw the device idle {idle} % of a call ({why}): larger batches first"
        return Hints("Larger", words)
    if bound == "compute" and profile.confidence == "high" and busy >= SATURATED_PERCENT:
        words = f"the profiler saw the device busy {number(round(busy, 1))} % of a call "
        words += "(compute-bound): larger batches last"
        return Hints("Saturated", words)
    return NO_HINTS
