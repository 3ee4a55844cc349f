"""When requests are meant to leave: offsets in seconds from the start of a level.

Pure; it must not know about sockets or clocks. Trade-off: Poisson arrivals are the textbook
stranger, calmer than most recorded traffic; the result names the process so that nobody mistakes
one for the other.
"""

from __future__ import annotations

import random
from itertools import count
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

Process = Literal["constant", "poisson"]


def offsets(process: Process, rate: float, seed: int) -> Iterator[float]:
    """Yield ascending offsets in seconds, without end, at `rate` per second on average.

    The same seed yields the same Poisson stream. Example: constant, 4 per second: 0, 0.25, 0.5.

    Raises:
        ValueError: when the rate is not positive.
    """
    if not rate > 0:
        msg = f"the rate must be positive, not {rate!r}"
        raise ValueError(msg)
    if process == "constant":
        # Multiplying instead of summing keeps the millionth offset exact.
        yield from (index / rate for index in count())
        return
    source = random.Random(seed)  # noqa: S311  # reproducible traffic, not a secret
    at = 0.0
    while True:
        at += source.expovariate(rate)
        yield at
