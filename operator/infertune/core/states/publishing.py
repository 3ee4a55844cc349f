"""Publishing: the patch to commit, and in Apply mode the intent of a rollout.

Role: what follows a recorded recommendation. Must not know: how it was found. Trade-off: whatever
speaks against writing to the target is answered here, before the first write, as a condition.
"""

from infertune.api.conditions import Observation
from infertune.api.status import Bounds, Configuration, Recommendation, RolloutIntent, RolloutStatus
from infertune.core.adoption import owners_before
from infertune.core.autoscaling import not_ours, scaled_object_patch
from infertune.core.evidence import NoData
from infertune.core.expected_load import expected_load
from infertune.core.intents import intent_of, restore_command
from infertune.core.manifests.recommendation import (
    argument_patches,
    patch_digest,
    patches,
    recommendation_config_map,
)
from infertune.core.manifests.restoring import arguments_patch
from infertune.core.plan import CreateObject, Effect, Event
from infertune.core.render import configuration_text, number
from infertune.core.resolve import Resolved
from infertune.core.slo import required_verification_seconds
from infertune.core.space import candidate_of
from infertune.core.states.copies import create_copies
from infertune.core.states.entitlement import gitops_doubts, gitops_entries, not_entitled
from infertune.core.states.freezing import frozen
from infertune.core.states.holding import held_back, notes_of
from infertune.core.states.recovery import runs_tuned_values
from infertune.core.story import Context, Outcome
from infertune.core.turning import in_shell_string, turned


def publish(context: Context, resolved: Resolved, recommendation: Recommendation) -> Outcome:
    """Return the publication, and the rollout's intent where the target is to be changed."""
    chosen = recommendation.configuration
    candidate, bounds = candidate_of(chosen), bounds_wanted(chosen)
    content = patch_content(context, resolved, chosen)
    if patch_digest(content) != recommendation.digest:
        return Outcome(
            changes=(("recommendation", None),),
            decision="the target changed since the recommendation: deciding again",
            requeue_seconds=0.0,
        )
    effects = (CreateObject(recommendation_config_map(context.tuning, content)),)
    intent = intent_of(context.key, context.spec, resolved, candidate, bounds)
    if intent is None:
        return Outcome(
            event="NothingToChange",
            observed=(_nothing_to_change(resolved, bounds),),
            effects=effects,
            requeue_seconds=0.0,
        )
    against = _why_not_applied(context, resolved, recommendation) or not_entitled(context, intent)
    if against is not None:
        return _recommended(against, effects)
    held = held_back(context, resolved, intent, effects) or frozen(context, effects)
    if held is not None:
        return held
    foreign = foreign_bounds(resolved, bounds)
    notes = (*([foreign] if foreign else []), *notes_of(context, resolved, intent))
    notes += gitops_doubts(context, intent)
    copies = create_copies(context, resolved, candidate)
    return _open_rollout(context, chosen, intent, (*effects, *copies), notes)


def patch_content(context: Context, resolved: Resolved, chosen: Configuration) -> dict[str, str]:
    """Return the patches that lead from the target as it stands to the chosen configuration."""
    wanted = turned(resolved.stand, context.spec.knobs, candidate_of(chosen), resolved.uid)
    name = str(resolved.container["name"])
    bounds, owner = bounds_wanted(chosen), resolved.bounds_owner
    autoscaler = resolved.autoscaler if owner is None else None
    found = patches(context.spec, name, wanted.values, autoscaler, bounds, wanted.copies)
    intent = intent_of(context.key, context.spec, resolved, candidate_of(chosen), bounds)
    found |= _arguments(context, resolved, chosen, intent)
    return found | scaled_object_patch(owner, bounds) | gitops_entries(context, intent)


def _arguments(
    context: Context, resolved: Resolved, chosen: Configuration, intent: RolloutIntent | None
) -> dict[str, str]:
    """Return what leads to the chosen flags, without the arguments that are not ours."""
    target = context.snapshot.target
    if target is None or intent is None:
        return {}
    lines = in_shell_string(resolved.stand, context.spec.knobs, candidate_of(chosen))
    return argument_patches(arguments_patch(intent, target.raw, back=False), lines)


