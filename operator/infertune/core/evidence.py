"""Measurements become evidence, or a typed reason why there is none.

Role: the value types that every judgement takes, and the statistics that make them. Must not know:
thresholds. Trade-off: a figure without an interval is allowed, but it must say why.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

NoDataReason = Literal[
    "Missing", "Stale", "TooFew", "CannotAttribute", "Invalid", "OutsideBuckets", "Unavailable"
]


@dataclass(frozen=True, slots=True)
class Interval:
    """A confidence interval; ``level`` is a fraction such as 0.95."""

    low: float
    high: float
    level: float


@dataclass(frozen=True, slots=True)
class Measured:
    """A measured value. ``interval`` is None only together with ``no_interval_reason``."""

    value: float
    unit: str
    n: int
    window_seconds: float
    interval: Interval | None = None
    no_interval_reason: str | None = None


@dataclass(frozen=True, slots=True)
class NoData:
    """There is no value, and this is why. Never read as zero."""

    reason: NoDataReason
    detail: str


Evidence: TypeAlias = Measured | NoData
