"""Do the target's replicas get equal shares of the traffic? Index, likely cause, fix.

Role: judge how many requests each pod answered in one window. Must not know: how they are counted.
Trade-off: the index is over the counts of the window as they are, so a pod that was there for half
of it makes it fall; that is named as the cause, and not corrected away, since the others carried
its share meanwhile.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from infertune.core.evidence import Evidence, Measured, NoData
from infertune.core.render import number
from infertune.core.scrapes import CounterSeries, increments_of
from infertune.core.snapshot import PodShare
from infertune_probes.contract.balance import BALANCED, balance_index

LEAST_PODS = 2
LEAST_REQUESTS_PER_POD = 30
# How far the busiest of k equal pods lies above the mean by chance: see beyond_chance.
_CHANCE_SIGMAS = 2.0
_THERE_ALL_THE_TIME = 0.9
_LONGEST = 640
_NO_INTERVAL = "counted, not estimated"


@dataclass(frozen=True, slots=True)
class _Counted:
    """A pod whose requests were counted."""

    pod: str
    requests: float
    seconds: float | None


def shares_of(series: Sequence[CounterSeries], pods: Iterable[str]) -> tuple[PodShare, ...]:
    """Return what each pod answered, by the counters of all requests; None: not counted."""
    found: dict[str, list[tuple[float, float, float]]] = {}
    for one, increments in zip(series, increments_of(series), strict=True):
        found.setdefault(one.pod, []).extend((i.start, i.end, i.value) for i in increments)
    return tuple(_share(pod, found.get(pod, [])) for pod in sorted(pods))


def _share(pod: str, steps: list[tuple[float, float, float]]) -> PodShare:
    if not steps:
        return PodShare(pod, None, None)
    seconds = max(end for _, end, _ in steps) - min(start for start, _, _ in steps)
    return PodShare(pod, sum(value for _, _, value in steps), seconds)


def balance_of(shares: Sequence[PodShare], window_seconds: float) -> Evidence:
    """Return mean over maximum of the requests per pod; n is all requests of the window.

    NoData TooFew with one pod, or under 30 requests a pod; Missing when a pod was not counted:
    whether it got no request or is not scraped cannot be told, and the two differ by all there is.
    """
    if not shares:
        return NoData("Missing", "requests were not counted by pod")
    if len(shares) < LEAST_PODS:
        return NoData("TooFew", f"{len(shares)} pod, {LEAST_PODS} are needed to compare")
    counted = _counted(shares)
    missing = [share.pod for share in shares if share.requests is None]
    if missing:
        words = f"no count of {len(missing)} of {len(shares)} pods, {missing[0]} the first"
        return NoData("Missing", f"{words}: not scraped (twice), or without any request")
    total, needed = sum(one.requests for one in counted), LEAST_REQUESTS_PER_POD * len(counted)
    index = balance_index([one.requests for one in counted])
    if index is None or total < needed:
        words = f"{number(total)} requests at {len(counted)} pods, {needed} are needed"
        return NoData("TooFew", words)
    return Measured(
        index, "mean/max", round(total), window_seconds, no_interval_reason=_NO_INTERVAL
    )


def uneven(shares: Sequence[PodShare], window_seconds: float) -> str | None:
    """Return the finding of an index below 0.9 beyond chance: evidence, likely cause, fix."""
    index = balance_of(shares, window_seconds)
    if isinstance(index, NoData) or index.value >= BALANCED:
        return None
    counted = _counted(shares)
    if not beyond_chance([one.requests for one in counted]):
        return None
    busiest = max(counted, key=lambda one: one.requests)
    idlest = min(counted, key=lambda one: one.requests)
    words = (
        f"uneven load: mean over busiest replica is {index.value:.2f} (n={index.n} requests, "
        f"{len(counted)} pods, {number(window_seconds)} s): {busiest.pod} answered "
        f"{number(busiest.requests)}, {idlest.pod} {number(idlest.requests)}; "
    )
    return (words + _cause(counted, idlest))[:_LONGEST]


def beyond_chance(requests: Sequence[float]) -> bool:
    """Return whether the busiest pod has more than equal pods would show by chance.

    Requests that are spread at random make counts with a spread of the root of their mean; the
    largest of k such counts lies about sqrt(2 ln k) spreads above it. Two spreads more are asked
    for: fewer than 1 in 1,000 windows of equal pods are called uneven (simulated with 2 to 64 pods
    and 30 to 2,000 requests a pod, 4,000 windows each).
    """
    mean = sum(requests) / len(requests)
    spreads = math.sqrt(2 * math.log(len(requests))) + _CHANCE_SIGMAS
    return max(requests) - mean > spreads * math.sqrt(mean)


def _counted(shares: Sequence[PodShare]) -> list[_Counted]:
    return [
        _Counted(share.pod, share.requests, share.seconds)
        for share in shares
        if share.requests is not None
    ]


def _cause(counted: Sequence[_Counted], idlest: _Counted) -> str:
    there = [one.seconds for one in counted if one.seconds is not None]
    if idlest.seconds is not None and idlest.seconds < _THERE_ALL_THE_TIME * max(there):
        return (
            f"{idlest.pod} was scraped for only {number(idlest.seconds)} s of it: started or not "
            f"Ready in the window; if no scaling explains that, see `kubectl describe pod "
            f"{idlest.pod}`"
        )
    return (
        "likely clients that keep few connections open (a Service balances connections, not "
        f"requests), else a slower node or GPU under {idlest.pod}: let clients open more "
        "connections or close them after some requests, or balance requests (a proxy, a mesh, "
        "gRPC round_robin on a headless Service); compare nodes by `infertune probe benchmark`"
    )
