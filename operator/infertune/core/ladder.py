"""Which request rates a trial climbs: those that change how many replicas are needed.

Role: from the peak and the replica limits to a short ladder of rates per replica. Must not know:
candidates, verdicts. Trade-off: only rates peak / k are offered, so a trial answers "how many
replicas" directly and says nothing finer.
"""

import math

from infertune.api.knobs import ReplicaLimits

_SIGNIFICANT = 4
_MOST_DECIMALS = 3


def rate_for(peak: float, replicas: int) -> float:
    """Return the rate of one of ``replicas`` at the peak, rounded up to four significant digits.

    Rounded up, so that a passed rate really carries its share: 100 / 3 gives 33.34, and
    100 / 33.34 needs 3 replicas, where 33.33 would need 4. At most three decimals.
    """
    exact = peak / replicas
    digits = _SIGNIFICANT - 1 - math.floor(math.log10(exact))
    decimals = min(digits, _MOST_DECIMALS)
    step = 10.0**-decimals
    return round(math.ceil(exact / step * (1 - 1e-12)) * step, max(decimals, 0))


def spaced(most: int, fewest: int, count: int) -> tuple[int, ...]:
    """Return up to ``count`` replica counts from ``most`` down to ``fewest``, evenly in ratio.

    Both ends are kept; with room for one only, it is ``most``, the easiest rate.

    >>> spaced(10, 1, 4)
    (10, 5, 2, 1)
    """
    if count <= 1 or most <= fewest:
        return (most,)
    if most - fewest < count:
        return tuple(range(most, fewest - 1, -1))
    ratio = (fewest / most) ** (1 / (count - 1))
    picked = [most]
    for position in range(1, count):
        wanted = round(most * ratio**position)
        # Room for the steps below must be left, and two steps are never the same.
        picked.append(max(min(wanted, picked[-1] - 1), fewest + count - 1 - position))
    return tuple(picked)


def ladder(peak: float, most: int, fewest: int, max_rates: int) -> tuple[float, ...]:
    """Return the rising rates of a trial for ``most`` down to ``fewest`` replicas."""
    rates = [rate_for(peak, count) for count in spaced(most, fewest, max_rates)]
    return tuple(dict.fromkeys(rates))


def limits_ladder(peak: float, limits: ReplicaLimits, max_rates: int) -> tuple[float, ...]:
    """Return the ladder over all that the user's replica limits allow."""
    return ladder(peak, limits.max, limits.min, max_rates)
