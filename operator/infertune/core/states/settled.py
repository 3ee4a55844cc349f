"""Stable and Halted: the resting states, which look at live traffic now and then.

Role: close the rollout on the target, let the finalizer go, refresh the live figures. Must not
know: why the tuning rests. Trade-off: traffic is looked at every minute, but told every five, or at
once when it says something else than before: noise in the third digit would cost a write per tuning
and minute, and an idle operator would spend most of its time on it.
"""

from datetime import timedelta

from infertune.api.conditions import Observation
from infertune.api.status import LiveFigures, Reading
from infertune.core.manifests.naming import FINALIZER
from infertune.core.plan import Effect, Event, SetFinalizer
from infertune.core.snapshot import TARGET_GONE, LiveEvidence
from infertune.core.states.applying import conflict, is_gone
from infertune.core.states.pending import figures_of
from infertune.core.states.sight import sight_changed
from infertune.core.states.taken_back import taken_back
from infertune.core.story import Context, Outcome
from infertune.core.writes import LiveObjects, settling_writes

WATCH_SECONDS = 60.0
TOLD_EVERY = timedelta(seconds=300)
NOTABLE_SHARE = 0.1
GONE_AT_REST = "TargetGone"


def settled(context: Context) -> Outcome:
    """Return the finalizer's removal, or what live traffic looks like now."""
    if FINALIZER in context.tuning.finalizers and not context.spec.suspend:
        effects = (*closing_writes(context), SetFinalizer(present=False))
        return Outcome(effects=effects, requeue_seconds=0.0)
    changed = taken_back(context)
    changed = changed or (sight_changed(context) if context.status.state == "Stable" else None)
    if changed is not None:
        return changed
    live = context.snapshot.live
    if live == TARGET_GONE:
        return _gone(context)
    if not isinstance(live, LiveEvidence):
        return Outcome(requeue_seconds=WATCH_SECONDS)
    fresh, told = figures_of(live), context.status.live
    allowed_percent = 100.0 - context.spec.slo.percentile
    if told is not None and not worth_telling(told, fresh, allowed_percent):
        return Outcome(requeue_seconds=WATCH_SECONDS)
    return Outcome(changes=(("live", fresh),), requeue_seconds=WATCH_SECONDS)


def _gone(context: Context) -> Outcome:
    """Return the answer to a target that vanished at rest; nothing is lost, it may come back."""
    if target_was_gone(context):
        return Outcome(requeue_seconds=WATCH_SECONDS)
    reference = context.spec.target_ref
    words = (
        f"spec.targetRef: {reference.kind} {reference.name!r} does not exist any more; when it is "
        f"back the tuning starts anew, with the trials that still hold"
    )
    return Outcome(
        observed=(Observation("TargetAvailable", "False", GONE_AT_REST, words),),
        told=(Event("Warning", GONE_AT_REST, words),),
        decision=words,
        requeue_seconds=WATCH_SECONDS,
    )


def target_was_gone(context: Context) -> bool:
    """Whether an earlier look at rest found no target."""
    return any(
        c.type == "TargetAvailable" and c.reason == GONE_AT_REST for c in context.status.conditions
    )


def target_is_back(context: Context) -> bool:
    """Whether the target of a resting tuning was gone and is there again, perhaps another one."""
    return target_was_gone(context) and context.snapshot.live not in (None, TARGET_GONE)


def closing_writes(context: Context) -> tuple[Effect, ...]:
    """Return the writes that note on the target and autoscaler that the rollout stays.

    Values that are not the rollout's any more are somebody else's: nothing is written beside them.
    """
    rollout, target = context.status.rollout, context.snapshot.target
    if context.status.state != "Stable" or rollout is None or rollout.intent is None:
        return ()
    intent = rollout.intent
    if target is None or is_gone(target.raw, intent) or conflict(context):
        return ()
    return settling_writes(
        context.key, context.spec, intent, LiveObjects(target.raw, context.snapshot.autoscaler)
    )


def worth_telling(told: LiveFigures, fresh: LiveFigures, allowed_percent: float) -> bool:
    """Whether new figures are to replace the ones in the status.

    They are when the old ones are five minutes old, when the promise is kept where it was broken
    or the other way round, or when P95, rate or the number of pods moved: a figure by more than a
    tenth, or from unknown to known or back.
    """
    if told.observed_at is None or fresh.observed_at is None:
        return True
    return (
        fresh.observed_at - told.observed_at >= TOLD_EVERY
        or fresh.pods != told.pods
        or _broken(told, allowed_percent) != _broken(fresh, allowed_percent)
        or _moved(told.p95, fresh.p95)
        or _moved(told.request_rate, fresh.request_rate)
    )


def _broken(figures: LiveFigures, allowed_percent: float) -> bool | None:
    over = figures.over_slo_percent.value
    return None if over is None else over > allowed_percent


def _moved(old: Reading, new: Reading) -> bool:
    if old.value is None or new.value is None:
        return old.value is not new.value
    return abs(new.value - old.value) > NOTABLE_SHARE * max(abs(old.value), abs(new.value))
