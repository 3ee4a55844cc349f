"""Patience: how long an unclear verification is waited for, and what is told meanwhile.

Role: the deadline, its extension, and the alert about traffic above the declared demand. Must not
know: how a verdict is reached, what follows when patience ends. Trade-off: an extension has a hard
end, since a change that nobody can judge must not stay for good by waiting.
"""

from dataclasses import dataclass

from infertune.api.conditions import Observation
from infertune.core.evidence import Measured
from infertune.core.plan import Event
from infertune.core.promise_bound import BETWEEN_BUCKETS
from infertune.core.render import number
from infertune.core.snapshot import LiveEvidence
from infertune.core.story import Context

DEMAND_TOLERANCE = 1.1
ABOVE = "AboveDemand"
EXTENDED = "Extended"


@dataclass(frozen=True, slots=True)
class Patience:
    """There is still time; what is to be told of the wait, if it is news."""

    observed: tuple[Observation, ...] = ()
    told: tuple[Event, ...] = ()


def patience_at(context: Context, waited: float, deadline: float, words: str) -> Patience | None:
    """Return the patience that is left after so many seconds, or None at its end.

    ``words`` is what live traffic says so far; a breach that is no verdict on the change is told at
    once, since only people can raise the declared demand or give the histogram a bound.
    """
    if waited <= deadline:
        alert = next((word for word in (ABOVE, BETWEEN_BUCKETS) if words.startswith(word)), None)
        return Patience() if alert is None else _told_once(context, alert, words)
    rules = context.spec.rollout
    if rules.on_inconclusive != "Extend" or waited > deadline + rules.extend_seconds:
        return None
    left = f"no verdict after {number(waited)} s, judged for up to {rules.extend_seconds} s more"
    return _told_once(context, EXTENDED, f"{left}: {words}")


def above_demand(context: Context, live: LiveEvidence) -> str | None:
    """Return the sentence about traffic that nobody promised anything for, or None."""
    rate, peak = live.request_rate, context.spec.demand.peak_requests_per_second
    if not isinstance(rate, Measured) or rate.value <= DEMAND_TOLERANCE * peak:
        return None
    return (
        f"{ABOVE}: {number(rate.value)} requests per second are above "
        f"spec.demand.peakRequestsPerSecond {peak}, so a broken promise says nothing of the "
        f"change; raise the peak if this load is here to stay"
    )


def _told_once(context: Context, reason: str, words: str) -> Patience:
    """Return the condition, with an Event when it begins to be so."""
    known = next((c.reason for c in context.status.conditions if c.type == "Verified"), "")
    if known == reason:
        return Patience()
    seen = Observation("Verified", "Unknown", reason, words)
    return Patience((seen,), (Event("Warning", reason, words),))
