"""How evenly equal members share: the index that devices, nodes and replicas are judged by.

Pure, standard library only. It must not know what is shared. Trade-off: mean over maximum says how
much of the members' joint capacity is used when the busiest (or fastest) of them is at its limit;
it says nothing of the others' order.
"""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

# Below this, a tenth of what the members could carry together is out of reach.
BALANCED = 0.90


def balance_index(values: Sequence[float]) -> float | None:
    """Return mean over maximum, 1 when all are equal; None without a value above zero.

    Example: 100, 100 and 40 have a mean of 80 and a maximum of 100: 0.8.
    """
    if not values or max(values) <= 0:
        return None
    # Of equal values the mean may come out a hair above them.
    return min(1.0, statistics.fmean(values) / max(values))
