"""The questions put to Prometheus, by name, and how its answers are read.

Role: query templates and the parsing of vectors and matrices. Must not know: connections, what a
figure means. Trade-off: failed requests are told apart by Prometheus, with its own regular
expressions, so the same pattern never means two things; that costs one query more.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from infertune.core.scrapes import CounterSeries, Sample
from infertune.ports import LiveQuery

INFINITE = "+Inf"
# Labels that Prometheus or its user adds to a whole source; a server under test sets none of them.
SOURCE_LABELS = (
    "job",
    "instance",
    "cluster",
    "prometheus",
    "prometheus_replica",
    "thanos_replica",
    "receive_replica",
    "replica",
)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which histogram series are asked for; ``namespaces`` and ``pods`` as regular expressions."""

    histogram: str
    namespaces: tuple[str, ...]
    pods: tuple[str, ...]
    match_labels: tuple[tuple[str, str], ...]
    error_label: str
    error_pattern: str

    def buckets(self, *further: str) -> str:
        """Return the selector of the histogram's buckets with further matchers."""
        matchers = [f"namespace=~{quoted(any_of(self.namespaces))}"]
        if self.pods:
            matchers.append(f"pod=~{quoted(any_of(self.pods))}")
        matchers += [f"{name}={quoted(value)}" for name, value in self.match_labels]
        return f"{self.histogram}_bucket{{{','.join((*matchers, *further))}}}"

    @property
    def good(self) -> str:
        """The matcher of requests that were answered well."""
        return f"{self.error_label}!~{quoted(self.error_pattern)}"

    @property
    def failed(self) -> str:
        """The matcher of failed requests."""
        return f"{self.error_label}=~{quoted(self.error_pattern)}"


def selection_of(query: LiveQuery) -> Selection:
    """Return the selection of one target's pods."""
    return Selection(
        query.histogram,
        (query.namespace,),
        query.pods,
        query.match_labels,
        query.error_label,
        query.error_pattern,
    )


def total_samples(chosen: Selection, seconds: int) -> str:
    """Every scrape of the count of all requests, by series."""
    return f"{chosen.buckets(f'le={quoted(INFINITE)}')}[{seconds}s]"


def failed_samples(chosen: Selection, seconds: int) -> str:
    """Every scrape of the count of failed requests, by series."""
    return f"{chosen.buckets(f'le={quoted(INFINITE)}', chosen.failed)}[{seconds}s]"


def within_samples(chosen: Selection, bounds: Sequence[str], seconds: int) -> str:
    """Every scrape of the count of good requests up to a bucket bound, by series."""
    return f"{chosen.buckets(f'le=~{quoted(any_of(bounds))}', chosen.good)}[{seconds}s]"


def bucket_increases(chosen: Selection, seconds: int) -> str:
    """How much each bucket of good requests grew, all pods together."""
    return f"sum by (le) (increase({chosen.buckets(chosen.good)}[{seconds}s]))"


def bucket_bounds(chosen: Selection) -> str:
    """Which bucket bounds there are, whatever the requests ended in."""
    return f"count by (le) ({chosen.buckets()})"


def newest_scrape(chosen: Selection) -> str:
    """When these series were scraped last, within an hour before the window's end."""
    infinite = chosen.buckets(f"le={quoted(INFINITE)}")
    return f"max(max_over_time(timestamp({infinite})[1h:1m]))"


def series_count(chosen: Selection) -> str:
    """How many series there are at all; asked without pods to tell why nothing was found."""
    return f"count({chosen.buckets()})"


def histograms_of(chosen: Selection) -> str:
    """Which histograms these pods have at all, by name."""
    namespace, pods = quoted(any_of(chosen.namespaces)), quoted(any_of(chosen.pods))
    names = quoted(".+_bucket")
    return f"count by (__name__) ({{namespace=~{namespace},pod=~{pods},__name__=~{names}}})"


def anywhere(chosen: Selection) -> str:
    """How many series of this name there are, whatever their labels."""
    return f"count({chosen.histogram}_bucket)"


def mixed_pods(chosen: Selection) -> str:
    """Pods whose counts come from two sources."""
    infinite = chosen.buckets(f"le={quoted(INFINITE)}")
    by = f"namespace, pod, {', '.join(SOURCE_LABELS)}"
    return f"count by (namespace, pod) (count by ({by}) ({infinite})) > 1"


