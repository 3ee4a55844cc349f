"""The story of a tuning, told from two consecutive statuses.

Role: what changed between two looks at the status, one sentence each. It must not know when it is
asked or where the sentences go. Its trade-off: it tells what the status says and nothing else, so
what passes between two looks and leaves no trace in the status is not told.
"""

from collections.abc import Iterator

from infertune.api.spec import TuningSpec
from infertune.api.status import (
    Condition,
    RateLevel,
    Recommendation,
    RolloutStatus,
    TrialRecord,
    TuningStatus,
)
from infertune.core.render import configuration_text, number, shown

TOLD_CONDITIONS = ("Stalled", "TargetAvailable", "MetricsAvailable", "SLOAchievable")


def tell(spec: TuningSpec, before: TuningStatus | None, now: TuningStatus) -> tuple[str, ...]:
    """Return what is new in `now`, in the order of the loop; nothing when nothing changed."""
    old = before or TuningStatus()
    return (
        *_state(before, now),
        *_conditions(old, now),
        *_probes(old, now),
        *_baseline(old, now),
        *_trials(spec, old, now),
        *_decision(old.recommendation, now.recommendation),
        *_rollout(old.rollout, now.rollout),
    )


def waiting(spec: TuningSpec, status: TuningStatus) -> str:
    """Return what is being waited for, for a heartbeat."""
    running = [one for one in status.trials if one.phase == "Running"]
    if status.state == "Searching" and running:
        ladder = ", ".join(number(rate) for rate in running[-1].rates)
        text = f"{_place(spec, status, running[-1])} runs"
        return f"{status.state}: {text}, rates {ladder} req/s" if ladder else text
    rollout = status.rollout
    if status.state == "Verifying" and rollout is not None:
        need = rollout.verification_seconds
        computed = "" if need is None else f"; a verdict was computed to need {need:.0f} s"
        return f"{status.state}: {rollout.blocks} blocks of live traffic judged{computed}"
    return f"{status.state}: waiting"


def _state(before: TuningStatus | None, now: TuningStatus) -> Iterator[str]:
    if before is None or before.state != now.state:
        yield f"state: {now.state}"


def _conditions(old: TuningStatus, now: TuningStatus) -> Iterator[str]:
    known = {one.type: one for one in old.conditions}
    for one in now.conditions:
        if one.type in TOLD_CONDITIONS and _bad(one) and not _same(known.get(one.type), one):
            yield f"condition: {one.type}={one.status}, {one.reason}: {one.message}"


def _bad(condition: Condition) -> bool:
    return condition.status == ("True" if condition.type == "Stalled" else "False")


def _same(old: Condition | None, now: Condition) -> bool:
    return old is not None and (old.status, old.message) == (now.status, now.message)


def _probes(old: TuningStatus, now: TuningStatus) -> Iterator[str]:
    for one in now.probes:
        if one not in old.probes:
            yield f"probe: {one.probe} on {one.node}: {one.verdict}, {one.summary}"


def _baseline(old: TuningStatus, now: TuningStatus) -> Iterator[str]:
    figures = now.baseline
    if figures is None or old.baseline is not None:
        return
    setting = now.baseline_configuration
    what = configuration_text(setting) if setting else "unknown setting"
    yield (
        f"baseline: {what}: P95 {shown(figures.p95)} at {shown(figures.request_rate)}, "
        f"{shown(figures.over_slo_percent)} late or failed"
    )


def _trials(spec: TuningSpec, old: TuningStatus, now: TuningStatus) -> Iterator[str]:
    known = {one.name: one for one in old.trials}
    for trial in now.trials:
        before = known.get(trial.name)
        if before is None:
            ladder = ", ".join(number(rate) for rate in trial.rates)
            yield f"{_place(spec, now, trial)}: rates {ladder} req/s"
        done = len(before.levels) if before else 0
        for level in trial.levels[done:]:
            yield f"  {_level(level)}"
        if trial.phase != "Running" and (before is None or before.phase == "Running"):
            yield f"  {_ended(trial)}"


def _place(spec: TuningSpec, status: TuningStatus, trial: TrialRecord) -> str:
    order = status.trials.index(trial) + 1
    what = configuration_text(trial.candidate)
    return f"trial {order} of at most {spec.budget.max_trials}: {what}"


def _level(level: RateLevel) -> str:
    reason = f": {level.reason}" if level.reason else ""
    return (
        f"{number(level.offered_rate)} req/s: P95 {shown(level.p95)}, "
        f"{shown(level.over_slo_percent)} late or failed -> {level.verdict}{reason}"
    )


def _ended(trial: TrialRecord) -> str:
    if trial.phase != "Completed":
        return f"{trial.phase}: {trial.reason or 'no reason'}: {trial.message or ''}".rstrip(": ")
    if trial.knee_rate is None:
        why = trial.message or trial.reason or "no rate keeps the promise"
        return f"completed: {why}"
    return f"completed: one replica carries {number(trial.knee_rate)} req/s"


def _decision(old: Recommendation | None, now: Recommendation | None) -> Iterator[str]:
    if now is not None and (old is None or old.configuration != now.configuration):
        yield f"decision: {configuration_text(now.configuration)}: {now.reason}"


def _rollout(old: RolloutStatus | None, now: RolloutStatus | None) -> Iterator[str]:
    if now is None:
        return
    before = old or RolloutStatus()
    if now.applied_at is not None and before.applied_at is None:
        need = now.verification_seconds
        computed = "" if need is None else f"; a verdict needs about {need:.0f} s of live traffic"
        yield f"applied: the new pods serve{computed}"
    if now.blocks > before.blocks and now.verdict is None:
        yield f"verifying: {now.blocks} blocks of live traffic judged"
    if now.verdict is not None and before.verdict is None:
        yield f"verdict: {now.verdict}: {now.evidence or ''}".rstrip(": ")
    if now.rollback_started_at is not None and before.rollback_started_at is None:
        yield "rollback: the old values are written back"
    if now.rolled_back_at is not None and before.rolled_back_at is None:
        yield "rollback: done"
