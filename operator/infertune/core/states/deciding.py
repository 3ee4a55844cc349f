"""Deciding: from the trials to a recommendation, and from there to an intent or a report.

Role: choose the cheapest configuration that kept the promise; say so, or say honestly that none
does. Must not know: how a trial was judged. Trade-off: the recommendation is recorded in one tick
and published in the next, so that what is published is always what stands in status.
"""

from collections.abc import Callable
from decimal import Decimal

from infertune.api.conditions import Observation
from infertune.api.status import (
    Bounds,
    Configuration,
    Reading,
    Recommendation,
    RolloutStatus,
    TrialRecord,
    VerdictName,
)
from infertune.core.budget import exceeded
from infertune.core.capacity import Carrier, Choice, choose, knee_of
from infertune.core.cost import cost_of, declared_price
from infertune.core.evidence import NoData
from infertune.core.intents import intent_of, restore_command
from infertune.core.knobs import values_of, with_values
from infertune.core.manifests.recommendation import (
    config_map_name,
    patch_digest,
    patches,
    recommendation_config_map,
)
from infertune.core.plan import CreateObject, Effect, Event
from infertune.core.render import configuration_text, number, shown
from infertune.core.resolve import Problem, Resolved, resolve
from infertune.core.slo import required_verification_seconds
from infertune.core.space import Candidate
from infertune.core.states.pending import LOOK_AGAIN_SECONDS
from infertune.core.states.searching import candidate_of
from infertune.core.story import Context, Outcome


def deciding(context: Context) -> Outcome:
    """Return the next step: record a recommendation, publish it, or open a rollout."""
    resolved = resolve(context.snapshot, context.spec)
    if isinstance(resolved, Problem):
        seen = Observation(resolved.condition, "False", resolved.reason, resolved.message)
        return Outcome(event="TargetMissing", observed=(seen,), requeue_seconds=LOOK_AGAIN_SECONDS)
    if context.status.recommendation is None:
        return _recommend(context, resolved)
    return _publish(context, resolved, context.status.recommendation)


def _recommend(context: Context, resolved: Resolved) -> Outcome:
    incumbent = Candidate(resolved.image, resolved.batch_size)
    all_trials = _carriers(context, lambda _: True)
    allowed = _carriers(context, lambda trial: _may_apply(trial, incumbent))
    choice = _choice(context, allowed, incumbent)
    better = _choice(context, all_trials, incumbent)
    if choice is None and better is None:
        return _unreachable(context, resolved.gpus)
    withheld: str | None = None
    if choice is None:
        assert better is not None
        choice, withheld = better, better.candidate.image
    elif better is not None and better.replicas < choice.replicas:
        withheld = better.candidate.image
    recommendation = _recommendation(context, resolved, choice, withheld)
    words = f"{configuration_text(recommendation.configuration)}: {recommendation.reason}"
    return Outcome(
        changes=(("recommendation", recommendation),),
        observed=(
            Observation("SLOAchievable", "True", "Measured", words),
            Observation("RecommendationReady", "True", "Decided", words),
        ),
        told=(Event("Normal", "Recommended", words),),
        decision=f"recommended {words}",
        evidence=(("recommendation", recommendation.model_dump(mode="json", exclude_none=True)),),
        requeue_seconds=0.0,
    )


def _choice(context: Context, carriers: tuple[Carrier, ...], incumbent: Candidate) -> Choice | None:
    demand = context.spec.demand
    return choose(
        carriers,
        float(demand.peak_requests_per_second),
        float(demand.trough_requests_per_second),
        context.spec.knobs.replicas,
        incumbent,
    )


def _carriers(context: Context, wanted: Callable[[TrialRecord], bool]) -> tuple[Carrier, ...]:
    """Return what one replica of each candidate carries, by all of its trials together.

    A rate that passed once and failed, or failed below it, in another trial is not carried.
    """
    levels: dict[Candidate, list[tuple[float, VerdictName]]] = {}
    for trial in context.status.trials:
        if trial.phase == "Completed" and wanted(trial):
            found = levels.setdefault(candidate_of(trial.candidate), [])
            found.extend((level.offered_rate, level.verdict) for level in trial.levels)
    knees = ((candidate, knee_of(seen)) for candidate, seen in levels.items())
    return tuple(Carrier(candidate, knee) for candidate, knee in knees if knee is not None)


def _may_apply(trial: TrialRecord, incumbent: Candidate) -> bool:
    """An image is applied only when its answers were checked."""
    return trial.candidate.image == incumbent.image or trial.quality_drop_percent is not None