def _nothing_to_change(resolved: Resolved, bounds: Bounds) -> Observation:
    foreign = foreign_bounds(resolved, bounds)
    if foreign is not None:
        return Observation("Applied", "False", "BoundsNotOurs", foreign)
    return Observation("Applied", "True", "NothingToChange", "today's settings are the best")


def foreign_bounds(resolved: Resolved, bounds: Bounds) -> str | None:
    """Return the sentence about recommended bounds that are somebody else's to write, or None."""
    owner, name = resolved.bounds_owner, resolved.autoscaler
    if owner is None or name is None or resolved.bounds == bounds:
        return None
    return not_ours(name, owner, bounds)


def _why_not_applied(
    context: Context, resolved: Resolved, recommendation: Recommendation
) -> Observation | None:
    """Return what keeps a recommendation from being written, or None."""
    chosen = recommendation.configuration
    if context.spec.mode == "Recommend":
        words = "Recommend: nothing is written to the target; see the patch in the ConfigMap"
        return Observation("Applied", "False", "RecommendOnly", words)
    legacy = chosen.image != resolved.image and (
        recommendation.image_only_recommended == chosen.image
    )
    if recommendation.unchecked or legacy:
        return Observation("Applied", "False", "QualityUndeclared", _unchecked(recommendation))
    lines = in_shell_string(resolved.stand, context.spec.knobs, candidate_of(chosen))
    if lines:
        words = f"a shell string is its author's to change: {'; '.join(lines)}; nothing is written"
        return Observation("Applied", "False", "ShellCommand", words)
    short = verification_too_short(context)
    if short is not None:
        return Observation("Applied", "False", "VerificationTooShort", short)
    return None


def _unchecked(recommendation: Recommendation) -> str:
    """Say what is recommended only, and what would let it be applied."""
    chosen = recommendation.configuration
    settings = chosen.settings or {}
    named = (
        f"image {chosen.image}" if name == "image" else f"{name}={settings.get(name, 'unset')}"
        for name in recommendation.unchecked or ("image",)
    )
    return f"{', '.join(named)} is recommended only: spec.quality declares no check"


def _open_rollout(
    context: Context,
    chosen: Configuration,
    intent: RolloutIntent,
    effects: tuple[Effect, ...],
    notes: tuple[str, ...],
) -> Outcome:
    target = context.snapshot.target
    assert target is not None
    command = restore_command(context.key, context.spec, intent, target.raw)
    rollout = RolloutStatus(
        intent=_signed(context, intent),
        started_at=context.now,
        seen_at=context.now,
        restore_command=command,
    )
    words = "; ".join((f"applying {configuration_text(chosen)}", *notes))
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


def _signed(context: Context, intent: RolloutIntent) -> RolloutIntent:
    """Return the intent with whose it is, and what stood on the target before any tuning."""
    target, reference = context.snapshot.target, context.spec.target_ref
    assert target is not None
    return intent.model_copy(
        update={
            "target_kind": reference.kind,
            "target_name": reference.name,
            "owners_before": owners_before(intent, target.raw, context.snapshot.autoscaler),
            "tuning_name": context.key.name,
            "tuning_uid": context.tuning.uid,
            "baseline": context.status.baseline_configuration,
            "after_tuning": runs_tuned_values(context),
        }
    )


def _recommended(against: Observation, effects: tuple[Effect, ...]) -> Outcome:
    return Outcome(
        event="Recommended",
        observed=(against,),
        effects=effects,
        decision=against.message,
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
    needed = required_verification_seconds(
        rate, interval, context.spec.slo.percentile, expected_load(context.status)
    )
    if isinstance(needed, NoData) or declared >= needed:
        return None
    return (
        f"spec.rollout.verificationSeconds is {declared}, but {number(rate)} requests per second "
        f"need {needed:.0f} s for a verdict: raise or remove it; nothing is written"
    )


def bounds_wanted(configuration: Configuration) -> Bounds:
    """Return the recommended bounds; a recommendation always has them."""
    assert configuration.min_replicas is not None
    assert configuration.max_replicas is not None
    return Bounds(min_replicas=configuration.min_replicas, max_replicas=configuration.max_replicas)
