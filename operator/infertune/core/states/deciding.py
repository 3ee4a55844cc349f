"""Deciding: from the trials to a recommendation, and from there to its publication.

Role: choose the cheapest configuration that kept the promise; say so, or say honestly that none
does. Must not know: how a trial was judged. Trade-off: the recommendation is recorded in one tick
and published in the next, so that what is published is always what stands in status.
"""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

from infertune.api.conditions import Observation
from infertune.api.status import (
    Reading,
    Recommendation,
    TrialRecord,
    VerdictName,
)
from infertune.core.autoscaling import blindness, metric_observation
from infertune.core.capacity import Carrier, Choice, choose, knee_of
from infertune.core.cost import cost_of, declared_price
from infertune.core.evidence import NoData
from infertune.core.image_pin import by_digest
from infertune.core.manifests.recommendation import config_map_name, patch_digest
from infertune.core.plan import Event
from infertune.core.render import configuration_text
from infertune.core.replica_weight import weight_of
from infertune.core.resolve import Problem, Resolved, resolve
from infertune.core.space import Candidate, candidate_of, configuration_of
from infertune.core.start_up import devel_note
from infertune.core.states.copies import sweep_trial_copies
from infertune.core.states.ground import ground_moved
from infertune.core.states.honest_no import nothing_keeps_it
from infertune.core.states.pending import not_there
from infertune.core.states.publishing import foreign_bounds, patch_content, publish
from infertune.core.story import Context, Outcome


def deciding(context: Context) -> Outcome:
    """Return the next step: record a recommendation, publish it, or open a rollout."""
    resolved = resolve(context.snapshot, context.spec)
    if isinstance(resolved, Problem):
        return not_there(resolved)
    moved = ground_moved(context, resolved)
    if moved is not None:
        return moved
    if context.status.recommendation is None:
        outcome = _recommend(context, resolved)
        return replace(outcome, effects=(*sweep_trial_copies(context), *outcome.effects))
    return publish(context, resolved, context.status.recommendation)


def _recommend(context: Context, resolved: Resolved) -> Outcome:
    incumbent = resolved.incumbent
    all_trials = _carriers(context, resolved, lambda _: True)
    allowed = _carriers(context, resolved, lambda trial: not _unchecked(context, trial, incumbent))
    choice = _choice(context, allowed, incumbent)
    better = _choice(context, all_trials, incumbent)
    if choice is None and better is None:
        return nothing_keeps_it(context, resolved.gpus)
    withheld: Candidate | None = None
    if choice is None:
        assert better is not None
        choice, withheld = better, better.candidate
    elif better is not None and better.cost < choice.cost:
        withheld = better.candidate
    recommendation = _recommendation(context, resolved, choice, withheld)
    words = f"{configuration_text(recommendation.configuration)}: {recommendation.reason}"
    not_written = foreign_bounds(resolved, choice.bounds)
    foreign = "" if not_written is None else f"; {not_written}"
    base = devel_note(recommendation.configuration.image)
    return Outcome(
        changes=(("recommendation", recommendation),),
        observed=(
            Observation("SLOAchievable", "True", "Measured", words),
            Observation("RecommendationReady", "True", "Decided", words + foreign + base),
            metric_observation(context.snapshot.autoscaler),
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
        metric_follows_load=blindness(context.snapshot.autoscaler) is None,
    )


def _carriers(
    context: Context, resolved: Resolved, wanted: Callable[[TrialRecord], bool]
) -> tuple[Carrier, ...]:
    """Return what one replica of each candidate carries, by all of its trials together.

    A rate that passed once and failed, or failed below it, in another trial is not carried.
    """
    levels: dict[Candidate, list[tuple[float, VerdictName]]] = {}
    for trial in context.status.trials:
        if trial.phase == "Completed" and wanted(trial):
            found = levels.setdefault(candidate_of(trial.candidate), [])
            found.extend((level.offered_rate, level.verdict) for level in trial.levels)
    knees = ((candidate, knee_of(seen)) for candidate, seen in levels.items())
    stand, knobs = resolved.stand, context.spec.knobs
    return tuple(
        Carrier(candidate, knee, weight_of(stand, knobs, candidate))
        for candidate, knee in knees
        if knee is not None
    )


def _unchecked(context: Context, trial: TrialRecord, incumbent: Candidate) -> tuple[str, ...]:
    """Return what the trial changed that may change answers, which were not checked."""
    if trial.quality_drop_percent is not None:
        return ()
    return _changed_answers(context, candidate_of(trial.candidate), incumbent)


def _changed_answers(
    context: Context, candidate: Candidate | None, incumbent: Candidate
) -> tuple[str, ...]:
    """Return what differs from today's configuration and may change answers."""
    if candidate is None:
        return ()
    old, new = dict(incumbent.settings), dict(candidate.settings)
    image = ("image",) if candidate.image != incumbent.image else ()
    settings = (
        setting.name
        for setting in context.spec.knobs.settings
        if setting.changes_answers and old.get(setting.name) != new.get(setting.name)
    )
    return (*image, *settings)


def _recommendation(
    context: Context, resolved: Resolved, choice: Choice, withheld: Candidate | None
) -> Recommendation:
    trial = _trial_behind(context, choice)
    image, moving = _image(resolved, choice, trial)
    settled = {**choice.bounds.model_dump(), "image": image}
    configuration = configuration_of(choice.candidate).model_copy(update=settled)
    content = patch_content(context, resolved, configuration)
    spec = context.spec
    price = declared_price(
        spec.cost.replica_hourly if spec.cost else None,
        spec.cost.currency if spec.cost else "USD",
    )
    weighed = Decimal(choice.cost.numerator) / choice.cost.denominator
    cost = cost_of(weighed, spec.demand.peak_requests_per_second, price)
    return Recommendation(
        configuration=configuration,
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
        reason=choice.why + moving,
        **_withheld(context, resolved, choice.candidate, withheld, image),
    )


def _withheld(
    context: Context, resolved: Resolved, chosen: Candidate, withheld: Candidate | None, image: str
) -> dict[str, Any]:
    """Return what the recommendation says of changes whose answers were not checked."""
    if withheld is None:
        return {}
    alone = withheld == chosen
    changed = _changed_answers(context, withheld, resolved.incumbent)
    other = image if alone else withheld.image
    return {
        "unchecked": changed if alone else (),
        "withheld": configuration_text(configuration_of(withheld))[:1024],
        "image_only_recommended": other if withheld.image != resolved.image else None,
    }


def _trial_behind(context: Context, choice: Choice) -> TrialRecord:
    """Return the trial that measured the chosen rate."""
    found = (
        trial
        for trial in context.status.trials
        if candidate_of(trial.candidate) == choice.candidate
        and any(level.offered_rate == choice.knee_rate for level in trial.levels)
    )
    return next(found, TrialRecord())


def _image(resolved: Resolved, choice: Choice, trial: TrialRecord) -> tuple[str, str]:
    """Return the image to recommend, by digest where it is another one, and what to warn of."""
    image = choice.candidate.image
    if image == resolved.image:
        return image, ""
    pinned = by_digest(image, trial.image_id)
    if pinned is not None:
        return pinned, ""
    return image, f"; {image} has no digest here, and a tag may move after its trial"


def _money(value: Decimal | NoData, unit: str) -> Reading:
    if isinstance(value, NoData):
        return Reading(reason=f"{value.reason}: {value.detail}")
    return Reading(value=round(float(value), 6), unit=unit)
