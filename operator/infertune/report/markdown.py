"""A tuning's status as one Markdown page.

Role: what an admin reads, or attaches to a change, after ``infertune report``: outcome, settings
before and after, live figures, every trial, the probes, the price of the tuning. Must not know:
where the status came from, nor the clock; the same status gives the same bytes. Trade-off: it shows
what is recorded and computes nothing but differences, so it can never disagree with the status.
"""

from collections.abc import Iterator

from infertune.api.node_status import ProbeSummary
from infertune.api.spec import TuningSpec
from infertune.api.status import (
    Configuration,
    LiveFigures,
    RateLevel,
    Reading,
    RolloutStatus,
    TrialRecord,
    TuningStatus,
)
from infertune.core.render import configuration_text, number, shown
from infertune.report.start_up import start_up_section
from infertune.report.tables import NOTHING, cell, table

_MEBIBYTE = 1024 * 1024


def render_markdown(name: str, spec: TuningSpec | None, status: TuningStatus) -> str:
    """Return the report of a tuning.

    Args:
        name: ``namespace/name`` of the tuning.
        spec: What was asked; None when it does not parse, then only the status is shown.
        status: What the operator answered. An empty one gives a report that says so.
    """
    return "\n".join(section for section in _sections(name, spec, status) if section)


def _sections(name: str, spec: TuningSpec | None, status: TuningStatus) -> Iterator[str]:
    yield f"# InferenceTuning {name}\n"
    yield _outcome(spec, status)
    yield _settings(status)
    yield _live(status.baseline, status.live)
    yield _rollout(status.rollout)
    yield _trials(status.trials)
    yield start_up_section(status)
    yield _rejected(status)
    yield _probes(status)
    yield _conditions(status)


def _outcome(spec: TuningSpec | None, status: TuningStatus) -> str:
    facts: list[tuple[str, str]] = [("State", status.state)]
    if spec is not None:
        promise = f"P{spec.slo.percentile} at or below {spec.slo.latency_milliseconds} ms"
        errors = f"errors at or below {spec.slo.max_error_percent} %"
        demand = f"{spec.demand.peak_requests_per_second} requests/s at peak"
        facts += [("Promise", f"{promise}, {errors}"), ("Demand", demand), ("Mode", spec.mode)]
    if status.recommendation is not None:
        facts.append(("Recommendation", status.recommendation.reason))
    if status.rollout is not None and status.rollout.verdict is not None:
        facts.append(("Live verdict", status.rollout.verdict))
    spent = status.spent
    text = f"{spent.trials} trials, {number(spent.replica_hours)} replica-hours"
    facts.append(("Spent", f"{text}, {number(spent.wall_clock_seconds)} s"))
    if spent.cost.value is not None:
        facts.append(("Spent in money", shown(spent.cost)))
    return table(("", "outcome"), facts)


def _settings(status: TuningStatus) -> str:
    before = status.baseline_configuration
    recommendation = status.recommendation
    if before is None:
        return "No configuration was read yet.\n"
    after = recommendation.configuration if recommendation else None
    rows = [
        ("batch size", _batch(before), _batch(after)),
        ("image", before.image, after.image if after else NOTHING),
        ("replica bounds", _bounds(before), _bounds(after)),
    ]
    text = "## Settings\n\n" + table(("setting", "before", "recommended"), rows)
    if recommendation is not None:
        knee = recommendation.knee_rate
        text += f"\nOne replica carries {_maybe(knee)} requests/s. Cost of an hour at peak: "
        text += f"{shown(recommendation.cost_per_hour_at_peak)}; of 1,000 requests: "
        text += f"{shown(recommendation.cost_per_thousand_requests)}.\n"
    return text


def _live(before: LiveFigures | None, after: LiveFigures | None) -> str:
    if before is None and after is None:
        return "## Live traffic\n\nNothing was measured yet.\n"
    old, new = before or LiveFigures(), after or LiveFigures()
    pairs = [
        ("P50", old.p50, new.p50),
        ("P95", old.p95, new.p95),
        ("P99", old.p99, new.p99),
        ("over the promise", old.over_slo_percent, new.over_slo_percent),
        ("requests", old.request_rate, new.request_rate),
        ("errors", old.error_percent, new.error_percent),
        ("CPU", old.cpu_cores, new.cpu_cores),
        ("memory", _mebibytes(old.memory_bytes), _mebibytes(new.memory_bytes)),
        ("balance over the pods", old.balance, new.balance),
    ]
    rows = [(name, _figure(a), _figure(b), _change(a, b)) for name, a, b in pairs]
    rows.append(("pods", _pods(before), _pods(after), NOTHING))
    header = ("figure", "before", "after", "change")
    told = [(when, one.uneven) for when, one in (("Before", old), ("After", new)) if one.uneven]
    findings = "".join(f"\n{when}: {cell(words)}.\n" for when, words in told)
    return "## Live traffic, by Prometheus\n\n" + table(header, rows) + findings


