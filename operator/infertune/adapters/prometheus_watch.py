"""One query for all stable targets that share a histogram.

Role: figures by pod for whole namespaces, fetched once and kept for a while. Must not know: who is
stable, what follows. Trade-off: figures may be as old as ``KEPT_SECONDS``, and come from
extrapolated increases; a breach seen here is worth a closer look, not a verdict.
"""

import math
import threading
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from infertune.adapters import promql
from infertune.adapters.live_figures import Counted, Usage, live_evidence
from infertune.adapters.prometheus_queries import PrometheusQueries
from infertune.core.evidence import NoData
from infertune.core.snapshot import LiveEvidence, PodShare
from infertune.ports import LiveQuery

KEPT_SECONDS = 45.0
FAILURE_KEPT_SECONDS = 15.0
NAMESPACE_FORGOTTEN_SECONDS = 900.0
_NOT_WATCHED = NoData("Missing", "not read while the tuning is stable")

PodKey = tuple[str, str]


@dataclass(frozen=True, slots=True)
class _PodCount:
    """What one pod served: all requests, and good ones by bound (cumulative, as spelled unit)."""

    total: float
    good_by_bound: Mapping[float, float]
    mixed: bool = False


@dataclass(slots=True)
class _Group:
    """Targets with the same server, histogram and window, and the last answer for them."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    asked: dict[str, float] = field(default_factory=dict)
    answered: dict[str, tuple[float, dict[PodKey, _PodCount] | NoData]] = field(
        default_factory=dict
    )


class SharedWatch:
    """Figures of stable targets; threads that ask for the same group wait for one query."""

    def __init__(self, queries: PrometheusQueries) -> None:
        self._queries = queries
        self._groups: dict[tuple[object, ...], _Group] = {}
        self._lock = threading.Lock()

    def fetch(self, query: LiveQuery) -> LiveEvidence | NoData:
        """Return the figures of this query's pods out of the group's last answer."""
        group = self._group(query)
        now = query.window_end.timestamp()
        with group.lock:
            group.asked[query.namespace] = now
            at, counts = self._answer(group, query, now)
        if isinstance(counts, NoData):
            return counts
        served = {pod: counts.get((query.namespace, pod)) for pod in sorted(query.pods)}
        found = [one for one in served.values() if one is not None]
        if not found:
            return NoData("Missing", f"no {query.histogram} of this target's pods")
        if any(one.mixed for one in found):
            words = f"{query.histogram} of this target's pods is read from two sources"
            return NoData("CannotAttribute", f"{words}: narrow matchLabels to one of them")
        shares = tuple(
            PodShare(pod, None if one is None else one.total, None) for pod, one in served.items()
        )
        return _evidence(query, found, shares, datetime.fromtimestamp(at, UTC))

    def _group(self, query: LiveQuery) -> _Group:
        key = (
            query.url,
            query.histogram,
            query.match_labels,
            query.error_label,
            query.error_pattern,
            _seconds(query),
        )
        with self._lock:
            return self._groups.setdefault(key, _Group())

    def _answer(
        self, group: _Group, query: LiveQuery, now: float
    ) -> tuple[float, dict[PodKey, _PodCount] | NoData]:
        known = group.answered.get(query.namespace)
        if known is not None and _fresh(known, now):
            return known
        for namespace, asked in list(group.asked.items()):
            if now - asked > NAMESPACE_FORGOTTEN_SECONDS:
                group.asked.pop(namespace)
                group.answered.pop(namespace, None)
        # A namespace that is new to the group is asked for alone; the others keep their answer.
        due = tuple(sorted(group.asked)) if known is not None else (query.namespace,)
        answer = (now, self._ask(query, due, now))
        for namespace in due:
            group.answered[namespace] = answer
        return answer

    def _ask(
        self, query: LiveQuery, namespaces: tuple[str, ...], now: float
    ) -> dict[PodKey, _PodCount] | NoData:
        chosen = promql.Selection(
            query.histogram,
            namespaces,
            (),
            query.match_labels,
            query.error_label,
            query.error_pattern,
        )
        seconds = _seconds(query)
        totals = self._queries.ask(query.url, promql.pod_totals(chosen, seconds), now)
        if isinstance(totals, NoData):
            return totals
        buckets = self._queries.ask(query.url, promql.pod_bucket_increases(chosen, seconds), now)
        if isinstance(buckets, NoData):
            return buckets
        mixed = self._queries.ask(query.url, promql.mixed_pods(chosen), now)
        if isinstance(mixed, NoData):
            return mixed
        doubtful = {_pod_key(one["metric"]) for one in mixed}
        good: dict[PodKey, dict[float, float]] = defaultdict(dict)
        for one in buckets:
            bound = promql.bound_of(str(one["metric"].get("le", "")))
            value = promql.finite(one["value"][1])
            if bound is not None and value is not None:
                good[_pod_key(one["metric"])][bound] = value
        counts: dict[PodKey, _PodCount] = {}
        for one in totals:
            value = promql.finite(one["value"][1])
            if value is not None:
                key = _pod_key(one["metric"])
                counts[key] = _PodCount(value, good.get(key, {}), mixed=key in doubtful)
        return counts


def _evidence(
    query: LiveQuery, found: list[_PodCount], shares: tuple[PodShare, ...], at: datetime
) -> LiveEvidence:
    by_bound: dict[float, float] = defaultdict(float)
    for one in found:
        for bound, count in one.good_by_bound.items():
            by_bound[bound * query.unit_milliseconds] += count
    total = sum(one.total for one in found)
    good = by_bound.get(math.inf, 0.0)
    failed = max(total - good, 0.0)
    counted = Counted(by_bound, total, failed, float(_seconds(query)), shares)
    usage = Usage(_NOT_WATCHED, _NOT_WATCHED)
    return live_evidence(counted, query.slo_milliseconds, usage, (), len(found), at)


def _fresh(known: tuple[float, dict[PodKey, _PodCount] | NoData], now: float) -> bool:
    at, answer = known
    kept = FAILURE_KEPT_SECONDS if isinstance(answer, NoData) else KEPT_SECONDS
    return 0 <= now - at < kept


def _seconds(query: LiveQuery) -> int:
    return max(1, round((query.window_end - query.window_start).total_seconds()))


def _pod_key(labels: Mapping[str, object]) -> PodKey:
    return str(labels.get("namespace", "")), str(labels.get("pod", ""))
