"""Verifying: live traffic decides whether the change stays.

Role: judge the new pods by blocks of live traffic, keep, extend or go back. Must not know: how
blocks are made. Trade-off: the verdict may be asked for at every look, so a clear answer comes
early; an unclear one ends at a deadline that follows from the traffic, not from a guess.
"""

import math
from datetime import datetime, timedelta

from infertune.api.conditions import Observation
from infertune.api.fields import fraction_of_percent
from infertune.api.status import RolloutStatus
from infertune.core.evidence import Measured, NoData
from infertune.core.expected_load import expected_load
from infertune.core.manifests.apply_documents import standing_still, template_expectations
from infertune.core.plan import Event
from infertune.core.preconditions import Violated, check
from infertune.core.promise_bound import bound_note, not_surely_broken
from infertune.core.render import number, shown
from infertune.core.slo import Judgement, judge, required_verification_seconds
from infertune.core.snapshot import LiveEvidence, RawObject
from infertune.core.states.applying import (
    asked_to_turn_back,
    begin_rollback,
    halt,
    is_gone,
    target_gone,
)
from infertune.core.states.patience import above_demand, patience_at
from infertune.core.states.pending import figures_of
from infertune.core.story import Context, Outcome

LOOK_SECONDS = 3.0
EXTENSION = 4.0
MIN_DEADLINE_SECONDS = 60.0
PROGRESS_SECONDS = 10.0
_NO_TRAFFIC_SECONDS = 3600.0
_BLOCKS_OF_A_LOOK = 16
# The error guard is looked at every few seconds, and failures come in bursts.
_ERROR_SIGMAS = 3.0
_LONGEST = 1024


def verifying(context: Context) -> Outcome:
    """Return the verdict on live traffic, or patience."""
    rollout = context.status.rollout
    assert rollout is not None
    assert rollout.intent is not None
    target = context.snapshot.target
    if target is None or is_gone(target.raw, rollout.intent):
        return target_gone(context)
    reversal = asked_to_turn_back(context, rollout)
    if reversal is not None:
        return reversal
    changed = _changed_by_somebody(rollout, target.raw)
    if changed is not None:
        return changed
    live = context.snapshot.live
    if isinstance(live, LiveEvidence):
        return _judged(context, rollout, live)
    if live is None:
        return Outcome(requeue_seconds=LOOK_SECONDS)
    return _blind(context, rollout, live)


def _judged(context: Context, rollout: RolloutStatus, live: LiveEvidence) -> Outcome:
    spec = context.spec
    judgement = judge(live.blocks, spec.slo.percentile)
    needed = _needed_seconds(context, live)
    figures = figures_of(live)
    words = _sentence(context, judgement, live)
    rollout = rollout.model_copy(
        update={
            "blocks": judgement.blocks,
            "verification_seconds": round(needed, 1),
            "evidence": words,
        }
    )
    changes = (("rollout", rollout), ("live", figures))
    failing = _too_many_errors(context, live)
    if failing is not None:
        return _fail(context, rollout, changes, failing)
    excuse = not_surely_broken(live, judgement, spec.slo.percentile)
    if excuse is None and judgement.verdict == "Fail":
        excuse = above_demand(context, live)
    if judgement.verdict == "Fail" and excuse is None:
        return _fail(context, rollout, changes, words)
    if judgement.verdict == "Pass" and _errors_within(context, live):
        return _pass(context, rollout, changes, words)
    return _wait(context, rollout, changes, needed, f"{excuse}: {words}" if excuse else words)


def _fail(
    context: Context,
    rollout: RolloutStatus,
    changes: tuple[tuple[str, object], ...],
    why: str,
) -> Outcome:
    rollout = rollout.model_copy(update={"verdict": "Fail", "verified_at": context.now})
    back = begin_rollback(context, rollout, "VerifyFailed", why)
    return Outcome(
        changes=(*changes, *back.changes),
        event=back.event,
        observed=(Observation("Verified", "False", "PromiseBroken", why),),
        told=back.told,
        decision=back.decision,
        evidence=back.evidence,
        requeue_seconds=0.0,
    )


def _pass(
    context: Context,
    rollout: RolloutStatus,
    changes: tuple[tuple[str, object], ...],
    why: str,
) -> Outcome:
    rollout = rollout.model_copy(update={"verdict": "Pass", "verified_at": context.now})
    return Outcome(
        changes=(*changes, ("rollout", rollout)),
        event="VerifyPassed",
        observed=(Observation("Verified", "True", "PromiseKept", why),),
        told=(Event("Normal", "Verified", why),),
        decision=f"verified: {why}",
        requeue_seconds=0.0,
    )


def _wait(
    context: Context,
    rollout: RolloutStatus,
    changes: tuple[tuple[str, object], ...],
    needed: float,
    words: str,
) -> Outcome:
    waited = context.seconds_since(_settled(context, rollout))
    patience = patience_at(context, waited, _deadline(context, needed), words)
    if patience is None:
        return _inconclusive(context, rollout, changes, words)
    told = context.status.live.observed_at if context.status.live else None
    fresh = told is not None and context.seconds_since(told) < PROGRESS_SECONDS
    return Outcome(
        changes=() if fresh else changes,
        observed=patience.observed,
        told=patience.told,
        decision="; ".join(event.message for event in patience.told),
        requeue_seconds=LOOK_SECONDS,
    )


