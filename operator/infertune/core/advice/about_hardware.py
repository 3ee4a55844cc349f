"""Advice about another GPU: only where the GPU is what holds the server back.

Role: what another kind of device would gain and cost, by what was measured in this cluster first,
by data sheets second. Must not know: how a kind is rented. Trade-off: two data sheets are compared
with each other and not a sheet with a measurement, since no device reaches its sheet.
"""

from collections.abc import Iterator

from infertune.core.advice.bottleneck import Bottleneck
from infertune.core.advice.gains import Gain, amdahl
from infertune.core.advice.proposals import Advice
from infertune.core.advice.sources import Device, Evidence, sheets
from infertune_probes.contract.gpu_peaks import peak_of

_BOUND_BY_DEVICE = 0.5
_LEAST_SPEEDUP = 1.15
_MOST_NAMED = 3


def about_hardware(evidence: Evidence, bottleneck: Bottleneck) -> Iterator[Advice]:
    """Yield the best few other devices, those that this cluster has measured first."""
    compute, memory = bottleneck.share("gpu compute"), bottleneck.share("gpu memory bandwidth")
    share = max(compute, memory)
    if share < _BOUND_BY_DEVICE:
        return
    by_memory = memory >= compute
    found = []
    # What the cluster measured of a product is not told again, and perhaps better, by its sheet.
    known = {peak.sku for one in evidence.others if (peak := peak_of(one.name)) is not None}
    papers = [sheet for sheet in sheets() if sheet.name not in known]
    for here, others in ((evidence.here, evidence.others), (evidence.on_paper, papers)):
        if here is None:
            continue
        for other in others:
            speedup = _speedup(evidence, here, other, by_memory=by_memory)
            if other.name != here.name and speedup is not None and speedup >= _LEAST_SPEEDUP:
                found.append((speedup, other))
    ranked = sorted(found, key=lambda one: (one[1].nodes == 0, -one[0], one[1].name))
    for speedup, other in ranked[:_MOST_NAMED]:
        yield _advice(evidence, other, share, speedup, by_memory=by_memory)


def _speedup(evidence: Evidence, here: Device, other: Device, *, by_memory: bool) -> float | None:
    """Return the ratio of what holds back; None when it is not known or the model does not fit."""
    needed = _memory_needed(evidence)
    if needed is not None and other.memory_bytes is not None and other.memory_bytes < needed:
        return None
    if by_memory:
        if not here.copy_gb_s or not other.copy_gb_s:
            return None
        return other.copy_gb_s / here.copy_gb_s
    common = {d: other.rates[d] / here.rates[d] for d in here.rates if other.rates.get(d)}
    profile = evidence.profile
    in_use = {} if profile is None else profile.precisions
    dtype = max(in_use, key=lambda name: in_use[name], default=None)
    # Without a profile nobody knows the type in use: the smallest ratio is the cautious one.
    return common.get(dtype) if dtype is not None else min(common.values(), default=None)


def _memory_needed(evidence: Evidence) -> float | None:
    devices = () if evidence.gpu is None else evidence.gpu.devices
    known = [one.memory_used_bytes for one in devices if one.memory_used_bytes is not None]
    return max(known, default=None)


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
