"""What one ended trial says to the search.

Role: from a trial record to its measured levels, its knee and an estimate between the levels. Must
not know: other trials, what to try next. Trade-off: the estimate gives the search a direction from
two latencies; no verdict and no recommendation ever rests on it.
"""

import math
from dataclasses import dataclass
from typing import Literal, get_args

from infertune.api.status import RateLevel, TrialRecord, VerdictName
from infertune.core.admission import RefusalWord
from infertune.core.capacity import knee_of
from infertune.core.load_access import LOAD_ACCESS_WORDS
from infertune.core.space import Candidate, settings_of
from infertune.core.trials import LOAD_BLOCKED

FailureName = Literal[
    "QualityFailed",
    "ImageUnavailable",
    "OutOfMemory",
    "Crashed",
    "NotReady",
    "NoCapacity",
    "Refused",
    "Invalid",
    "Running",
]
_OVERLOADED = 0.98
# A server keeps a promise of a few service times up to about this share of its capacity.
KNEE_OF_CAPACITY = 0.85
_FULL_BATCHES = 1.5


@dataclass(frozen=True, slots=True)
class LevelPoint:
    """One measured rate. ``p95_ms`` (the promised percentile) is None when it is not known.

    ``achieved_rate`` below the rate is what an overloaded server got through: about its capacity.
    """

    rate: float
    verdict: VerdictName
    p95_ms: float | None = None
    achieved_rate: float | None = None


@dataclass(frozen=True, slots=True)
class TrialOutcome:
    """What one ended trial says. ``failure`` set: nothing about load."""

    candidate: Candidate
    levels: tuple[LevelPoint, ...] = ()
    failure: FailureName | None = None
    startup_seconds: float | None = None

    @property
    def knee_rate(self) -> float | None:
        """Highest passed rate below the lowest failed one."""
        return knee_of((level.rate, level.verdict) for level in self.levels)


def outcome_of(record: TrialRecord) -> TrialOutcome:
    """Return what a trial record means to the search."""
    tried = record.candidate
    candidate = Candidate(tried.image, tried.batch_size, settings_of(tried.settings))
    if record.phase == "Completed":
        levels = tuple(_point(level) for level in record.levels)
        return TrialOutcome(candidate, levels, None, record.startup_seconds)
    return TrialOutcome(candidate, (), _failure_of(record), record.startup_seconds)


def lowest_unproven(outcome: TrialOutcome) -> float:
    """Return the lowest rate that was measured and did not pass; infinite without one."""
    return min(
        (level.rate for level in outcome.levels if level.verdict != "Pass"), default=math.inf
    )


def estimated_knee(outcome: TrialOutcome, slo_ms: float | None) -> float:
    """Return about which rate meets the promise, between the highest pass and the next level.

    On the line through (rate, ln P95); where a latency is missing, the geometric mean. Never above
    what an overloaded server got through. Below the lowest measured rate in proportion to the
    latency, since nothing else is known there.
    """
    levels = sorted(outcome.levels, key=lambda level: level.rate)
    knee = outcome.knee_rate
    beyond = next((level for level in levels if level.rate > (knee or 0.0)), None)
    if beyond is None:
        return knee or 0.0
    capacity = beyond.rate
    if beyond.achieved_rate is not None and beyond.achieved_rate < _OVERLOADED * beyond.rate:
        capacity = beyond.achieved_rate * KNEE_OF_CAPACITY
    if knee is None:
        slow = slo_ms / beyond.p95_ms if slo_ms is not None and beyond.p95_ms else 0.5
        if capacity < beyond.rate:
            return capacity * _room_for_full_batches(outcome.candidate, capacity, slo_ms)
        return beyond.rate * min(slow, 1.0)
    at = next(level for level in levels if level.rate == knee)
    if capacity < beyond.rate and slo_ms is not None and at.p95_ms:
        return _below_overload(at, capacity / KNEE_OF_CAPACITY, slo_ms)
    return max(_crossing(at, beyond, slo_ms), knee)


def _room_for_full_batches(candidate: Candidate, capacity: float, slo_ms: float | None) -> float:
    """Return which share of its capacity an overloaded server may use within the promise.

    A server at capacity c works on full batches, each of b / c seconds. Where one and a half of
    them outlast the promise, it can keep it only at rates that leave its batches part empty.
    """
    if candidate.batch_size is None or slo_ms is None:
        return 1.0
    full_ms = candidate.batch_size / (capacity / KNEE_OF_CAPACITY) * 1000
    return min(slo_ms / (_FULL_BATCHES * full_ms), 1.0)


def _below_overload(at: LevelPoint, capacity: float, slo_ms: float) -> float:
    """Return the rate that meets the promise when latency grows as 1 / (1 - rate / capacity)."""
    assert at.p95_ms is not None
    room = max(1 - at.rate / capacity, 0.0) * min(at.p95_ms / slo_ms, 1.0)
    return max(capacity * (1 - room), at.rate)


def _crossing(at: LevelPoint, beyond: LevelPoint, slo_ms: float | None) -> float:
    """Return the rate between two levels at which the latency would meet the promise."""
    if slo_ms is None or not at.p95_ms or not beyond.p95_ms or beyond.p95_ms <= at.p95_ms:
        return math.sqrt(at.rate * beyond.rate)
    share = math.log(slo_ms / at.p95_ms) / math.log(beyond.p95_ms / at.p95_ms)
    return at.rate + (beyond.rate - at.rate) * min(max(share, 0.0), 1.0)


def _point(level: RateLevel) -> LevelPoint:
    return LevelPoint(level.offered_rate, level.verdict, level.p95.value, level.achieved_rate)


def _failure_of(record: TrialRecord) -> FailureName:
    if record.phase == "Running":
        return "Running"
    if record.reason in (*get_args(RefusalWord), *LOAD_ACCESS_WORDS, LOAD_BLOCKED):
        return "Refused"
    if record.phase == "Invalid":
        return "Invalid"
    names: tuple[FailureName, ...] = get_args(FailureName)
    return next((name for name in names if name == record.reason), "Crashed")
