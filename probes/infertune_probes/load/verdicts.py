"""What the load probe itself can say about its levels: was this a measurement, and of whom?

It must not judge the server against its promise, the operator's core does that. It says when
the *client* was the bottleneck or the run was cut short. Trade-off: these are warnings and not
failures, because the operator owns the rule that voids a trial.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from infertune_probes.contract.codes import INTERRUPTED
from infertune_probes.contract.envelope import measured, unmeasured
from infertune_probes.load.codes import (
    CLIENT_BUSY,
    CLIENT_LATE,
    LADDER_STOPPED,
    LOAD_CAPPED,
    LOAD_MEASURED,
    NOTHING_COMPLETED,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infertune_probes.contract.envelope import Finding, Measurement

# The same gates as for every trial: lateness P99 above 5 % of the SLO, client CPU above 70 %.
LATENESS_SHARE_OF_SLO = 0.05
CPU_SHARE = 0.70

Level = dict[str, object]


def findings_of(levels: Sequence[Level], slo_ms: float) -> list[Finding]:
    """Return the findings of a run, in the order of the ladder."""
    run = [level for level in levels if level["state"] != "skipped"]
    findings = [_first(run)]
    for level in run:
        findings += _client_findings(level, slo_ms)
        findings += _state_findings(level)
    skipped = [level for level in levels if level["state"] == "skipped"]
    if skipped and all(level["state"] == "measured" for level in run):
        rates = ", ".join(f"{level['offeredRate']:g}/s" for level in skipped)
        findings.append(LADDER_STOPPED.warned(f"{rates} skipped: {skipped[0]['reason']}"))
    return findings


def _first(run: Sequence[Level]) -> Finding:
    sent = sum(cast("int", level["sent"]) for level in run)
    completed = sum(cast("int", level["completed"]) for level in run)
    if completed == 0:
        kinds = sorted({kind for level in run for kind in cast("dict[str, int]", level["errors"])})
        return NOTHING_COMPLETED.failed(
            f"none of {sent} requests completed ({', '.join(kinds) or 'nothing was sent'})"
        )
    evidence = f"{completed} of {sent} requests completed at {len(run)} rates"
    return LOAD_MEASURED.passed(evidence)


def _client_findings(level: Level, slo_ms: float) -> list[Finding]:
    findings = []
    late = cast("float | None", level["latenessP99Ms"])
    if late is not None and late > LATENESS_SHARE_OF_SLO * slo_ms:
        evidence = (
            f"at {level['offeredRate']:g}/s the client itself was {late:.1f} ms late (P99), "
            f"over 5 % of the SLO of {slo_ms:g} ms"
        )
        findings.append(CLIENT_LATE.warned(evidence))
    share = cast("float | None", level["clientCpuShare"])
    if share is not None and share > CPU_SHARE:
        evidence = f"at {level['offeredRate']:g}/s the client used {100 * share:.0f} % of a core"
        findings.append(CLIENT_BUSY.warned(evidence))
    return findings


def _state_findings(level: Level) -> list[Finding]:
    evidence = f"{level['offeredRate']:g}/s: {level['reason']}"
    if level["state"] == "capped":
        return [LOAD_CAPPED.warned(evidence)]
    if level["state"] == "interrupted":
        return [INTERRUPTED.unknown(evidence)]
    return []


def measurements_of(levels: Sequence[Level]) -> list[Measurement]:
    """Return P95 and achieved rate of every level; a censored P95 is missing, with the reason."""
    measurements = []
    for level in levels:
        at = f"{level['offeredRate']:g}"
        sent = cast("int", level["sent"])
        latency = cast("dict[str, dict[str, object]] | None", level["latency"])
        if latency is None:
            reason = str(level["reason"] or "no request was sent")
            measurements.append(unmeasured(f"latency_p95_at_{at}", "ms", reason))
            continue
        measurements.append(_p95(f"latency_p95_at_{at}", latency["p95"], sent))
        rate = cast("float", level["achievedRate"])
        measurements.append(measured(f"achieved_rate_at_{at}", "1/s", rate, sent))
    return measurements


def _p95(name: str, p95: dict[str, object], sent: int) -> Measurement:
    value = cast("float", p95["valueMs"])
    if p95["censored"]:
        return unmeasured(name, "ms", f"among failed requests: at least {value:g} ms", sent)
    return measured(name, "ms", value, sent)
