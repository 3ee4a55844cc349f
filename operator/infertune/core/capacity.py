"""From the knee of one replica to replica bounds, and from trials to the best of them.

Role: knee, replica count, autoscaler bounds, the choice between measured candidates. Must not
know: how candidates are searched or rates measured. Trade-off: the knee is the highest rate that
was really measured and kept the promise; nothing is interpolated, so a coarse ladder costs
replicas, never a broken promise.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from infertune.api.knobs import ReplicaLimits
from infertune.api.status import Bounds
from infertune.core.replica_weight import SAME, Weight
from infertune.core.space import Candidate

# Kubernetes' autoscaler leaves the replica count alone while its metric is within 10 % of the
# goal (--horizontal-pod-autoscaler-tolerance), so the bound must leave room for that.
AUTOSCALER_TOLERANCE = 0.1
# Two runs of one configuration differ by about this much between nodes and days.
NOISE = 0.05
_ROUNDING = 1e-9

LevelVerdict = Literal["Pass", "Fail", "Inconclusive", "Invalid"]


@dataclass(frozen=True, slots=True)
class Carrier:
    """A candidate and the rate that one replica of it is known to carry within the promise.

    ``weight`` says what such a replica costs, in replicas of today.
    """

    candidate: Candidate
    knee_rate: float
    weight: Weight = SAME


@dataclass(frozen=True, slots=True)
class Choice:
    """The chosen candidate, how many replicas carry the peak, and why it was preferred."""

    candidate: Candidate
    knee_rate: float
    replicas: int
    bounds: Bounds
    why: str
    weight: Weight = SAME

    @property
    def cost(self) -> Fraction:
        """What carries the peak costs, in replicas of today."""
        return self.replicas * self.weight.factor


def knee_of(levels: Iterable[tuple[float, LevelVerdict]]) -> float | None:
    """Return the highest passed rate below the lowest failed one; None when there is none.

    A pass above a fail is noise or a lucky window and does not count.
    """
    known = list(levels)
    lowest_failed = min((rate for rate, verdict in known if verdict == "Fail"), default=math.inf)
    passed = [rate for rate, verdict in known if verdict == "Pass" and rate < lowest_failed]
    return max(passed, default=None)


def replicas_for(rate: float, knee_rate: float) -> int:
    """Return how many replicas carry ``rate`` when one carries ``knee_rate``; at least one.

    The quotient is rounded up, after taking off one part in 10^9: a ladder holds peak / k, and
    peak / (peak / k) must be k again. Raises ValueError for a knee that is not a positive number
    or a rate that is not a number of at least zero.
    """
    if not (math.isfinite(knee_rate) and knee_rate > 0 and math.isfinite(rate) and rate >= 0):
        message = f"rate {rate} and knee {knee_rate} must be finite, the knee above zero"
        raise ValueError(message)
    return max(1, math.ceil(rate / knee_rate * (1 - _ROUNDING)))


def replica_bounds(
    knee_rate: float,
    peak: float,
    trough: float,
    limits: ReplicaLimits,
    *,
    metric_follows_load: bool = True,
) -> Bounds | None:
    """Return the autoscaler's bounds, clamped last; None when the limits cannot carry the peak.

    Lower bound: replicas for the trough; upper bound: replicas for the peak; both with 10 % on
    top, the autoscaler's tolerance. The headroom may be lost to the user's limit, the peak may
    not. With a metric that does not follow load the autoscaler cannot help, so the lower bound
    carries the peak too.
    """
    needed = replicas_for(peak, knee_rate)
    if needed > limits.max:
        return None
    headroom = 1 + AUTOSCALER_TOLERANCE
    high = replicas_for(peak * headroom, knee_rate)
    low = replicas_for(trough * headroom, knee_rate) if metric_follows_load else needed
    clamped_high = min(max(high, limits.min), limits.max)
    clamped_low = min(max(low, limits.min), clamped_high)
    return Bounds(min_replicas=clamped_low, max_replicas=clamped_high)


def choose(
    carriers: Sequence[Carrier],
    peak: float,
    trough: float,
    limits: ReplicaLimits,
    incumbent: Candidate,
    *,
    metric_follows_load: bool = True,
) -> Choice | None:
    """Return the cheapest candidate that carries the peak within the limits; None without one.

    Fewer replicas (never counted below ``limits.min``, which is paid anyway), each by its weight,
    come first, then the higher knee. Knees within 5 % of the highest count as equal; among those
    the incumbent is kept when it is one of them, else the smaller batch wins, the server's default
    last, then the one given first.
    """
    priced = [
        (max(replicas_for(peak, carrier.knee_rate), limits.min), carrier) for carrier in carriers
    ]
    feasible = [(replicas, carrier) for replicas, carrier in priced if replicas <= limits.max]
    if not feasible:
        return None
    least = min(replicas * carrier.weight.factor for replicas, carrier in feasible)
    cheapest = [one for replicas, one in feasible if replicas * one.weight.factor == least]
    highest = max(carrier.knee_rate for carrier in cheapest)
    equal = [one for one in cheapest if one.knee_rate >= highest * (1 - NOISE)]
    best = min(equal, key=lambda one: (one.candidate != incumbent, _batch_order(one.candidate)))
    bounds = replica_bounds(
        best.knee_rate, peak, trough, limits, metric_follows_load=metric_follows_load
    )
    assert bounds is not None, "a feasible candidate has bounds"
    count = max(replicas_for(peak, best.knee_rate), limits.min)
    why = (
        f"{count} {'replicas carry' if count > 1 else 'replica carries'} "
        f"{peak:g} requests per second "
        f"at {best.knee_rate:.4g} each"
    )
    why += _cost_words(best, count, [(n, one) for n, one in feasible if n < count])
    if best.candidate == incumbent:
        why += "; today's configuration is kept, nothing is better by more than 5 %"
    if not metric_follows_load:
        why += "; the autoscaler's metric does not follow the load, so the lower bound carries it"
    return Choice(best.candidate, best.knee_rate, count, bounds, why, best.weight)


def _cost_words(best: Carrier, count: int, fewer: Sequence[tuple[int, Carrier]]) -> str:
    """Return what resources have to do with the choice; empty where all request the same."""
    weight, words = best.weight, ""
    if weight.factor != 1:
        cost = float(count * weight.factor)
        words = (
            f"; each requests {float(weight.factor):.3g} times today's {weight.resource}, so they "
            f"cost as much as {cost:.3g} replicas of today"
        )
    if fewer:
        number, one = min(fewer, key=lambda pair: pair[0] * pair[1].weight.factor)
        words += (
            f"; {number} of {float(one.weight.factor):.3g} times the {one.weight.resource} would "
            f"carry it too, and cost as much as {float(number * one.weight.factor):.3g}"
        )
    return words


def _batch_order(candidate: Candidate) -> float:
    return math.inf if candidate.batch_size is None else candidate.batch_size
