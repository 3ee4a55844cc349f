"""How busy the new pods are going to be while live traffic judges them.

Role: utilisation from the traffic, the number of pods and the measured knee. Must not know: blocks,
verdicts. Trade-off: the capacity of a server is not measured, only the highest rate that kept the
promise, which lies at about 85 % of it; a knee that the ladder ended early makes the pods look
busier than they are, and verification longer, never shorter.
"""

from infertune.api.status import TuningStatus
from infertune.core.outcomes import KNEE_OF_CAPACITY


def expected_load(status: TuningStatus) -> float | None:
    """Return the utilisation of one new pod, 1.0 at its capacity; None when it is not known.

    Traffic and pods as last seen after the rollout; before that, today's traffic on as many pods
    as the new bounds leave of today's.
    """
    recommended, rollout = status.recommendation, status.rollout
    knee = recommended.knee_rate if recommended is not None else None
    applied_at = rollout.applied_at if rollout is not None else None
    live, figures = status.live, status.baseline
    if live is not None and live.observed_at and applied_at and live.observed_at > applied_at:
        figures = live
    rate = figures.request_rate.value if figures is not None else None
    if figures is None or rate is None or not knee:
        return None
    pods = figures.pods if figures is status.live else _left_of(figures.pods, status)
    return rate / max(pods, 1) / (knee / KNEE_OF_CAPACITY)


def _left_of(pods: int, status: TuningStatus) -> int:
    """Return how many of today's pods the recommended bounds leave."""
    assert status.recommendation is not None
    chosen = status.recommendation.configuration
    low, high = chosen.min_replicas or 1, chosen.max_replicas or pods
    return min(max(pods, low), high)
