"""Searching: one trial after another until the cheapest configuration that keeps the promise shows.

Role: record which trial comes next, drive its Jobs, record its result. Must not know: how
candidates are ranked (``search``) or a rate is judged (``slo``). Trade-off: one trial at a time,
and each is decided in one tick and started in a later one, so that a crash repeats nothing.
"""

from infertune.api.spec import Slo
from infertune.api.status import Configuration, LiveFigures, Spent, TrialRecord
from infertune.core.admission import refusal_of
from infertune.core.budget import exceeded, spent_now
from infertune.core.knobs import values_of, with_values
from infertune.core.manifests.load_arguments import load_arguments
from infertune.core.manifests.naming import trial_name
from infertune.core.manifests.probe_jobs import load_job
from infertune.core.manifests.trial_server import selected_by, server_job
from infertune.core.plan import CreateObject, Effect, Event
from infertune.core.render import configuration_text, number, shown
from infertune.core.resolve import Problem, Resolved, resolve
from infertune.core.search import Exhausted, Proposal, SearchRules, outcome_of, propose
from infertune.core.slo import allowed_fraction
from infertune.core.snapshot import JobView
from infertune.core.space import Candidate, SearchSpace
from infertune.core.states.cleanup import delete_jobs
from infertune.core.states.pending import not_there
from infertune.core.story import Context, Outcome
from infertune.core.trial_basis import INTERRUPTED
from infertune.core.trial_result import Ending, ended, with_result
from infertune.core.trials import Finished, StartLoad, StartServer, TrialStep, jobs_of, next_step

TRIAL_WAIT_SECONDS = 3.0
CLEANUP_WAIT_SECONDS = 1.0


def searching(context: Context) -> Outcome:
    """Return the next step of the search."""
    resolved = resolve(context.snapshot, context.spec)
    if isinstance(resolved, Problem):
        return not_there(resolved)
    running = next((t for t in context.status.trials if t.phase == "Running"), None)
    leftovers = _leftovers(context, running)
    if leftovers:
        effects = delete_jobs(context.key, leftovers)
        return Outcome(effects=effects, requeue_seconds=CLEANUP_WAIT_SECONDS)
    if running is not None:
        return _drive(context, resolved, running)
    return _choose_next(context, resolved)


def _leftovers(context: Context, running: TrialRecord | None) -> tuple[JobView, ...]:
    keep = {f"{running.name}-server", f"{running.name}-load"} if running else set()
    return tuple(job for job in context.snapshot.jobs if job.name not in keep)


def _drive(context: Context, resolved: Resolved, record: TrialRecord) -> Outcome:
    jobs = jobs_of(record, context.snapshot.jobs)
    step = next_step(jobs, resolved, context.spec, context.now)
    if isinstance(step, StartServer | StartLoad):
        return _start(context, resolved, record, step)
    if isinstance(step, Finished):
        return _finish(context, with_result(record, step.result, context.spec))
    if isinstance(step, Ending):
        return _finish(context, ended(record, step))
    return Outcome(requeue_seconds=TRIAL_WAIT_SECONDS)


def _start(context: Context, resolved: Resolved, record: TrialRecord, step: TrialStep) -> Outcome:
    if isinstance(step, StartLoad):
        arguments = load_arguments(record, context.spec, resolved, step.address)
        installation = context.snapshot.installation
        manifest = load_job(context.tuning, record.name, arguments, context.spec, installation)
        return Outcome(effects=(CreateObject(manifest),), requeue_seconds=TRIAL_WAIT_SECONDS)
    picked = selected_by(context.tuning, record.name, context.snapshot.selectors)
    if picked is not None:
        words = f"{picked.kind} {picked.name!r} selects the labels of trial pods: change it"
        return _finish(context, ended(record, Ending("Failed", "Refused", words)))
    refusal = _refusal(context)
    if refusal is not None:
        refused = refusal_of(refusal)
        return _finish(context, ended(record, Ending("Failed", refused.word, refused.message)))
    knob = context.spec.knobs.batch_size
    values = with_values(
        values_of(resolved.container, knob),
        knob,
        image=record.candidate.image,
        batch_size=record.candidate.batch_size,
    )
    manifest = server_job(
        context.tuning, context.spec, record.name, values, resolved, context.snapshot.installation
    )
    effects: tuple[Effect, ...] = (CreateObject(manifest),)
    return Outcome(effects=effects, requeue_seconds=TRIAL_WAIT_SECONDS)


def _refusal(context: Context) -> str | None:
    """Return what the API server said when it refused this trial's Job in an earlier tick."""
    found = (c for c in context.status.conditions if c.type == "Stalled" and c.status == "True")
    return next((c.message for c in found if c.reason == "Refused"), None)


