"""May a trial start now? Whatever speaks against it, as one word and one sentence.

Role: everything outside the candidate that a trial has to respect, asked before the first pod and,
where it matters, while it runs. Must not know: candidates, how a trial is driven. Trade-off: the
first reason is the answer; people mend one thing at a time, and waiting needs only one.
"""

from dataclasses import dataclass
from typing import Literal

from infertune.core.copy_hazards import hazard_of
from infertune.core.manifests.trial_pod import mesh_labels
from infertune.core.manifests.trial_server import selected_by
from infertune.core.resolve import Resolved
from infertune.core.snapshot import TargetView
from infertune.core.story import Context

YIELDED = "YieldedToLive"


@dataclass(frozen=True, slots=True)
class Closed:
    """Why no trial may start. ``Refused``: somebody has to mend it; ``Waiting``: it passes."""

    kind: Literal["Refused", "Waiting"]
    reason: str
    message: str


def gate(context: Context, resolved: Resolved) -> Closed | None:
    """Return why no trial may start now, or None."""
    return _hazard(context) or _selected(context, resolved) or starved(context.snapshot.target)


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
