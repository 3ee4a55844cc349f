"""A promise that lies between two bucket bounds: how live traffic is judged by it, and said so.

Role: from the bound that stands in for the promise to words, and to whether a broken one is sure.
Must not know: states, where buckets come from. Trade-off: whatever lies between the two bounds
counts against a Pass and for nobody in a Fail, so a coarse histogram costs verdicts, never a breach
that nobody sees and never a rollback for a promise that may be kept.
"""

from infertune.core.evidence import Measured
from infertune.core.render import number
from infertune.core.slo import Judgement, allowed_fraction
from infertune.core.snapshot import LiveEvidence

BETWEEN_BUCKETS = "BetweenBuckets"


def bound_note(live: LiveEvidence, slo_milliseconds: float) -> str:
    """Return which bound stands in for the promise and how far off it is; empty when it is one."""
    bound = live.promise_bound
    if bound is None or bound.exact:
        return ""
    return (
        f"the histogram has no bound at {number(slo_milliseconds)} ms: requests count as slow from "
        f"{number(bound.bound_ms)} ms on, {number(bound.error_ms)} ms stricter, and the promise as "
        f"broken only by those above {number(bound.above_ms)} ms"
    )


def not_surely_broken(live: LiveEvidence, judgement: Judgement, percentile: int) -> str | None:
    """Return why a Fail by the stricter bound is no proof that the promise is broken, or None.

    The share that is slower than the bound above the promise is certain to break it. That share
    has to be above what is allowed by as much as the verdict itself asks for.
    """
    bound, over = live.promise_bound, live.over_slo_percent
    if judgement.verdict != "Fail" or bound is None or bound.exact:
        return None
    if not isinstance(over, Measured) or over.interval is None:
        return None
    allowed = allowed_fraction(percentile)
    if over.interval.low / 100 - (judgement.half_width or 0.0) > allowed:
        return None
    return (
        f"{BETWEEN_BUCKETS}: {number(over.value)} % took longer than {number(bound.bound_ms)} ms, "
        f"{number(over.interval.low)} % surely longer than {number(bound.above_ms)} ms, and "
        f"{number(100 * allowed)} % are allowed: give the histogram a bound at the promise"
    )
