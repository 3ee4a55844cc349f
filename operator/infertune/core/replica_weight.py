"""What one replica of a candidate weighs, in replicas of today: resource knobs change its size.

Role: from the resources that a pod would request to one factor and the resource behind it. Must not
know: prices, replica counts, what wins. Trade-off: nobody here knows what a core costs beside a
gigabyte, so the resource that grows most stands for all of them, and a saving counts only as far as
every one of them shrinks; beside a GPU the rest of a server is small change and counts for nothing.
"""

import copy
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

from infertune.api.knobs import Knobs
from infertune.core.knobs import resource_slots
from infertune.core.quantities import pod_amounts, quantity
from infertune.core.space import Candidate
from infertune.core.turning import Stand

GPU = "nvidia.com/gpu"
_PLAIN = ("cpu", "memory")


@dataclass(frozen=True, slots=True)
class Weight:
    """``factor`` replicas of today, by the request of ``resource``; empty where none differs."""

    factor: Fraction = Fraction(1)
    resource: str = ""


SAME = Weight()


def weight_of(stand: Stand, knobs: Knobs, candidate: Candidate) -> Weight:
    """Return what a replica of this candidate weighs.

    Requests of the whole pod are compared, as the scheduler counts them. With GPUs their number
    decides (a first one counts as another replica), else the larger of the two factors of CPU and
    memory. A resource that is not requested today has no factor.
    """
    today, _ = pod_amounts(stand.template.get("spec", {}))
    then, _ = pod_amounts(_resized(stand, knobs, candidate))
    if today == then:
        return SAME
    gpus = then.get(GPU, Decimal(0))
    if today.get(GPU):
        return Weight(_ratio(gpus, today[GPU]), GPU) if gpus != today[GPU] else SAME
    if gpus:
        return Weight(1 + Fraction(gpus), GPU)
    factors = [(_ratio(then.get(n, today[n]), today[n]), n) for n in _PLAIN if today.get(n)]
    factor, name = max(factors, default=(Fraction(1), ""))
    return Weight(factor, name) if factor != 1 else SAME


def _ratio(one: Decimal, other: Decimal) -> Fraction:
    return Fraction(one) / Fraction(other) if other else Fraction(1)


def _resized(stand: Stand, knobs: Knobs, candidate: Candidate) -> dict[str, Any]:
    """Return the pod spec with what the candidate's resource knobs would write."""
    pod = copy.deepcopy(dict(stand.template.get("spec", {})))
    name, settings = stand.container.get("name"), dict(candidate.settings)
    serving = next(one for one in pod["containers"] if one.get("name") == name)
    resources = serving.setdefault("resources", {})
    for setting in knobs.settings:
        value = settings.get(setting.name)
        if setting.resource is None or value is None or quantity(value) is None:
            continue
        for slot in resource_slots(setting):
            part, _, resource = slot.partition("/")
            resources.setdefault(part, {})[resource] = value
    return pod
