"""What a failed call to the cluster means for the status.

Role: turn a typed failure into conditions, and take them back once a tick went well. Must not know:
exceptions, clients, retries. Trade-off: a failure never moves the state; it is told beside it, so
that the next tick plans from the same place.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from infertune.api.conditions import Observation, set_condition
from infertune.api.status import Condition, TuningStatus

FailureName = Literal[
    "Unavailable", "Conflict", "Forbidden", "Refused", "AlreadyExists", "Gone", "FieldTaken"
]
_STALLING: frozenset[str] = frozenset({"Forbidden", "Refused", "AlreadyExists"})
_RECOVERED = ("Recovered", "The cluster accepts it again.")
_GOOD = (Observation("Ready", "True", *_RECOVERED), Observation("Stalled", "False", *_RECOVERED))


@dataclass(frozen=True, slots=True)
class Failure:
    """One failed call. ``field`` and ``owner`` are set for ``FieldTaken``."""

    name: FailureName
    message: str
    field: str = ""
    owner: str = ""


def record_failure(
    status: TuningStatus, failure: Failure, now: datetime, generation: int
) -> TuningStatus:
    """Return the status with the conditions that this failure gives.

    Unavailable, Conflict and Gone change nothing: they pass by themselves or are found by the
    next look. A stall that somebody else reported (an invalid spec, a halt) is left as it is.
    """
    conditions = status.conditions
    for observation in _observations(failure):
        if not _foreign_stall(conditions, observation):
            conditions = set_condition(conditions, observation, now, generation)
    return status.model_copy(update={"conditions": conditions})


def clear_failures(status: TuningStatus, now: datetime, generation: int) -> TuningStatus:
    """Return the status without the conditions of earlier failures, after a tick that went well.

    ``FieldConflict`` stays: only the decision that follows it may take it back.
    """
    conditions = status.conditions
    stalled = {c.type for c in conditions if c.reason in _STALLING}
    for good in _GOOD:
        if good.type in stalled:
            conditions = set_condition(conditions, good, now, generation)
    if conditions == status.conditions:
        return status
    return status.model_copy(update={"conditions": conditions})


def _observations(failure: Failure) -> tuple[Observation, ...]:
    if failure.name == "FieldTaken":
        owner = f" (owner: {failure.owner})" if failure.owner else ""
        message = f"{failure.field}{owner}: {failure.message}"
        return (Observation("FieldConflict", "True", "FieldTaken", message),)
    if failure.name in _STALLING:
        return (
            Observation("Ready", "False", failure.name, failure.message),
            Observation("Stalled", "True", failure.name, failure.message),
        )
    return ()


def _foreign_stall(conditions: tuple[Condition, ...], new: Observation) -> bool:
    return any(
        old.type == new.type == "Stalled" and old.status == "True" and old.reason not in _STALLING
        for old in conditions
    )
