"""The one state table of a tuning's lifecycle.

Role: which event leads from which state to which. Must not know: manifests, effects, evidence.
Trade-off: a pair that is not in the table is a bug and raises; nothing is ignored silently.
"""

from collections.abc import Mapping
from typing import Literal, get_args

from infertune.api.status import StateName

RolloutEvent = Literal[
    "TargetResolved",
    "TargetMissing",
    "TargetChanged",
    "ProbesDone",
    "ProbesRefused",
    "SearchDone",
    "NothingKeepsSlo",
    "NothingToChange",
    "Recommended",
    "ApplyDecided",
    "RolloutComplete",
    "ApplyFailed",
    "VerifyPassed",
    "VerifyKept",
    "VerifyFailed",
    "RollbackComplete",
    "FieldTaken",
    "FieldReturned",
    "AutoscalerChanged",
    "BoundsTaken",
    "IntentFound",
    "IntentLost",
    "AbortRequested",
    "Retried",
    "SpecChanged",
    "DeletionRequested",
]
EVENTS: tuple[RolloutEvent, ...] = get_args(RolloutEvent)

TRANSITIONS: Mapping[StateName, Mapping[RolloutEvent, StateName]] = {
    "Pending": {
        "TargetResolved": "Probing",
        "IntentFound": "RollingBack",
        "TargetMissing": "Pending",
        "AbortRequested": "Halted",
        "SpecChanged": "Pending",
    },
    "Probing": {
        "ProbesDone": "Searching",
        "ProbesRefused": "Halted",
        "TargetMissing": "Pending",
        "TargetChanged": "Pending",
        "AbortRequested": "Halted",
        "SpecChanged": "Pending",
    },
    "Searching": {
        "SearchDone": "Deciding",
        "TargetMissing": "Pending",
        "TargetChanged": "Pending",
        "AbortRequested": "Halted",
        "SpecChanged": "Pending",
    },
    "Deciding": {
        "NothingKeepsSlo": "Stable",
        "NothingToChange": "Stable",
        "Recommended": "Stable",
        "ApplyDecided": "Applying",
        "TargetMissing": "Pending",
        "TargetChanged": "Pending",
        "AbortRequested": "Halted",
        "SpecChanged": "Pending",
    },
    "Applying": {
        "RolloutComplete": "Verifying",
        "ApplyFailed": "RollingBack",
        "FieldTaken": "Halted",
        "BoundsTaken": "RollingBack",
        "IntentFound": "RollingBack",
        "IntentLost": "Halted",
        "AbortRequested": "RollingBack",
        "SpecChanged": "RollingBack",
        "DeletionRequested": "RollingBack",
        "TargetMissing": "Halted",
    },
    "Verifying": {
        "VerifyPassed": "Stable",
        "VerifyKept": "Stable",
        "VerifyFailed": "RollingBack",
        "FieldTaken": "Halted",
        "BoundsTaken": "RollingBack",
        "IntentFound": "RollingBack",
        "IntentLost": "Halted",
        "AbortRequested": "RollingBack",
        "SpecChanged": "RollingBack",
        "DeletionRequested": "RollingBack",
        "TargetMissing": "Halted",
    },
    "RollingBack": {
        "RollbackComplete": "Halted",
        "FieldTaken": "Halted",
        "IntentFound": "RollingBack",
        "IntentLost": "Halted",
        "TargetMissing": "Halted",
    },
    "Stable": {
        "FieldTaken": "Halted",
        "AutoscalerChanged": "Deciding",
        "SpecChanged": "Pending",
        "Retried": "Pending",
        "TargetMissing": "Stable",
    },
    "Halted": {
        "FieldTaken": "Halted",
        "FieldReturned": "Stable",
        "SpecChanged": "Pending",
        "Retried": "Pending",
        "TargetMissing": "Halted",
    },
}

ROLLOUT_OPEN: frozenset[StateName] = frozenset({"Applying", "Verifying", "RollingBack"})


class IllegalTransition(Exception):
    """An event that its state does not know: a bug in the caller."""


def advance(state: StateName, event: RolloutEvent) -> StateName:
    """Return the next state.

    Raises:
        IllegalTransition: the table has no such pair.
    """
    following = TRANSITIONS[state].get(event)
    if following is None:
        message = f"{event} is not an event of {state}"
        raise IllegalTransition(message)
    return following


def diagram() -> str:
    """Return the table as a Mermaid state diagram for the docs."""
    lines = ["stateDiagram-v2", "    [*] --> Pending"]
    for state, row in TRANSITIONS.items():
        targets: dict[StateName, list[str]] = {}
        for event, following in row.items():
            targets.setdefault(following, []).append(event)
        lines.extend(
            f"    {state} --> {following}: {', '.join(events)}"
            for following, events in targets.items()
        )
    return "\n".join(lines) + "\n"
