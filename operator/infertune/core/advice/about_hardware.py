"""Advice about another GPU: only where the GPU is what holds the server back.

Role: what another kind of device would gain and cost, by what was measured in this cluster first,
by data sheets second. Must not know: how a kind is rented. Trade-off: two data sheets are compared
with each other and not a sheet with a measurement, since no device reaches its sheet.
"""

from collections.abc import Iterator

from infertune.core.advice.bottleneck import Bottleneck
from infertune.core.advice.gains import Gain, amdahl
from infertune.core.advice.proposals import Advice
from infertune.core.advice.sources import Device, Evidence

_BOUND_BY_DEVICE = 0.5
_LEAST_SPEEDUP = 1.15
_MOST_NAMED = 3


def about_hardware(
    evidence: Evidence, bottleneck: Bottleneck, here: Device | None
) -> Iterator[Advice]:
    """Yield the best few other devices; ``here`` is this node's kind, by its data sheet or not."""
    compute, memory = bottleneck.share("gpu compute"), bottleneck.share("gpu memory bandwidth")
    share = max(compute, memory)
    if share < _BOUND_BY_DEVICE or here is None:
        return
    by_memory = memory >= compute
    found = []
    for other in evidence.others:
        speedup = _speedup(here, other, by_memory=by_memory)
        if other.name != here.name and speedup is not None and speedup >= _LEAST_SPEEDUP:
            found.append((speedup, other))
    ranked = sorted(found, key=lambda one: (one[1].nodes == 0, -one[0]))
    for speedup, other in ranked[:_MOST_NAMED]:
        yield _advice(evidence, other, share, speedup, by_memory=by_memory)


def _speedup(here: Device, other: Device, *, by_memory: bool) -> float | None:
    """Return the ratio of what holds back: measured with measured, sheet with sheet."""
    if (here.nodes == 0) is not (other.nodes == 0):
        return None
    if by_memory:
        if not here.copy_gb_s or not other.copy_gb_s:
            return None
        return other.copy_gb_s / here.copy_gb_s
    common = [dtype for dtype in here.rates if other.rates.get(dtype) and here.rates[dtype]]
    return max((other.rates[dtype] / here.rates[dtype] for dtype in common), default=None)


def _advice(
    evidence: Evidence, other: Device, share: float, speedup: float, *, by_memory: bool
) -> Advice:
    what = "memory bandwidth" if by_memory else "matrix rate"
    measured = other.nodes > 0
    source = f"measured on {other.nodes} nodes of this cluster" if measured else "by data sheets"
    low, high = amdahl(share, 1 + (speedup - 1) / 2), amdahl(share, speedup)
    cost = ""
    if evidence.hourly_price and other.hourly_price:
        per_call = other.hourly_price / evidence.hourly_price
        cost = f"; a replica costs {per_call:.2f} times as much, "
        cost += f"a call {per_call / high:.2f} to {per_call / low:.2f} times"
    return Advice(
        f"faster GPU: {other.name}",
        f"run the server on {other.name} (nodeSelector on the GPU product)",
        f"{share:.0%} of a call is held back by the GPU's {what}; {other.name} has "
        f"{speedup:.1f} times as much, {source}{cost}",
        Gain(
            low,
            high,
            f"{share:.0%} of a call becomes up to {speedup:.1f} times faster",
            "" if measured else "the ratio of two data sheets holds for this server",
        ),
        "medium" if measured else "low",
        "other hardware",
    )
