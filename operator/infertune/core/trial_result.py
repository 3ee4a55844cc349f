"""From a load probe's envelope to the levels of a trial record.

Role: judge each measured rate and keep what people and the search need. Must not know: Jobs, pods.
Trade-off: raw latencies stay in the probe's log; status keeps one line per rate.
"""

from dataclasses import dataclass

from infertune.api.spec import TuningSpec
from infertune.api.status import RateLevel, Reading, TrialRecord
from infertune.core.capacity import knee_of
from infertune.core.evidence import measured_from_batches
from infertune.core.level_verdict import LevelJudgement, judge_level
from infertune.core.render import reading
from infertune.core.snapshot import ProbeFailure
from infertune_probes.contract.load import Envelope
from infertune_probes.contract.load_result import Level, LoadResult

_DIGITS = 3


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a trial ended without a usable result; ``phase`` as in the status."""

    phase: str
    reason: str
    message: str


def with_result(
    record: TrialRecord, result: Envelope | ProbeFailure, spec: TuningSpec
) -> TrialRecord:
    """Return the record with its levels, its knee, or the reason why it has none."""
    if isinstance(result, ProbeFailure):
        return ended(record, Ending("Invalid", result.reason, result.message))
    load = result.load
    if load is None:
        return ended(record, Ending("Invalid", "NoLoadResult", _findings(result)))
    record = record.model_copy(
        update={
            "startup_seconds": load.startup.seconds if load.startup else None,
            "quality_drop_percent": load.quality.drop_percent if load.quality else None,
        }
    )
    if load.startup is not None and not load.startup.ready:
        return ended(record, Ending("Failed", "NotReady", _findings(result)))
    if load.quality is not None and not load.quality.accepted:
        words = (
            f"{load.quality.passed} of {load.quality.total} golden answers right: "
            f"{_number(load.quality.drop_percent)} % wrong, "
            f"{_number(load.quality.max_drop_percent)} % allowed"
        )
        return ended(record, Ending("Failed", "QualityFailed", words))
    return _measured(record, load, spec, _findings(result))


def ended(record: TrialRecord, ending: Ending) -> TrialRecord:
    """Return the record as ended without a result."""
    return record.model_copy(
        update={"phase": ending.phase, "reason": ending.reason, "message": ending.message[:1024]}
    )


def _measured(
    record: TrialRecord, load: LoadResult, spec: TuningSpec, findings: str
) -> TrialRecord:
    judged = [(level, judge_level(level, spec.slo)) for level in load.levels]
    seen = [(level, judgement) for level, judgement in judged if level.state != "skipped"]
    if not seen:
        return ended(record, Ending("Invalid", "NothingMeasured", findings))
    spoiled = next((j for _, j in seen if j.verdict == "Invalid"), None)
    levels = tuple(_level(level, judgement) for level, judgement in seen)
    knee = knee_of((level.offered_rate, judgement.verdict) for level, judgement in seen)
    record = record.model_copy(
        update={
            "levels": levels,
            "knee_rate": knee,
            "load_seconds": round(sum(level.window_seconds for level, _ in seen), _DIGITS),
        }
    )
    broken = any(judgement.verdict == "Fail" for _, judgement in seen)
    if spoiled is not None and knee is None and not broken:
        return ended(record, Ending("Invalid", "GateBroken", spoiled.reason or ""))
    return record.model_copy(update={"phase": "Completed", "reason": None, "message": None})


def _level(level: Level, judgement: LevelJudgement) -> RateLevel:
    errors = sum(level.errors.values())
    share = 100.0 * errors / level.sent if level.sent else 0.0
    verdict = "Inconclusive" if judgement.verdict == "Invalid" else judgement.verdict
    return RateLevel(
        offered_rate=round(level.offered_rate, _DIGITS),
        achieved_rate=round(level.achieved_rate, _DIGITS),
        p95=_p95(level),
        over_slo_percent=reading(judgement.over_percent),
        error_percent=round(share, _DIGITS),
        verdict=verdict,
        reason=judgement.reason or None,
    )


def _p95(level: Level) -> Reading:
    if level.latency is None:
        return Reading(reason=f"TooFew: {level.reason or 'no request was sent'}")
    whole = level.latency.p95
    if whole.censored:
        words = f"Invalid: failed requests reach the percentile; at least {whole.value_ms:g} ms"
        return Reading(unit="ms", samples=level.sent, reason=words)
    batches = [batch.p95.value_ms for batch in level.batches if not batch.p95.censored]
    evidence = measured_from_batches(
        whole.value_ms, "ms", level.sent, level.window_seconds, batches
    )
    return reading(evidence)


def _findings(envelope: Envelope) -> str:
    return "; ".join(f"{f.code}: {f.evidence}" for f in envelope.findings)[:1024]


def _number(value: float) -> str:
    return f"{value:.3g}"