def pod_bucket_increases(chosen: Selection, seconds: int) -> str:
    """How much each bucket of good requests grew, by pod."""
    return f"sum by (namespace, pod, le) (increase({chosen.buckets(chosen.good)}[{seconds}s]))"


def pod_totals(chosen: Selection, seconds: int) -> str:
    """How much the count of all requests grew, by pod."""
    infinite = chosen.buckets(f"le={quoted(INFINITE)}")
    return f"sum by (namespace, pod) (increase({infinite}[{seconds}s]))"


def cpu_cores(query: LiveQuery, seconds: int) -> str:
    """Cores used by the serving containers together; a node scraped twice counts once."""
    chosen = _containers("container_cpu_usage_seconds_total", query)
    return f"sum(max by (pod) (rate({chosen}[{seconds}s])))"


def memory_bytes(query: LiveQuery, seconds: int) -> str:
    """Working set of the serving containers together, mean over the window."""
    chosen = _containers("container_memory_working_set_bytes", query)
    return f"sum(max by (pod) (avg_over_time({chosen}[{seconds}s])))"


def quoted(text: str) -> str:
    """Return a PromQL string."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def any_of(names: Iterable[str]) -> str:
    """Return a regular expression that matches exactly these names."""
    return "|".join(name.replace(".", "[.]").replace("+", "[+]") for name in names)


def finite(text: object) -> float | None:
    """Return a sample value as a finite number, else None: Prometheus sends NaN and Inf as text."""
    try:
        value = float(str(text))
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def counter_series(answer: Sequence[Mapping[str, Any]]) -> tuple[CounterSeries, ...]:
    """Return the series of a matrix; samples that are no finite number are left out."""
    return tuple(
        CounterSeries(str(one["metric"].get("pod", "")), _samples(one.get("values", ())))
        for one in answer
    )


def bound_of(text: str) -> float | None:
    """Return a bucket bound; None when the label is not a number."""
    if text == INFINITE:
        return math.inf
    return finite(text)


def cumulative_by_bound(
    answer: Sequence[Mapping[str, Any]],
) -> tuple[dict[float, float], dict[float, tuple[str, ...]]]:
    """Return the increase of each bucket by its bound, and how each bound is spelled.

    A server and Prometheus versions spell a bound differently ("1", "1.0"): those are one bucket.
    """
    counts: dict[float, float] = defaultdict(float)
    spelled: dict[float, set[str]] = defaultdict(set)
    for one in answer:
        text = str(one["metric"].get("le", ""))
        bound, value = bound_of(text), finite(one["value"][1])
        if bound is not None and value is not None:
            counts[bound] += value
            spelled[bound].add(text)
    return dict(counts), {bound: tuple(sorted(texts)) for bound, texts in spelled.items()}


def sources_mixed(answer: Sequence[Mapping[str, Any]]) -> str | None:
    """Return a sentence when one pod's histogram comes from two sources, else None.

    Two scrape jobs, two Prometheus replicas, or a pod of the same name in another cluster: each
    request would count twice, or the requests of somebody else would count.
    """
    sources: dict[str, set[tuple[str, ...]]] = defaultdict(set)
    for one in answer:
        labels = one["metric"]
        found = tuple(str(labels.get(name, "")) for name in SOURCE_LABELS)
        sources[str(labels.get("pod", ""))].add(found)
    for pod, found_sources in sorted(sources.items()):
        if len(found_sources) > 1:
            return f"pod {pod} is read from {len(found_sources)} sources: {_apart(found_sources)}"
    return None


def _apart(sources: set[tuple[str, ...]]) -> str:
    """Return what tells sources apart: each label that differs, with its values."""
    told = []
    for name, values in zip(SOURCE_LABELS, zip(*sorted(sources), strict=True), strict=True):
        if len(set(values)) > 1:
            told.append(f"{name} {' or '.join(repr(value) for value in sorted(set(values)))}")
    return ", ".join(told)


def _samples(values: Iterable[Sequence[object]]) -> tuple[Sample, ...]:
    pairs = ((finite(at), finite(value)) for at, value in values)
    return tuple((at, value) for at, value in pairs if at is not None and value is not None)


def _containers(metric: str, query: LiveQuery) -> str:
    pods = quoted(any_of(query.pods))
    namespace, container = quoted(query.namespace), quoted(query.container)
    return f"{metric}{{namespace={namespace},pod=~{pods},container={container}}}"
