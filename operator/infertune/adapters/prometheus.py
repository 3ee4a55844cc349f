"""Live traffic of a target, read from Prometheus.

Role: the metrics port. Must not know: thresholds, states. Trade-off: two ways to read the same
figures: one target with every scrape, for verdicts; many stable targets at once from one shared
query that is kept for a while, so that a hundred of them cost what one costs.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from infertune.adapters import promql
from infertune.adapters.live_figures import Counted, Usage, bound_for, live_evidence
from infertune.adapters.prometheus_queries import PrometheusQueries, Vector
from infertune.adapters.prometheus_watch import SharedWatch
from infertune.core.balance import shares_of
from infertune.core.evidence import Evidence, Measured, NoData
from infertune.core.scrapes import (
    CounterSeries,
    blocks_from_counters,
    increments_of,
)
from infertune.core.snapshot import BlockSample, LiveEvidence
from infertune.ports import LiveQuery

# Prometheus and the operator are not scraped and asked at the same moment.
_STALE_SCRAPES = 4
_SHORTEST_SECONDS = 1
_NAMES_SHOWN = 8
_RELABEL = (
    "the labels namespace and pod must be those of what is scraped (honor_labels, relabeling)"
)


@dataclass(frozen=True, slots=True)
class _Traffic:
    """Raw scrapes of one window."""

    totals: tuple[CounterSeries, ...]
    failed: float
    total: float
    seconds: float


class PrometheusMetrics:
    """Live figures by prometheus-api-client."""

    def __init__(self, queries: PrometheusQueries | None = None) -> None:
        self._queries = queries or PrometheusQueries()
        self._watch = SharedWatch(self._queries)

    def fetch_watch(self, query: LiveQuery) -> LiveEvidence | NoData:
        """Return the figures of one target out of the shared query."""
        return self._watch.fetch(query)

    def fetch_live(self, query: LiveQuery) -> LiveEvidence | NoData:
        """Return what the pods served in the window, or why that cannot be said."""
        if not query.pods:
            return NoData("Missing", "no pod of the current revision to look at")
        traffic = self._traffic(query)
        if isinstance(traffic, NoData):
            return traffic
        buckets = self._buckets(query)
        if isinstance(buckets, NoData):
            return buckets
        by_bound, spelled = buckets
        blocks = self._blocks(query, traffic, spelled)
        if isinstance(blocks, NoData):
            return blocks
        shares = shares_of(traffic.totals, query.pods)
        counted = Counted(by_bound, traffic.total, traffic.failed, traffic.seconds, shares)
        return live_evidence(
            counted,
            query.slo_milliseconds,
            self._usage(query),
            blocks,
            len({series.pod for series in traffic.totals}),
            query.window_end,
        )

    def _traffic(self, query: LiveQuery) -> _Traffic | NoData:
        chosen, seconds = promql.selection_of(query), window_seconds(query)
        answer = self._ask(query, promql.total_samples(chosen, seconds))
        if isinstance(answer, NoData):
            return answer
        totals = promql.counter_series(answer)
        problem = self._unusable(query, answer, totals)
        if problem is not None:
            return problem
        failed_answer = self._ask(query, promql.failed_samples(chosen, seconds))
        if isinstance(failed_answer, NoData):
            return failed_answer
        increments = [i for one in increments_of(totals) for i in one]
        if not increments:
            return NoData("TooFew", "fewer than two scrapes in the window")
        span = max(i.end for i in increments) - min(i.start for i in increments)
        total = sum(i.value for i in increments)
        failed = _failed(totals, answer, failed_answer)
        return _Traffic(totals, min(failed, total), total, span)

    def _unusable(
        self, query: LiveQuery, answer: Vector, totals: Sequence[CounterSeries]
    ) -> NoData | None:
        if not answer:
            return self._why_nothing(query)
        if not any(series.samples for series in totals):
            words = (
                f"{query.histogram}_bucket of these pods holds no finite number, only NaN or Inf"
            )
            return NoData("Invalid", f"{words}: name another histogram")
        mixed = promql.sources_mixed(answer)
        if mixed is not None:
            return NoData("CannotAttribute", f"{mixed}: narrow matchLabels to one of them")
        last = max(at for series in totals for at, _ in series.samples)
        age = query.window_end.timestamp() - last
        return _stale(query, age) if age > _STALE_SCRAPES * query.scrape_interval_seconds else None

    def _why_nothing(self, query: LiveQuery) -> NoData:
        """Return which part of the selection is the one that matches nothing."""
        chosen, name = promql.selection_of(query), f"{query.histogram}_bucket"
        last = self._ask(query, promql.newest_scrape(chosen))
        if isinstance(last, NoData):
            return last
        at = promql.finite(last[0]["value"][1]) if last else None
        if at is not None:
            return _stale(query, query.window_end.timestamp() - at)
        here = self._ask(query, promql.series_count(replace(chosen, pods=())))
        if isinstance(here, NoData):
            return here
        if here:
            words = f"{name} exists in namespace {query.namespace}, but not with the pod label of "
            return NoData("CannotAttribute", f"{words}this target's pods: {_RELABEL}")
        return self._why_not_here(query, ", or correct matchLabels" if query.match_labels else "")

    def _why_not_here(self, query: LiveQuery, loosen: str) -> NoData:
        """Return what there is instead of the histogram in the target's namespace."""
        chosen, name = promql.selection_of(query), f"{query.histogram}_bucket"
        offered = self._ask(query, promql.histograms_of(chosen))
        if isinstance(offered, NoData):
            return offered
        if offered:
            names = sorted(str(one["metric"].get("__name__", "")) for one in offered)
            shown = ", ".join(one.removesuffix("_bucket") for one in names[:_NAMES_SHOWN])
            words = f"no series {name} of these pods, they have {shown}: correct histogram"
            return NoData("Missing", words + loosen)
        elsewhere = self._ask(query, promql.anywhere(chosen))
        if isinstance(elsewhere, NoData):
            return elsewhere
        if elsewhere:
            words = f"{name} exists, but not with namespace {query.namespace!r}: {_RELABEL}"
            return NoData("CannotAttribute", words + loosen)
        words = f"there is no series {name} at all: correct histogram, or have the target scraped"
        return NoData("Missing", words)

    def _buckets(
        self, query: LiveQuery
    ) -> tuple[dict[float, float], dict[float, tuple[str, ...]]] | NoData:
        """Return bucket increases by bound in milliseconds, and how each bound is spelled."""
        chosen, seconds = promql.selection_of(query), window_seconds(query)
        answer = self._ask(query, promql.bucket_increases(chosen, seconds))
        if isinstance(answer, NoData):
            return answer
        counts, spelled = promql.cumulative_by_bound(answer)
        if not counts:
            # Nothing was answered well, or it was born in this window: the bounds at least.
            answer = self._ask(query, promql.bucket_bounds(chosen))
            if isinstance(answer, NoData):
                return answer
            counts, spelled = promql.cumulative_by_bound(answer)
            counts = dict.fromkeys(counts, 0.0)
        unit = query.unit_milliseconds
        return (
            {bound * unit: count for bound, count in counts.items()},
            {bound * unit: texts for bound, texts in spelled.items()},
        )

    def _blocks(
        self, query: LiveQuery, traffic: _Traffic, spelled: dict[float, tuple[str, ...]]
    ) -> tuple[BlockSample, ...] | NoData:
        bound = bound_for(sorted(spelled), query.slo_milliseconds)
        if isinstance(bound, NoData):
            return ()  # told by over_slo_percent; rate and percentiles are still worth having
        within = promql.within_samples(
            promql.selection_of(query), spelled[bound.bound_ms], window_seconds(query)
        )
        answer = self._ask(query, within)
        if isinstance(answer, NoData):
            return answer
        return blocks_from_counters(
            traffic.totals,
            promql.counter_series(answer),
            2 * query.scrape_interval_seconds,
            query.block_requests,
        )

    def _usage(self, query: LiveQuery) -> Usage:
        seconds = window_seconds(query)
        return Usage(
            self._one_figure(query, promql.cpu_cores(query, seconds), "cores"),
            self._one_figure(query, promql.memory_bytes(query, seconds), "bytes"),
        )

    def _one_figure(self, query: LiveQuery, text: str, unit: str) -> Evidence:
        answer = self._ask(query, text)
        if isinstance(answer, NoData):
            return answer
        if not answer:
            return NoData("Missing", "no container series for these pods")
        value = promql.finite(answer[0]["value"][1])
        if value is None:
            return NoData("Invalid", f"Prometheus says {answer[0]['value'][1]}")
        return Measured(
            value,
            unit,
            len(query.pods),
            float(window_seconds(query)),
            no_interval_reason="one mean over the window",
        )

    def _ask(self, query: LiveQuery, text: str) -> Vector | NoData:
        return self._queries.ask(query.url, text, query.window_end.timestamp())


def _stale(query: LiveQuery, age_seconds: float) -> NoData:
    declared = f"scrapeIntervalSeconds is {query.scrape_interval_seconds}"
    return NoData("Stale", f"the newest scrape is {age_seconds:.0f} s old, {declared}")


def window_seconds(query: LiveQuery) -> int:
    """Return the length of the window in whole seconds, never beyond its start."""
    seconds = (query.window_end - query.window_start).total_seconds()
    return max(_SHORTEST_SECONDS, math.floor(seconds))


def _failed(totals: Sequence[CounterSeries], answer: Vector, failed_answer: Vector) -> float:
    """Return the failed requests; scrape times come from all series of a pod together."""
    failed_labels = [one["metric"] for one in failed_answer]
    failed = [
        series for series, one in zip(totals, answer, strict=True) if one["metric"] in failed_labels
    ]
    everything = increments_of(totals)
    return sum(
        increment.value
        for series, increments in zip(totals, everything, strict=True)
        if any(series is one for one in failed)
        for increment in increments
    )
