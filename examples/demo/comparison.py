"""The before/after table.

Role: two observations in, rows of text out, and the same rows as plain text and as Markdown. It
must not know the cluster. Its trade-off: every figure prints its interval or the reason why there
is none, which makes wide cells; a table without them would be easier to read and to misread.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from demo.observation import Observation, Price, costs
from infertune.api.status import Reading
from infertune.core.render import number
from infertune.report.tables import table

NOTHING = "-"
HEADER = ("figure", "before", "after", "change")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    name: str
    before: str
    after: str
    change: str = NOTHING

    def cells(self) -> tuple[str, str, str, str]:
        """Return the cells in order."""
        return (self.name, self.before, self.after, self.change)


def percent_change(before: float | None, after: float | None) -> str:
    """Return the change in percent with its sign; from nothing or from zero there is none."""
    if before is None or after is None or before == 0:
        return NOTHING
    return f"{100.0 * (after - before) / before:+.0f} %"


def figure(value: Reading) -> str:
    """Return a reading with its interval, or with the reason why there is none."""
    if value.value is None:
        return f"none: {value.reason or 'not measured'}"
    text = f"{number(value.value)} {value.unit}".strip()
    if value.low is not None and value.high is not None:
        kind = "bucket" if value.level_percent == 100 else f"{value.level_percent or 0:.0f} %"  # noqa: PLR2004
        return f"{text} [{number(value.low)}, {number(value.high)}; {kind}]"
    return f"{text} (no interval: {value.reason})" if value.reason else text


def compare(before: Observation, after: Observation, price: Price) -> tuple[Row, ...]:
    """Return all rows: settings, load, latency of both sides, resources, cost."""
    return (
        *_settings(before, after),
        *_load(before, after),
        *_latency("client", before, after),
        *_latency("Prometheus", before, after),
        *_resources(before, after),
        *_costs(before, after, price),
    )


def as_markdown(rows: Sequence[Row]) -> str:
    """Return the rows as a Markdown table."""
    return table(HEADER, [row.cells() for row in rows])


def as_text(rows: Sequence[Row]) -> str:
    """Return the rows with aligned columns, for a terminal."""
    lines = [HEADER, *(row.cells() for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADER))]
    rule = tuple("-" * width for width in widths)
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in (lines[0], rule, *lines[1:])
    )


def _settings(before: Observation, after: Observation) -> tuple[Row, ...]:
    old, new = before.setting, after.setting
    return (
        Row("batch size", old.batch_size, new.batch_size),
        Row("image", old.image, new.image),
        Row("HPA bounds", f"{old.hpa_min}..{old.hpa_max}", f"{new.hpa_min}..{new.hpa_max}"),
        _count("replicas ready", old.ready_replicas, new.ready_replicas),
        Row("HPA at start of window", _state(before, start=True), _state(after, start=True)),
        Row("HPA at end of window", _state(before, start=False), _state(after, start=False)),
    )


def _load(before: Observation, after: Observation) -> tuple[Row, ...]:
    old, new = before.client, after.client
    return (
        Row("window", f"{before.seconds:.0f} s", f"{after.seconds:.0f} s"),
        Row("offered rate", _offered(old.offered_rate), _offered(new.offered_rate)),
        _pair("answered (client)", old.achieved_rate, new.achieved_rate),
        _pair(
            "answered (Prometheus)",
            before.prometheus.achieved_rate,
            after.prometheus.achieved_rate,
        ),
        _pair("errors (client)", old.error_percent, new.error_percent),
        _pair(
            "errors (Prometheus)", before.prometheus.error_percent, after.prometheus.error_percent
        ),
    )


def _latency(side: str, before: Observation, after: Observation) -> tuple[Row, ...]:
    old = before.client if side == "client" else before.prometheus
    new = after.client if side == "client" else after.prometheus
    return (
        _pair(f"P50 ({side})", old.p50, new.p50),
        _pair(f"P95 ({side})", old.p95, new.p95),
        _pair(f"P99 ({side})", old.p99, new.p99),
        _pair(f"late or failed ({side})", old.over_promise_percent, new.over_promise_percent),
    )


def _resources(before: Observation, after: Observation) -> tuple[Row, ...]:
    old, new = before.resources, after.resources
    return (
        _pair("CPU, all replicas", old.cpu_cores, new.cpu_cores),
        _pair("memory, all replicas", old.memory_mebibytes, new.memory_mebibytes),
    )


def _costs(before: Observation, after: Observation, price: Price) -> tuple[Row, ...]:
    old, new = costs(before, price), costs(after, price)
    return (
        _pair("cost, requests answered", old.per_thousand_requests, new.per_thousand_requests),
        _pair("cost, requests in time", old.per_thousand_kept, new.per_thousand_kept),
        _pair("cost per QPS", old.per_qps_hour, new.per_qps_hour),
    )


def _pair(name: str, before: Reading, after: Reading) -> Row:
    return Row(name, figure(before), figure(after), percent_change(before.value, after.value))


def _count(name: str, before: int, after: int) -> Row:
    return Row(name, str(before), str(after), percent_change(before, after))


def _offered(rate: float | None) -> str:
    return "changed in the window" if rate is None else f"{number(rate)} req/s"


def _state(observation: Observation, *, start: bool) -> str:
    return (observation.setting_at_start if start else observation.setting).autoscaler