def _recommendation(
    context: Context, resolved: Resolved, choice: Choice, withheld: str | None
) -> Recommendation:
    content = _content(context, resolved, choice.candidate, choice)
    spec = context.spec
    price = declared_price(
        spec.cost.replica_hourly if spec.cost else None,
        spec.cost.currency if spec.cost else "USD",
    )
    cost = cost_of(choice.replicas, spec.demand.peak_requests_per_second, price)
    trial = next(
        (
            t
            for t in context.status.trials
            if candidate_of(t.candidate) == choice.candidate
            and any(level.offered_rate == choice.knee_rate for level in t.levels)
        ),
        TrialRecord(),
    )
    return Recommendation(
        configuration=Configuration(
            batch_size=choice.candidate.batch_size,
            image=choice.candidate.image,
            min_replicas=choice.bounds.min_replicas,
            max_replicas=choice.bounds.max_replicas,
        ),
        trial=trial.name,
        knee_rate=choice.knee_rate,
        cost_per_hour_at_peak=_money(
            cost if isinstance(cost, NoData) else cost.per_hour, price.unit
        ),
        cost_per_thousand_requests=_money(
            cost if isinstance(cost, NoData) else cost.per_thousand_requests, price.unit
        ),
        patch_config_map=config_map_name(context.tuning, patch_digest(content)),
        digest=patch_digest(content),
        reason=choice.why,
        image_only_recommended=withheld,
    )


def _content(
    context: Context, resolved: Resolved, candidate: Candidate, choice: Choice
) -> dict[str, str]:
    knob = context.spec.knobs.batch_size
    values = with_values(
        values_of(resolved.container, knob),
        knob,
        image=candidate.image,
        batch_size=candidate.batch_size,
    )
    name = str(resolved.container["name"])
    return patches(context.spec, name, values, resolved.autoscaler, choice.bounds)


def _publish(context: Context, resolved: Resolved, recommendation: Recommendation) -> Outcome:
    chosen = recommendation.configuration
    candidate = candidate_of(chosen)
    bounds = bounds_wanted(chosen)
    knob = context.spec.knobs.batch_size
    before = values_of(resolved.container, knob)
    values = with_values(before, knob, image=candidate.image, batch_size=candidate.batch_size)
    name = str(resolved.container["name"])
    content = patches(context.spec, name, values, resolved.autoscaler, bounds)
    if patch_digest(content) != recommendation.digest:
        return Outcome(
            changes=(("recommendation", None),),
            decision="the target changed since the recommendation: deciding again",
            requeue_seconds=0.0,
        )
    effects = (CreateObject(recommendation_config_map(context.tuning, content)),)
    if context.spec.mode == "Recommend":
        words = "Recommend: nothing is written to the target; see the patch in the ConfigMap"
        return _recommended("RecommendOnly", words, effects)
    if _withheld_only(recommendation, resolved):
        words = f"image {chosen.image} is recommended only: spec.quality declares no check"
        return _recommended("QualityUndeclared", words, effects)
    short = verification_too_short(context)
    if short is not None:
        return _recommended("VerificationTooShort", short, effects)
    intent = intent_of(context.key, context.spec, resolved, candidate, bounds)
    if intent is None:
        seen = Observation("Applied", "True", "NothingToChange", "today's settings are the best")
        return Outcome(
            event="NothingToChange", observed=(seen,), effects=effects, requeue_seconds=0.0
        )
    command = restore_command(context.key, context.spec, intent)
    rollout = RolloutStatus(intent=intent, started_at=context.now, restore_command=command)
    words = f"applying {configuration_text(chosen)}"
    return Outcome(
        changes=(("rollout", rollout),),
        event="ApplyDecided",
        effects=effects,
        observed=(
            Observation("Applied", "False", "Applying", words),
            Observation("FieldConflict", "False", "NoConflict", "no declared field was taken"),
        ),
        told=(Event("Normal", "Applying", words),),
        decision=words,
        evidence=(("intent", intent.model_dump(mode="json", exclude_none=True)),),
        requeue_seconds=0.0,
    )


def _recommended(reason: str, words: str, effects: tuple[Effect, ...]) -> Outcome:
    return Outcome(
        event="Recommended",
        observed=(Observation("Applied", "False", reason, words),),
        effects=effects,
        decision=words,
        requeue_seconds=0.0,
    )


def verification_too_short(context: Context) -> str | None:
    """Return why the declared verification could not pass on the traffic of the baseline."""
    declared = context.spec.rollout.verification_seconds
    baseline = context.status.baseline
    rate = baseline.request_rate.value if baseline else None
    if declared is None or not rate:
        return None
    interval = float(context.spec.metrics.scrape_interval_seconds)
    needed = required_verification_seconds(rate, interval, context.spec.slo.percentile)
    if isinstance(needed, NoData) or declared >= needed:
        return None
    return (
        f"spec.rollout.verificationSeconds is {declared}, but {number(rate)} requests per second "
        f"need {needed:.0f} s for a verdict: raise or remove it; nothing is written"
    )


def _withheld_only(recommendation: Recommendation, resolved: Resolved) -> bool:
    chosen = recommendation.configuration.image
    return chosen != resolved.image and recommendation.image_only_recommended == chosen


def _unreachable(context: Context, gpus: int) -> Outcome:
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


def bounds_wanted(configuration: Configuration) -> Bounds:
    """Return the recommended bounds; a recommendation always has them."""
    assert configuration.min_replicas is not None
    assert configuration.max_replicas is not None
    return Bounds(min_replicas=configuration.min_replicas, max_replicas=configuration.max_replicas)


def _money(value: Decimal | NoData, unit: str) -> Reading:
    if isinstance(value, NoData):
        return Reading(reason=f"{value.reason}: {value.detail}")
    return Reading(value=round(float(value), 6), unit=unit)
