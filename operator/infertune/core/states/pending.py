"""Pending: find the target, its autoscaler and its metrics; take the baseline of today.

Role: nothing is measured or changed before all that the spec names is really there. Must not know:
probes, trials. Trade-off: Recommend goes on without live traffic, since trials alone can answer
it; Apply waits, since it could not verify what it changes.
"""

from dataclasses import replace

from infertune.api.conditions import Observation
from infertune.api.status import LiveFigures, TargetFacts, TrialRecord
from infertune.core.balance import balance_of, uneven
from infertune.core.budget import spent_now
from infertune.core.dropped import declared_paths, release_dropped
from infertune.core.evidence import Measured, NoData
from infertune.core.manifests.naming import FINALIZER
from infertune.core.plan import ReleaseFields, SetFinalizer
from infertune.core.promise_bound import BETWEEN_BUCKETS, bound_note
from infertune.core.render import configuration_text, reading, shown
from infertune.core.resolve import Problem, Resolved, missing_config_map, resolve
from infertune.core.snapshot import LiveEvidence
from infertune.core.states.cleanup import delete_jobs
from infertune.core.states.copies import sweep_target_copies, sweep_trial_copies
from infertune.core.states.recovery import baseline_configuration, baseline_figures, open_rollout
from infertune.core.story import Context, Outcome
from infertune.core.trial_basis import kept_trials, trial_basis
from infertune.core.turning import slots_of

LOOK_AGAIN_SECONDS = 15.0


def pending(context: Context) -> Outcome:
    """Return the next step: a condition that says what is missing, or on to the probes.

    Jobs of an earlier generation, or of a target that vanished, hold devices for nothing.
    """
    leftovers = delete_jobs(context.key, context.snapshot.jobs)
    copies = (*sweep_trial_copies(context), *sweep_target_copies(context))
    outcome = _look(context)
    return replace(outcome, effects=(*leftovers, *copies, *outcome.effects))


def _look(context: Context) -> Outcome:
    resolved = resolve(context.snapshot, context.spec)
    if isinstance(resolved, Problem):
        return not_there(resolved)
    found = open_rollout(context)
    if found is not None:
        return found
    if FINALIZER in context.tuning.finalizers:
        return Outcome(effects=(SetFinalizer(present=False),), requeue_seconds=0.0)
    problem = missing_config_map(context.snapshot, context.spec)
    problem = problem or no_pods(context, resolved)
    outcome = _measured(context, resolved) if problem is None else not_there(problem)
    return replace(outcome, effects=_dropped(context, resolved))


def no_pods(context: Context, resolved: Resolved) -> Problem | None:
    """Return why there is no live pod to take a baseline from, or None."""
    if resolved.nodes:
        return None
    if resolved.replicas == 0:
        reference = context.spec.target_ref
        words = f"{reference.kind} {reference.name!r}: spec.replicas is 0: scale it up"
        return Problem("TargetAvailable", "TargetScaledToZero", words)
    return Problem("TargetAvailable", "NoLivePods", "the target has no pod on a node yet")


def _dropped(context: Context, resolved: Resolved) -> tuple[ReleaseFields, ...]:
    """Return the release of fields that earlier knobs wrote and no knob of today declares."""
    target = context.snapshot.target
    assert target is not None
    knobs, name = context.spec.knobs, str(resolved.container["name"])
    declared = declared_paths(knobs, name, slots_of(resolved.stand, knobs))
    return release_dropped(context.key, target.raw, declared)


def _measured(context: Context, resolved: Resolved) -> Outcome:
    there = Observation("TargetAvailable", "True", "Found", _target_sentence(resolved))
    live = context.snapshot.live
    if not isinstance(live, LiveEvidence):
        return _without_metrics(context, resolved, there, live)
    outside = unjudgeable(live)
    missing = missing_from(live) or (outside if context.spec.mode == "Apply" else None)
    if missing is not None:
        return _without_metrics(context, resolved, there, missing)
    return _baseline_taken(context, resolved, there, live)


def unjudgeable(live: LiveEvidence) -> NoData | None:
    """Return why live traffic could never be judged by this promise, though it is measured."""
    over = live.over_slo_percent
    outside = isinstance(over, NoData) and over.reason == "OutsideBuckets"
    return over if outside and isinstance(over, NoData) else None


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
        balance=reading(balance_of(live.shares, live.share_seconds)),
        uneven=uneven(live.shares, live.share_seconds),
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
    idle = reason in {"TooFew", "Missing", "OutsideBuckets"} and missing is not None
    if context.spec.mode == "Recommend" and idle:
        return Outcome(
            changes=_facts(context, resolved),
            event="TargetResolved",
            observed=(there, blind),
            decision="no live traffic to take a baseline from; trials alone will answer",
            requeue_seconds=0.0,
        )
    return Outcome(observed=(there, blind), requeue_seconds=LOOK_AGAIN_SECONDS)


def _baseline_taken(
    context: Context, resolved: Resolved, there: Observation, live: LiveEvidence
) -> Outcome:
    figures = figures_of(live)
    baseline = baseline_figures(context, figures)
    sentence = (
        f"P95 {shown(figures.p95)}, {shown(figures.request_rate)}, "
        f"{shown(figures.over_slo_percent, '%')} over the promise, from {live.pods} pods"
    )
    changes: tuple[tuple[str, object], ...] = (*_facts(context, resolved), ("baseline", baseline))
    if baseline != figures:
        changes = (*changes, ("live", figures))
        sentence += "; the target runs tuned values, so this is no baseline"
    note = bound_note(live, context.spec.slo.latency_milliseconds)
    word = BETWEEN_BUCKETS if note else "Measured"
    told = "; ".join(part for part in (sentence, note, figures.uneven) if part)
    return Outcome(
        changes=changes,
        event="TargetResolved",
        observed=(there, Observation("MetricsAvailable", "True", word, told)),
        decision=f"live traffic: {sentence}",
        evidence=(("baseline", baseline.model_dump(mode="json", exclude_none=True)),),
        requeue_seconds=0.0,
    )


def _facts(context: Context, resolved: Resolved) -> tuple[tuple[str, object], ...]:
    reference = context.spec.target_ref
    facts = TargetFacts(
        kind=reference.kind,
        name=reference.name,
        uid=resolved.uid,
        container=str(resolved.container.get("name")),
        autoscaler=resolved.autoscaler,
        autoscaler_uid=resolved.autoscaler_uid,
        nodes=resolved.nodes,
    )
    baseline = baseline_configuration(context, resolved)
    basis = trial_basis(context.spec, resolved, context.snapshot.config_maps)
    trials = _trials_of(context, resolved, basis)
    found: tuple[tuple[str, object], ...] = (
        ("target", facts),
        ("baseline_configuration", baseline),
        ("trial_basis", basis),
        ("trials", trials),
    )
    spent = spent_now(context.spec, trials, context.now, context.status.search_since)
    return (*found, ("spent", spent)) if trials else found


def _trials_of(context: Context, resolved: Resolved, basis: str) -> tuple[TrialRecord, ...]:
    """Return the trials of before that hold for what is asked now, of the server as it is now."""
    status = context.status
    if not status.trials or status.trial_basis != basis:
        return ()
    known = (resolved.configuration, status.baseline_configuration)
    return kept_trials(status.trials, context.spec, tuple(c for c in known if c is not None))


def _target_sentence(resolved: Resolved) -> str:
    scaled = f"scaled by {resolved.autoscaler}" if resolved.autoscaler else "no autoscaler"
    return f"{configuration_text(resolved.configuration)}; {scaled}"
