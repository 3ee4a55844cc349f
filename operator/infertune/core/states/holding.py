"""Holding back: a recommendation that must not be rolled out as things stand.

Role: what was measured and what the cluster allows, put to ``feasibility``; the answer as a
condition. Must not know: the order of writes. Trade-off: the tuning keeps asking instead of ending
in Stable, so that a mended workload or quota is enough and the spec need not be touched.
"""

from infertune.api.conditions import Observation
from infertune.api.status import RolloutIntent
from infertune.core.capacity import knee_of, replicas_for
from infertune.core.feasibility import (
    Change,
    Infeasible,
    budget_notes,
    low_bound,
    why_infeasible,
)
from infertune.core.plan import Effect, Event
from infertune.core.resolve import Resolved
from infertune.core.space import Candidate
from infertune.core.story import Context, Outcome

ASK_AGAIN_SECONDS = 60.0


def held_back(
    context: Context, resolved: Resolved, intent: RolloutIntent, effects: tuple[Effect, ...]
) -> Outcome | None:
    """Return the waiting for a change that cannot be rolled out now; None when it can be."""
    found = why_infeasible(change_of(context, resolved, intent))
    if found is None:
        return None
    told = () if _told(context, found) else (Event("Warning", found.reason, found.message),)
    return Outcome(
        observed=(Observation("Applied", "False", found.reason, found.message),),
        effects=effects,
        told=told,
        decision=f"recommended, not applied: {found.message}" if told else "",
        requeue_seconds=ASK_AGAIN_SECONDS,
    )


def change_of(context: Context, resolved: Resolved, intent: RolloutIntent) -> Change:
    """Return the change with all that was measured about it."""
    assert context.snapshot.target is not None
    return Change(
        workload=context.snapshot.target.raw,
        intent=intent,
        rules=context.spec.rollout,
        quotas=context.snapshot.quotas,
        startup_seconds=_startup_seconds(context),
        needed_replicas=_needed_replicas(context, resolved),
    )


def notes_of(context: Context, resolved: Resolved, intent: RolloutIntent) -> tuple[str, ...]:
    """Return what is worth knowing about a change that can be rolled out."""
    assert context.snapshot.target is not None
    before = low_bound(resolved.bounds, resolved.replicas)
    after = low_bound(intent.bounds_after, before)
    return budget_notes(context.snapshot.budgets, context.snapshot.target.raw, before, after)


def _told(context: Context, found: Infeasible) -> bool:
    applied = next((c for c in context.status.conditions if c.type == "Applied"), None)
    return applied is not None and (applied.reason, applied.message) == (
        found.reason,
        found.message,
    )


def _startup_seconds(context: Context) -> float | None:
    """Return the start-up time of the recommended setting, as its trial measured it."""
    recommended = context.status.recommendation
    name = recommended.trial if recommended is not None else ""
    return next((t.startup_seconds for t in context.status.trials if t.name == name), None)


def _needed_replicas(context: Context, resolved: Resolved) -> int | None:
    """Return how many replicas of today's setting carry today's traffic; None: not known."""
    figures = context.status.live or context.status.baseline
    rate = figures.request_rate.value if figures is not None else None
    today = Candidate(resolved.image, resolved.batch_size)
    levels = [
        (level.offered_rate, level.verdict)
        for trial in context.status.trials
        if trial.phase == "Completed"
        and Candidate(trial.candidate.image, trial.candidate.batch_size) == today
        for level in trial.levels
    ]
    knee = knee_of(levels)
    return None if rate is None or knee is None else replicas_for(rate, knee)