def _rollout(rollout: RolloutStatus | None) -> str:
    if rollout is None:
        return ""
    facts: list[tuple[str, str]] = [
        ("verdict", rollout.verdict or "none yet"),
        ("evidence", rollout.evidence or NOTHING),
        ("blocks judged", str(rollout.blocks)),
        ("computed time for a verdict", f"{_maybe(rollout.verification_seconds)} s"),
        ("intent recorded", _moment(rollout.started_at)),
        ("rollout complete", _moment(rollout.applied_at)),
        ("verdict at", _moment(rollout.verified_at)),
    ]
    if rollout.rollback_started_at is not None:
        facts.append(("way back decided", _moment(rollout.rollback_started_at)))
        facts.append(("old values back", _moment(rollout.rolled_back_at)))
    text = "## Rollout\n\n" + table(("", "what happened"), facts)
    if rollout.restore_command:
        text += f"\nTo restore the old template by hand:\n\n    {cell(rollout.restore_command)}\n"
    return text


def _trials(trials: tuple[TrialRecord, ...]) -> str:
    if not trials:
        return "## Trials\n\nNone ran.\n"
    header = ("trial", "candidate", "rate", "answered", "P95", "over promise", "errors", "verdict")
    rows = [row for number_, trial in enumerate(trials, 1) for row in _trial_rows(number_, trial)]
    return "## Trials\n\n" + table(header, rows)


def _trial_rows(order: int, trial: TrialRecord) -> Iterator[tuple[str, ...]]:
    what = configuration_text(trial.candidate)
    knee = f"; knee {number(trial.knee_rate)}/s" if trial.knee_rate is not None else ""
    outcome = trial.message or trial.reason or ""
    quality = trial.quality_drop_percent
    if quality is not None:
        what += f"; {number(quality)} % of golden answers wrong"
    summary = f"{trial.phase}{knee}{': ' if outcome else ''}{outcome}"
    yield (str(order), what, *[""] * 5, summary)
    for level in trial.levels:
        yield ("", "", *_level_cells(level))


def _level_cells(level: RateLevel) -> tuple[str, ...]:
    reason = f": {level.reason}" if level.reason else ""
    return (
        f"{number(level.offered_rate)}/s",
        f"{number(level.achieved_rate)}/s",
        _figure(level.p95),
        _figure(level.over_slo_percent),
        f"{number(level.error_percent)} %",
        f"{level.verdict}{reason}",
    )


def _rejected(status: TuningStatus) -> str:
    if not status.rejected_images:
        return ""
    rows = [(one.image, one.node, one.reason, one.fix) for one in status.rejected_images]
    return "## Images not tried\n\n" + table(("image", "node", "why it cannot run", "fix"), rows)


def _probes(status: TuningStatus) -> str:
    if not status.probes:
        return ""
    rows = [(probe.node, probe.probe, probe.verdict, probe.summary) for probe in status.probes]
    found = table(("node", "probe", "verdict", "finding"), rows)
    return "## Nodes\n\n" + found + "".join(_held_back(probe) for probe in status.probes)


def _held_back(probe: ProbeSummary) -> str:
    """Return what holds the model back, and where advice comes from: status holds no evidence."""
    if probe.bound in {None, "unknown"}:
        return ""
    percent = probe.busy_percent
    busy = "" if percent is None else f", the device works {percent:g} % of a call"
    sure = f" (confidence {probe.confidence})" if probe.confidence else ""
    advice = "`infertune advise FILE...` ranks what would help, from the results of probes."
    return f"\nWhat holds the model back, by the profiler: {probe.bound}{busy}{sure}. {advice}\n"


def _conditions(status: TuningStatus) -> str:
    if not status.conditions:
        return ""
    rows = [(one.type, one.status, one.reason, one.message) for one in status.conditions]
    return "## Conditions\n\n" + table(("condition", "status", "reason", "message"), rows)


def _figure(figure: Reading) -> str:
    if figure.value is None:
        return f"none: {figure.reason}" if figure.reason else NOTHING
    text = f"{shown(figure)}"
    if figure.low is None and figure.reason:
        text += f" (no interval: {figure.reason})"
    return f"{text}, n={figure.samples}" if figure.samples else text


def _change(before: Reading, after: Reading) -> str:
    if before.value is None or after.value is None or before.value == 0:
        return NOTHING
    return f"{100 * (after.value - before.value) / before.value:+.0f} %"


def _mebibytes(figure: Reading) -> Reading:
    scaled = {
        name: value / _MEBIBYTE
        for name in ("value", "low", "high")
        if (value := getattr(figure, name)) is not None
    }
    return figure.model_copy(update={**scaled, "unit": "MiB"})


def _batch(configuration: Configuration | None) -> str:
    if configuration is None:
        return NOTHING
    size = configuration.batch_size
    return "server default" if size is None else str(size)


def _bounds(configuration: Configuration | None) -> str:
    if configuration is None or configuration.min_replicas is None:
        return NOTHING
    return f"{configuration.min_replicas} to {_maybe(configuration.max_replicas)}"


def _pods(figures: LiveFigures | None) -> str:
    return NOTHING if figures is None else str(figures.pods)


def _maybe(value: float | None) -> str:
    return NOTHING if value is None else number(value)


def _moment(value: object) -> str:
    isoformat = getattr(value, "isoformat", None)
    return NOTHING if isoformat is None else str(isoformat(timespec="seconds"))