def _finish(context: Context, record: TrialRecord) -> Outcome:
    record = record.model_copy(update={"finished_at": context.now})
    trials = tuple(record if t.name == record.name else t for t in context.status.trials)
    words = f"trial {len(trials)} ({configuration_text(record.candidate)}): {_told(record)}"
    return Outcome(
        changes=(("trials", trials), ("spent", _spent(context, trials))),
        told=(Event("Normal", f"Trial{record.phase}", words),),
        decision=words,
        evidence=(("trial", record.model_dump(mode="json", exclude_none=True)),),
        requeue_seconds=0.0,
    )


def _told(record: TrialRecord) -> str:
    if record.phase != "Completed":
        return f"{record.phase}, {record.reason}: {record.message}"
    if record.knee_rate is None:
        first = record.levels[0]
        return (
            f"no rate keeps the promise; P95 {shown(first.p95)} at {number(first.offered_rate)}/s"
        )
    knee = min(record.levels, key=lambda level: abs(level.offered_rate - (record.knee_rate or 0)))
    return f"one replica carries {number(record.knee_rate)}/s with P95 {shown(knee.p95)}"


def _choose_next(context: Context, resolved: Resolved) -> Outcome:
    over = exceeded(context.spec, context.status, context.now, resolved.gpus)
    if over is not None:
        return _done(context, f"the budget is spent: {over}")
    space = space_of(context, resolved)
    said = (trial for trial in context.status.trials if trial.reason != INTERRUPTED)
    outcomes = tuple(outcome_of(trial) for trial in said)
    proposal = propose(space, outcomes, rules_of(context))
    if isinstance(proposal, Exhausted):
        return _done(context, proposal.why)
    return _begin(context, proposal)


def _begin(context: Context, proposal: Proposal) -> Outcome:
    candidate = proposal.candidate
    attempt = sum(1 for t in context.status.trials if candidate_of(t.candidate) == candidate)
    record = TrialRecord(
        name=trial_name(context.tuning, candidate, attempt),
        candidate=Configuration(batch_size=candidate.batch_size, image=candidate.image),
        phase="Running",
        rates=tuple(round(rate, 3) for rate in proposal.rates),
        started_at=context.now,
    )
    trials = (*context.status.trials, record)
    words = (
        f"trial {len(trials)} of at most {context.spec.budget.max_trials}: "
        f"{configuration_text(record.candidate)}; {proposal.why}"
    )
    return Outcome(
        changes=(("trials", trials), ("spent", _spent(context, trials))),
        told=(Event("Normal", "TrialStarted", words),),
        decision=words,
        requeue_seconds=0.0,
    )


def _done(context: Context, why: str) -> Outcome:
    return Outcome(
        changes=(("spent", _spent(context, context.status.trials)),),
        event="SearchDone",
        decision=f"search ended: {why}",
        requeue_seconds=0.0,
    )


def candidate_of(configuration: Configuration) -> Candidate:
    """Return the candidate that a recorded configuration stands for."""
    return Candidate(configuration.image, configuration.batch_size)


def space_of(context: Context, resolved: Resolved) -> SearchSpace:
    """Return the search space: what runs today, and what the spec declares."""
    knobs = context.spec.knobs
    images = tuple(dict.fromkeys((resolved.image, *knobs.images)))
    declared: tuple[int | None, ...] = (
        tuple(sorted(knobs.batch_size.values)) if knobs.batch_size else ()
    )
    known = resolved.batch_size in declared
    batches = declared if known else (resolved.batch_size, *declared)
    return SearchSpace(Candidate(resolved.image, resolved.batch_size), images, batches)


def rules_of(context: Context) -> SearchRules:
    """Return what the search has to respect."""
    spec, status = context.spec, context.status
    return SearchRules(
        peak=float(spec.demand.peak_requests_per_second),
        limits=spec.knobs.replicas,
        max_rates=spec.trial.max_rates,
        max_trials=spec.budget.max_trials,
        baseline_fails=baseline_fails(status.live or status.baseline, spec.slo),
        slo_ms=float(spec.slo.latency_milliseconds),
    )


def baseline_fails(baseline: LiveFigures | None, slo: Slo) -> bool | None:
    """Return whether live traffic of today breaks the promise; None when nobody knows.

    Where so many requests fail that the percentile has no figure, the share over the promise says.
    """
    if baseline is None:
        return None
    p95, over = baseline.p95.value, baseline.over_slo_percent.value
    if p95 is not None:
        return p95 > slo.latency_milliseconds
    return None if over is None else over > 100 * allowed_fraction(slo.percentile)


def _spent(context: Context, trials: tuple[TrialRecord, ...]) -> Spent:
    return spent_now(context.spec, trials, context.now, context.status.search_since)