def _inconclusive(
    context: Context,
    rollout: RolloutStatus,
    changes: tuple[tuple[str, object], ...],
    words: str,
) -> Outcome:
    rollout = rollout.model_copy(update={"verdict": "Inconclusive", "verified_at": context.now})
    seen = Observation("Verified", "Unknown", "Inconclusive", words)
    if context.spec.rollout.on_inconclusive == "Keep":
        return Outcome(
            changes=(*changes, ("rollout", rollout)),
            event="VerifyKept",
            observed=(seen,),
            told=(Event("Warning", "Inconclusive", f"kept without a verdict: {words}"),),
            decision=f"kept without a verdict, as spec.rollout.onInconclusive says: {words}",
            requeue_seconds=0.0,
        )
    back = begin_rollback(context, rollout, "VerifyFailed", f"no verdict in time: {words}")
    return Outcome(
        changes=(*changes, *back.changes),
        event=back.event,
        observed=(seen,),
        told=back.told,
        decision=back.decision,
        evidence=back.evidence,
        requeue_seconds=0.0,
    )


def _blind(context: Context, rollout: RolloutStatus, missing: NoData) -> Outcome:
    words = f"{missing.reason}: {missing.detail}"
    blind = Observation("MetricsAvailable", "False", missing.reason, f"spec.metrics: {words}")
    needed = rollout.verification_seconds or _expected_seconds(context)
    outcome = _wait(context, rollout, (("rollout", rollout),), needed, words)
    return Outcome(
        changes=outcome.changes,
        event=outcome.event,
        observed=(*outcome.observed, blind),
        told=outcome.told,
        decision=outcome.decision,
        evidence=outcome.evidence,
        requeue_seconds=outcome.requeue_seconds,
    )


def _changed_by_somebody(rollout: RolloutStatus, raw: RawObject) -> Outcome | None:
    """Return the end of a verification whose subject was changed: a verdict would lie."""
    assert rollout.intent is not None
    found = check(raw, standing_still(template_expectations(rollout.intent, back=False)))
    if not isinstance(found, Violated):
        return None
    owners = f" (owner: {', '.join(found.owners)})" if found.owners else ""
    words = f"{found.path}{owners}: holds {found.value} while it was verified"
    return halt(
        "FieldTaken", words, rollout, Observation("FieldConflict", "True", "FieldTaken", words)
    )


def _needed_seconds(context: Context, live: LiveEvidence) -> float:
    rate = live.request_rate.value if isinstance(live.request_rate, Measured) else 0.0
    return _seconds_at(context, rate)


def _expected_seconds(context: Context) -> float:
    """Return the time that the traffic before the change would need; without one, some blocks."""
    baseline = context.status.baseline
    rate = baseline.request_rate.value if baseline else None
    if rate:
        return _seconds_at(context, rate)
    return float(_BLOCKS_OF_A_LOOK * context.spec.metrics.scrape_interval_seconds)


def _seconds_at(context: Context, rate: float) -> float:
    interval = float(context.spec.metrics.scrape_interval_seconds)
    needed = required_verification_seconds(
        rate, interval, context.spec.slo.percentile, expected_load(context.status)
    )
    return _NO_TRAFFIC_SECONDS if isinstance(needed, NoData) else needed


def _deadline(context: Context, needed: float) -> float:
    declared = context.spec.rollout.verification_seconds
    if declared is not None:
        return float(declared)
    return max(MIN_DEADLINE_SECONDS, EXTENSION * needed)


def _settled(context: Context, rollout: RolloutStatus) -> datetime | None:
    if rollout.applied_at is None:
        return None
    spec = context.spec
    warm = spec.rollout.warmup_seconds + 2 * spec.metrics.scrape_interval_seconds
    return rollout.applied_at + timedelta(seconds=warm)


def _too_many_errors(context: Context, live: LiveEvidence) -> str | None:
    """Return a sentence when failures are surely more than allowed (Wilson's lower bound)."""
    errors, limit = live.error_percent, _allowed_errors(context)
    if not isinstance(errors, Measured) or _wilson_low(errors.value / 100, errors.n) <= limit:
        return None
    return f"{number(errors.value)} % of requests fail, {number(100 * limit)} % are allowed"


def _errors_within(context: Context, live: LiveEvidence) -> bool:
    """Whether the error guard was measured and holds: a guard without data proves nothing."""
    errors = live.error_percent
    return isinstance(errors, Measured) and errors.value <= 100 * _allowed_errors(context)


def _allowed_errors(context: Context) -> float:
    return fraction_of_percent(context.spec.slo.max_error_percent)


def _wilson_low(share: float, n: int) -> float:
    """Return the lower bound of a share seen in n requests.

    >>> round(_wilson_low(0.1, 100), 3), _wilson_low(0.5, 0)
    (0.039, 0.0)
    """
    if n <= 0:
        return 0.0
    square = _ERROR_SIGMAS**2
    middle = share + square / (2 * n)
    spread = _ERROR_SIGMAS * math.sqrt(share * (1 - share) / n + square / (4 * n * n))
    return max(0.0, (middle - spread) / (1 + square / n))


def _sentence(context: Context, judgement: Judgement, live: LiveEvidence) -> str:
    figures = figures_of(live)
    note = bound_note(live, context.spec.slo.latency_milliseconds)
    return (
        f"{judgement.reason}; P95 {shown(figures.p95)} at {shown(figures.request_rate)}, "
        f"{judgement.blocks} blocks, {number(judgement.requests)} requests, {live.pods} pods, "
        f"errors {shown(figures.error_percent)}; "
        f"promise P{context.spec.slo.percentile} <= {context.spec.slo.latency_milliseconds} ms"
        + "".join(f"; {part}" for part in (note, figures.uneven) if part)
    )[:_LONGEST]
