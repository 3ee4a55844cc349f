"""Searching: one trial after another until the cheapest configuration that keeps the promise shows.

Role: record which trial comes next, when there may be one. Must not know: how candidates are
ranked (``search``), how a trial is driven (``running_trial``) or a rate is judged (``slo``).
Trade-off: one trial at a time, decided in one tick and started in a later one, so that a crash
repeats nothing.
"""

from infertune.api.conditions import Observation
from infertune.api.spec import Slo
from infertune.api.status import LiveFigures, Spent, TrialRecord
from infertune.core.budget import exceeded, spent_now
from infertune.core.hints import hints_of
from infertune.core.image_preflight import rejected_images, told
from infertune.core.manifests.naming import trial_name
from infertune.core.plan import Event
from infertune.core.render import configuration_text
from infertune.core.resolve import Problem, Resolved, resolve
from infertune.core.search import Exhausted, Proposal, SearchRules, outcome_of, propose
from infertune.core.slo import allowed_fraction
from infertune.core.snapshot import JobView
from infertune.core.space import SearchSpace, candidate_of, configuration_of
from infertune.core.states.cleanup import delete_jobs
from infertune.core.states.ground import ground_moved
from infertune.core.states.lending import borrow_first
from infertune.core.states.no_trial import held
from infertune.core.states.pending import not_there
from infertune.core.states.running_trial import drive
from infertune.core.story import Context, Outcome
from infertune.core.trial_basis import INTERRUPTED
from infertune.core.trial_gate import YIELDED, crowded, gate, waits_in_line
from infertune.core.turning import setting_values

CLEANUP_WAIT_SECONDS = 1.0
NEAR_SECONDS = 3.0
FAR_SECONDS = 20.0
_NEAR = 3
# Trials that ended for a reason of ours: they are run again, as if they had never begun.
SAY_NOTHING = frozenset({INTERRUPTED, YIELDED})


def searching(context: Context) -> Outcome:
    """Return the next step of the search."""
    slot = context.snapshot.slot
    if waits_in_line(context.status) and (closed := crowded(slot)) is not None:
        # Nothing else was read for this look, see ``observe``.
        return held(context, closed, NEAR_SECONDS if slot and slot.place <= _NEAR else FAR_SECONDS)
    resolved = resolve(context.snapshot, context.spec)
    if isinstance(resolved, Problem):
        return not_there(resolved)
    moved = ground_moved(context, resolved)
    if moved is not None:
        return moved
    running = next((t for t in context.status.trials if t.phase == "Running"), None)
    leftovers = _leftovers(context, running)
    if leftovers:
        effects = delete_jobs(context.key, leftovers)
        return Outcome(effects=effects, requeue_seconds=CLEANUP_WAIT_SECONDS)
    if running is not None:
        return drive(context, resolved, running)
    return _choose_next(context, resolved)


def _leftovers(context: Context, running: TrialRecord | None) -> tuple[JobView, ...]:
    keep = {f"{running.name}-server", f"{running.name}-load"} if running else set()
    return tuple(job for job in context.snapshot.jobs if job.name not in keep)


def _choose_next(context: Context, resolved: Resolved) -> Outcome:
    rejected = rejected_images(context, resolved)
    if rejected != context.status.rejected_images:
        return told(rejected)
    over = exceeded(context.spec, context.status, context.now, resolved.gpus)
    if over is not None:
        return _done(context, f"the budget is spent: {over}")
    space = space_of(context, resolved)
    said = (trial for trial in context.status.trials if trial.reason not in SAY_NOTHING)
    outcomes = tuple(outcome_of(trial) for trial in said)
    proposal = propose(space, outcomes, rules_of(context))
    if isinstance(proposal, Exhausted):
        return _done(context, proposal.why)
    closed = gate(context, resolved)
    if closed is not None:
        return held(context, closed)
    borrowing = borrow_first(context, resolved)
    return borrowing if borrowing is not None else _begin(context, proposal)


def _begin(context: Context, proposal: Proposal) -> Outcome:
    candidate = proposal.candidate
    attempt = sum(1 for t in context.status.trials if candidate_of(t.candidate) == candidate)
    record = TrialRecord(
        name=trial_name(context.tuning, candidate, attempt),
        candidate=configuration_of(candidate),
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
        observed=(Observation("TrialsAllowed", "True", "Clear", "nothing speaks against trials"),),
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


def space_of(context: Context, resolved: Resolved) -> SearchSpace:
    """Return the search space: what runs today, and what the spec declares."""
    knobs = context.spec.knobs
    rejected = {one.image for one in context.status.rejected_images}
    allowed = (image for image in knobs.images if image not in rejected)
    images = tuple(dict.fromkeys((resolved.image, *allowed)))
    declared: tuple[int | None, ...] = (
        tuple(sorted(knobs.batch_size.values)) if knobs.batch_size else ()
    )
    known = resolved.batch_size in declared
    batches = declared if known else (resolved.batch_size, *declared)
    settings = {
        setting.name: setting_values(setting, resolved.settings.get(setting.name))
        for setting in knobs.settings
    }
    return SearchSpace(resolved.incumbent, images, batches, settings)


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
        hints=hints_of(status.probes),
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
