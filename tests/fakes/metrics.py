"""Live traffic of a simulated target, as Prometheus would tell it."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from infertune.core.evidence import Measured, NoData
from infertune.core.snapshot import BlockSample, LiveEvidence
from infertune.ports import LiveQuery
from tests.fakes.envelopes import LN20

_NO_INTERVAL = "made up for a test"


@dataclass(slots=True)
class FakeMetrics:
    """The metrics port; ``answer`` says what the pods served in the window.

    Queries are kept, so a test can see which pods were asked for, and when.
    """

    answer: Callable[[LiveQuery], LiveEvidence | NoData]
    queries: list[LiveQuery] = field(default_factory=list)

    def fetch_live(self, query: LiveQuery) -> LiveEvidence | NoData:
        self.queries.append(query)
        return self.answer(query)

    def fetch_watch(self, query: LiveQuery) -> LiveEvidence | NoData:
        self.queries.append(query)
        return self.answer(query)


def steady(
    query: LiveQuery, p95_ms: float, rate: float, error_percent: float = 0.0
) -> LiveEvidence | NoData:
    """Return traffic with this P95 and rate all through the window (see ``envelopes``)."""
    seconds = (query.window_end - query.window_start).total_seconds()
    requests = rate * seconds
    if requests < 1:
        return NoData("TooFew", "no request in the window")
    failed = error_percent / 100
    over = min(1.0, failed + (1 - failed) * math.exp(-query.slo_milliseconds * LN20 / p95_ms))
    mean = p95_ms / LN20

    def figure(value: float, unit: str) -> Measured:
        return Measured(value, unit, round(requests), seconds, no_interval_reason=_NO_INTERVAL)

    return LiveEvidence(
        p50=figure(mean * math.log(2), "ms"),
        p95=figure(p95_ms, "ms"),
        p99=figure(mean * math.log(100), "ms"),
        request_rate=figure(rate, "requests/s"),
        error_percent=figure(error_percent, "percent"),
        over_slo_percent=figure(100 * over, "percent"),
        cpu_cores=figure(0.1 * len(query.pods), "cores"),
        memory_bytes=figure(1e8 * len(query.pods), "bytes"),
        blocks=_blocks(query, rate, over, seconds),
        pods=len(query.pods),
        observed_at=query.window_end,
    )


def _blocks(query: LiveQuery, rate: float, over: float, seconds: float) -> tuple[BlockSample, ...]:
    """Blocks end at scrapes: the first at which both the time and the requests are enough."""
    scrape = query.scrape_interval_seconds
    scrapes = max(2, math.ceil(query.block_requests / (rate * scrape)))
    length = scrapes * scrape
    found: list[BlockSample] = []
    for number in range(int(seconds // length)):
        requests = rate * length
        share = min(1.0, over * (1.1 if number % 2 else 0.9))
        found.append(BlockSample(requests, requests * share, float(length)))
    return tuple(found)
