"""Condition types and the one rule how they change.

Role: the vocabulary of ``status.conditions``. Must not know: the clock (the time comes in), the
cluster. Trade-off: conditions are a tuple rebuilt on every change; there are at most a dozen.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

from infertune.api.status import Condition

ConditionType = Literal[
    "Ready",
    "Reconciling",
    "Stalled",
    "TargetAvailable",
    "MetricsAvailable",
    "ProbesHealthy",
    "TrialsAllowed",
    "SLOAchievable",
    "RecommendationReady",
    "Applied",
    "Verified",
    "HPAMetricBlind",
    "FieldConflict",
]
CONDITION_TYPES: tuple[ConditionType, ...] = get_args(ConditionType)
ConditionStatus = Literal["True", "False", "Unknown"]


@dataclass(frozen=True, slots=True)
class Observation:
    """What is now known about one condition type."""

    type: ConditionType
    status: ConditionStatus
    reason: str
    message: str


def first_conditions(now: datetime, generation: int) -> tuple[Condition, ...]:
    """Return every condition as Unknown: status tells the truth before anything was observed."""
    return tuple(
        Condition(
            type=name,
            status="Unknown",
            reason="NotObservedYet",
            message="Not observed yet.",
            last_transition_time=now,
            observed_generation=generation,
        )
        for name in CONDITION_TYPES
    )


def set_condition(
    conditions: tuple[Condition, ...], new: Observation, now: datetime, generation: int
) -> tuple[Condition, ...]:
    """Return the conditions with ``new`` in them; lastTransitionTime moves only with status."""
    old = next((c for c in conditions if c.type == new.type), None)
    since = old.last_transition_time if old and old.status == new.status else now
    fresh = Condition(
        type=new.type,
        status=new.status,
        reason=new.reason,
        message=new.message[:2048],
        last_transition_time=since,
        observed_generation=generation,
    )
    if old is None:
        return (*conditions, fresh)
    return tuple(fresh if c.type == new.type else c for c in conditions)
