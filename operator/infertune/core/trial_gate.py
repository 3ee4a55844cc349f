"""May a trial start now? Whatever speaks against it, as one word and one sentence.

Role: everything outside the candidate that a trial has to respect, asked before the first pod and,
where it matters, while it runs. Must not know: candidates, how a trial is driven. Trade-off: the
first reason is the answer; people mend one thing at a time, and waiting needs only one.
"""

from dataclasses import dataclass
from typing import Literal

from infertune.api.status import TuningStatus
from infertune.core.copy_hazards import hazard_of
from infertune.core.manifests.trial_pod import mesh_labels
from infertune.core.manifests.trial_server import selected_by
from infertune.core.resolve import Resolved
from infertune.core.snapshot import JobView, Slot, TargetView
from infertune.core.story import Context

YIELDED = "YieldedToLive"
WAITING_FOR_SLOT = "WaitingForSlot"
_EXACT = 10


@dataclass(frozen=True, slots=True)
class Closed:
    """Why no trial may start. ``Refused``: somebody has to mend it; ``Waiting``: it passes."""

    kind: Literal["Refused", "Waiting"]
    reason: str
    message: str


def gate(context: Context, resolved: Resolved) -> Closed | None:
    """Return why no trial may start now, or None."""
    return (
        _hazard(context)
        or _selected(context, resolved)
        or starved(context.snapshot.target)
        or crowded(context.snapshot.slot)
    )


def crowded(slot: Slot | None) -> Closed | None:
    """Return that others run as many trials as may run at once, with the place in the line."""
    if slot is None or slot.granted:
        return None
    if not slot.counted:
        words = "the operator has just started and counts the trials that run"
        return Closed("Waiting", WAITING_FOR_SLOT, words)
    words = (
        f"place {_rounded(slot.place)} of {_rounded(slot.waiting)} in the line: {slot.running} of "
        f"{slot.limit} trials run in this {slot.scope} (maxConcurrentTrials of the chart)"
    )
    return Closed("Waiting", WAITING_FOR_SLOT, words)


def waits_in_line(status: TuningStatus) -> bool:
    """Return whether the last look left a tuning in the line with no trial of its own open."""
    held = any(
        c.type == "TrialsAllowed" and c.reason == WAITING_FOR_SLOT for c in status.conditions
    )
    return held and not any(trial.phase == "Running" for trial in status.trials)


def keeps_slot(status: TuningStatus, jobs: tuple[JobView, ...], *, goes_on: bool) -> bool:
    """Return whether a tuning still needs its slot: it keeps it until its search ends or is held.

    ``goes_on`` says that the next look at the search follows at once.
    """
    runs = any(trial.phase == "Running" for trial in status.trials)
    servers = any(job.role == "server" for job in jobs)
    return (status.state == "Searching" and (runs or servers or goes_on)) or servers


def _rounded(number: int) -> str:
    """A long line moves all the time; status is written when a place moves by tens."""
    return str(number) if number <= _EXACT else f"about {-(-number // _EXACT) * _EXACT}"


def starved(target: TargetView | None) -> Closed | None:
    """Return that a live pod finds no room, which a trial must not take from it.

    Only pods of the target are looked at; the scheduler itself lets every other pod of a higher
    priority push a trial off its node.
    """
    for pod in target.pods if target else ():
        if pod.no_room:
            words = f"live pod {pod.name} waits for room, trials give way: {pod.no_room}"
            return Closed("Waiting", "LivePodsPending", words)
    return None


def _hazard(context: Context) -> Closed | None:
    target = context.snapshot.target
    if target is None:
        return None
    override = context.spec.trial.pod_template_override
    found = hazard_of(target.raw, override, context.snapshot.access_modes)
    return None if found is None else Closed("Refused", found.word, found.message)


def _selected(context: Context, resolved: Resolved) -> Closed | None:
    """A pod that a Service picks would get live traffic; one that is counted changes decisions."""
    shared = mesh_labels(resolved.template, context.spec)
    picked = selected_by(context.tuning, "any", context.snapshot.selectors, shared)
    if picked is None:
        return None
    words = f"{picked.kind} {picked.name!r} selects the labels of trial pods: narrow its selector"
    return Closed("Refused", "TrialsSelected", words)
