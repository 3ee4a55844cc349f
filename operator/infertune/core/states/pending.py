"""Pending: find the target, its autoscaler and its metrics; take the baseline of today.

Role: nothing is measured or changed before all that the spec names is really there. Must not know:
probes, trials. Trade-off: Recommend goes on without live traffic, since trials alone can answer
it; Apply waits, since it could not verify what it changes.
"""

from dataclasses import replace

from infertune.api.conditions import Observation
from infertune.api.status import LiveFigures, TargetFacts
from infertune.core.evidence import Measured, NoData
from infertune.core.render import configuration_text, reading, shown
from infertune.core.resolve import Problem, Resolved, missing_config_map, resolve
from infertune.core.snapshot import LiveEvidence
from infertune.core.states.cleanup import delete_jobs
from infertune.core.story import Context, Outcome

LOOK_AGAIN_SECONDS = 15.0


def pending(context: Context) -> Outcome:
    """Return the next step: a condition that says what is missing, or on to the probes.

    Jobs of an earlier generation, or of a target that vanished, hold devices for nothing.
    """
    leftovers = delete_jobs(context.key, context.snapshot.jobs)
    return replace(_look(context), effects=leftovers)


def _look(context: Context) -> Outcome:
    resolved = resolve(context.snapshot, context.spec)
    problem = resolved if isinstance(resolved, Problem) else None
    problem = problem or missing_config_map(context.snapshot, context.spec)
    if problem is not None or isinstance(resolved, Problem):
        assert problem is not None
        return not_there(problem)
    if not resolved.nodes:
        return not_there(
            Problem("TargetAvailable", "NoLivePods", "the target has no pod on a node yet")
        )
    there = Observation("TargetAvailable", "True", "Found", _target_sentence(resolved))
    live = context.snapshot.live
    if not isinstance(live, LiveEvidence):
        return _without_metrics(context, resolved, there, live)
    missing = missing_from(live)
    if missing is not None:
        return _without_metrics(context, resolved, there, missing)
    return _baseline_taken(resolved, there, live)


def missing_from(live: LiveEvidence) -> NoData | None:
    """Return why these figures are no baseline, or None when they are one.

    A percentile above the last bucket is a figure all the same when the share over the promise is
    known: a target that refuses one request in ten is the one that needs a tuning most.
    """
    p95 = live.p95
    if not isinstance(p95, NoData):
        return None
    told_by_share = p95.reason == "OutsideBuckets" and isinstance(live.over_slo_percent, Measured)
    return None if told_by_share else p95


def figures_of(live: LiveEvidence) -> LiveFigures:
    """Return live evidence in its status form."""
    return LiveFigures(
        p50=reading(live.p50),
        p95=reading(live.p95),
        p99=reading(live.p99),
        over_slo_percent=reading(live.over_slo_percent),
        request_rate=reading(live.request_rate),
        error_percent=reading(live.error_percent),
        cpu_cores=reading(live.cpu_cores),
        memory_bytes=reading(live.memory_bytes),
        pods=live.pods,
        observed_at=live.observed_at,
    )


def not_there(problem: Problem) -> Outcome:
    """Return the way back to Pending, with the condition that says what is missing."""
    return Outcome(
        event="TargetMissing",
        observed=(Observation(problem.condition, "False", problem.reason, problem.message),),
        requeue_seconds=LOOK_AGAIN_SECONDS,
    )


def _without_metrics(
    context: Context, resolved: Resolved, there: Observation, missing: NoData | None
) -> Outcome:
    reason, detail = (
        ("Missing", "no answer yet") if missing is None else (missing.reason, missing.detail)
    )
    blind = Observation("MetricsAvailable", "False", reason, f"spec.metrics: {detail}")
    idle = reason in {"TooFew", "Missing"} and missing is not None
    if context.spec.mode == "Recommend" and idle:
        return Outcome(
            changes=_facts(resolved),
            event="TargetResolved",
            observed=(there, blind),
            decision="no live traffic to take a baseline from; trials alone will answer",
            requeue_seconds=0.0,
        )
    return Outcome(observed=(there, blind), requeue_seconds=LOOK_AGAIN_SECONDS)


def _baseline_taken(resolved: Resolved, there: Observation, live: LiveEvidence) -> Outcome:
    figures = figures_of(live)
    sentence = (
        f"P95 {shown(figures.p95)}, {shown(figures.request_rate)}, "
        f"{shown(figures.over_slo_percent, '%')} over the promise, from {live.pods} pods"
    )
    return Outcome(
        changes=(*_facts(resolved), ("baseline", figures)),
        event="TargetResolved",
        observed=(there, Observation("MetricsAvailable", "True", "Measured", sentence)),
        decision=f"baseline taken: {sentence}",
        evidence=(("baseline", figures.model_dump(mode="json", exclude_none=True)),),
        requeue_seconds=0.0,
    )


def _facts(resolved: Resolved) -> tuple[tuple[str, object], ...]:
    facts = TargetFacts(
        uid=resolved.uid,
        container=str(resolved.container.get("name")),
        autoscaler=resolved.autoscaler,
        nodes=resolved.nodes,
    )
    return (("target", facts), ("baseline_configuration", resolved.configuration))


def _target_sentence(resolved: Resolved) -> str:
    scaled = f"scaled by {resolved.autoscaler}" if resolved.autoscaler else "no autoscaler"
    return f"{configuration_text(resolved.configuration)}; {scaled}"
