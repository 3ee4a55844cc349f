"""What the client saw: live windows of the load probe, put together over a longer window.

Role: log lines in, figures of one window out. It must not know where the log came from. Its
trade-off: percentiles are those of answered requests, because that is what a server's own histogram
can know too; refused and failed requests are in the share over the promise, on both sides alike.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from infertune.api.status import Reading
from infertune.core.evidence import NoData, measured_from_batches, min_requests_for
from infertune.core.render import reading
from infertune_probes.contract.histogram import merge, quantile_ms

BATCHES = 10


@dataclass(frozen=True, slots=True)
class ClientWindow:
    """One line of the client: requests that ended in `start < t <= end`."""

    start: datetime
    end: datetime
    offered_rate: float
    sent: int
    completed: int
    failed: int
    exceeded: int
    histogram: tuple[tuple[int, int], ...]
    errors: tuple[tuple[str, int], ...]

    @property
    def seconds(self) -> float:
        """Length of the window."""
        return (self.end - self.start).total_seconds()


@dataclass(frozen=True, slots=True)
class Traffic:
    """Figures of one side over one window; percentiles are those of answered requests."""

    p50: Reading
    p95: Reading
    p99: Reading
    over_promise_percent: Reading
    achieved_rate: Reading
    error_percent: Reading
    offered_rate: float | None
    errors: tuple[tuple[str, int], ...] = ()


def parse_windows(log: str) -> tuple[ClientWindow, ...]:
    """Return the windows of a client's log, oldest first; lines of other kinds are left out.

    A line that was cut (the log of a client that was killed) is left out too.
    """
    windows = (_parse(line) for line in log.splitlines() if line.startswith('{"type":"window"'))
    return tuple(sorted((one for one in windows if one), key=lambda one: one.end))


def within(
    windows: Iterable[ClientWindow], start: datetime, end: datetime
) -> tuple[ClientWindow, ...]:
    """Return the windows that lie wholly in `start .. end`."""
    return tuple(one for one in windows if start <= one.start and one.end <= end)


def client_traffic(windows: Sequence[ClientWindow]) -> Traffic:
    """Return what the client saw over the windows together.

    Intervals are those of batch means over ten runs of windows; where the batches are too few or
    correlated the reading says so instead. No windows give readings without a value.
    """
    seconds = sum(one.seconds for one in windows)
    completed = sum(one.completed for one in windows)
    failed = sum(one.failed for one in windows)
    ended = completed + failed
    exceeded = sum(one.exceeded for one in windows)
    errors: dict[str, int] = {}
    for kind, count in (pair for one in windows for pair in one.errors):
        errors[kind] = errors.get(kind, 0) + count
    return Traffic(
        p50=_percentile(windows, 50, completed, seconds),
        p95=_percentile(windows, 95, completed, seconds),
        p99=_percentile(windows, 99, completed, seconds),
        over_promise_percent=share_percent(exceeded, ended, seconds),
        achieved_rate=rate_reading(completed, seconds),
        error_percent=share_percent(failed, ended, seconds),
        offered_rate=_only_rate(windows),
        errors=tuple(sorted(errors.items())),
    )


def share_percent(part: float, whole: float, seconds: float) -> Reading:
    """Return a share in percent; of nothing there is none."""
    if whole <= 0:
        return Reading(unit="%", reason="no request in the window")
    value = 100.0 * part / whole
    samples = round(whole)
    return Reading(value=round(value, 3), unit="%", samples=samples, window_seconds=seconds)


def rate_reading(count: float, seconds: float) -> Reading:
    """Return requests per second; a window without a length has none."""
    if seconds <= 0:
        return Reading(unit="req/s", reason="no window")
    value = round(count / seconds, 3)
    return Reading(value=value, unit="req/s", samples=round(count), window_seconds=seconds)


def batches_of(windows: Sequence[ClientWindow], count: int) -> tuple[tuple[ClientWindow, ...], ...]:
    """Cut windows into `count` runs of equal length; a rest at the front belongs to no run.

    Twenty-three windows in ten runs: two windows each, the first three left out.
    """
    size = len(windows) // count
    if size == 0:
        return ()
    rest = len(windows) - size * count
    return tuple(tuple(windows[i : i + size]) for i in range(rest, len(windows), size))


def _percentile(
    windows: Sequence[ClientWindow], percentile: int, completed: int, seconds: float
) -> Reading:
    value = quantile_ms(_merged(windows), percentile / 100)
    if value is None or completed < min_requests_for(percentile):
        needed = min_requests_for(percentile)
        return reading(NoData("TooFew", f"{completed} answers, P{percentile} needs {needed}"))
    batches = [
        quantile
        for run in batches_of(windows, BATCHES)
        if (quantile := quantile_ms(_merged(run), percentile / 100)) is not None
    ]
    return reading(measured_from_batches(value, "ms", completed, seconds, batches))


def _merged(windows: Sequence[ClientWindow]) -> dict[int, int]:
    return merge(dict(one.histogram) for one in windows)


def _only_rate(windows: Sequence[ClientWindow]) -> float | None:
    rates = {one.offered_rate for one in windows}
    return rates.pop() if len(rates) == 1 else None


def _parse(line: str) -> ClientWindow | None:
    try:
        raw = json.loads(line)
    except ValueError:
        return None
    end = datetime.fromisoformat(raw["at"])
    return ClientWindow(
        start=end - timedelta(seconds=raw["seconds"]),
        end=end,
        offered_rate=raw["offeredRate"],
        sent=raw["sent"],
        completed=raw["completed"],
        failed=raw["failed"],
        exceeded=raw["exceeded"],
        histogram=tuple((bucket, count) for bucket, count in raw["histogram"]),
        errors=tuple(sorted(raw["errors"].items())),
    )
