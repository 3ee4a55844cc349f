"""The honest no: nothing keeps the promise, this is the best, and this is what limits it.

Role: the first-class answer of a search without a result. Must not know: effects; nothing is
changed. Trade-off: a search that its budget ended says Unknown, since it has proven nothing.
"""

from infertune.api.conditions import Observation
from infertune.api.status import TrialRecord
from infertune.core.budget import exceeded
from infertune.core.plan import Event
from infertune.core.render import configuration_text, number, shown
from infertune.core.story import Context, Outcome


def nothing_keeps_it(context: Context, gpus: int) -> Outcome:
    """Return the end of a search that found nothing to recommend; the target stays as it is."""
    spec, demand = context.spec, context.spec.demand
    measured = [t for t in context.status.trials if t.phase == "Completed" and t.levels]
    best = max(measured, key=lambda t: t.knee_rate or 0.0, default=None)
    failed = any(level.verdict == "Fail" for trial in measured for level in trial.levels)
    if best is None:
        failures = "; ".join(f"{t.reason}: {t.message}" for t in context.status.trials[-3:])
        words = f"no trial gave a usable measurement ({failures or 'none was run'})"
        seen = Observation("SLOAchievable", "Unknown", "NothingMeasured", words)
    elif best.knee_rate is not None:
        needed = demand.peak_requests_per_second / best.knee_rate
        words = (
            f"best is {configuration_text(best.candidate)} with {number(best.knee_rate)}/s per "
            f"replica: {demand.peak_requests_per_second}/s would need {needed:.1f} replicas, "
            f"spec.knobs.replicas.max is {spec.knobs.replicas.max}; limited by the replica limit"
        )
        seen = _no("ReplicaLimit", words, _cut_short(context, gpus))
    elif (close := _unproven(context, measured)) is not None:
        words = close + _cut_short(context, gpus)
        seen = Observation("SLOAchievable", "Unknown", "Inconclusive", words)
    elif failed:
        seen = _no("Unreachable", _no_knee(context, measured), _cut_short(context, gpus))
    else:
        words = "no rate was proven to keep or to break the promise" + _cut_short(context, gpus)
        seen = Observation("SLOAchievable", "Unknown", "Inconclusive", words)
    words = seen.message
    return Outcome(
        event="NothingKeepsSlo",
        observed=(
            seen,
            Observation("RecommendationReady", "False", seen.reason, "nothing is changed"),
        ),
        told=(Event("Warning", seen.reason, words),),
        decision=f"nothing is changed: {words}",
        requeue_seconds=0.0,
    )


def _no(reason: str, words: str, cut_short: str) -> Observation:
    """Return a proven no; a search that its budget ended has proven nothing."""
    if cut_short:
        return Observation("SLOAchievable", "Unknown", "BudgetSpent", words + cut_short)
    return Observation("SLOAchievable", "False", reason, words)


def _cut_short(context: Context, gpus: int) -> str:
    """Say that more might be found, when it was the budget that ended the search."""
    over = exceeded(context.spec, context.status, context.now, gpus)
    return "" if over is None else f"; the budget ended the search: {over}"


def _unproven(context: Context, measured: list[TrialRecord]) -> str | None:
    """Name the best rate that looked good on too few requests to prove it, or None."""
    slo = context.spec.slo
    open_ended = [
        (trial, level)
        for trial in measured
        for level in trial.levels
        if level.verdict == "Inconclusive"
        and level.p95.value is not None
        and level.p95.value <= slo.latency_milliseconds
    ]
    if not open_ended:
        return None
    trial, level = max(open_ended, key=lambda pair: pair[1].offered_rate)
    return (
        f"no rate was proven to keep the promise; closest is {shown(level.p95)} at "
        f"{number(level.offered_rate)}/s per replica with {configuration_text(trial.candidate)}, "
        f"from {level.p95.samples} requests ({level.reason}): raise spec.trial.secondsPerRate"
    )


def _no_knee(context: Context, measured: list[TrialRecord]) -> str:
    """Say the best that was found, and what limited it."""
    with_p95 = [(t, level) for t in measured for level in t.levels if level.p95.value is not None]
    slo = context.spec.slo
    if not with_p95:
        return "no rate of any trial was answered without failures; limited by throughput"
    trial, level = min(with_p95, key=lambda pair: pair[1].p95.value or 0.0)
    return (
        f"P{slo.percentile} <= {slo.latency_milliseconds} ms cannot be kept: best is "
        f"{shown(level.p95)} at {number(level.offered_rate)}/s per replica with "
        f"{configuration_text(trial.candidate)}; limited by compute per replica"
    )
