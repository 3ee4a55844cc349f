"""From looks at the operator to the figures of one window.

Role: samples and counter pages in, one frozen record out. It must not know where they come from.
Its trade-off: memory is judged by the highest value seen and CPU by the mean, since a limit on
memory is broken by a moment and a share of a core is what an idle operator takes for itself.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

from bench.idle.exposition import increase, summed
from bench.idle.process import Sample

MEGABYTE = 1e6
CPU_LIMIT_PERCENT = 2.0
MEMORY_LIMIT_MEGABYTES = 150.0


@dataclass(frozen=True, slots=True)
class Pages:
    """Metrics pages of one moment."""

    operator: str
    api_server: str
    prometheus: str


@dataclass(frozen=True, slots=True)
class KubeletView:
    """The same container as the kubelet counts it, read from Prometheus; None: it did not say."""

    cpu_percent: float | None
    working_set_megabytes: float | None
    highest_working_set_megabytes: float | None


@dataclass(frozen=True, slots=True)
class Figures:
    """One window. Rates are per minute; percent is of one core; megabytes are 10^6 bytes."""

    seconds: float
    cpu_percent: float
    highest_step_cpu_percent: float
    resident_megabytes: float
    highest_resident_megabytes: float
    peak_resident_megabytes: float
    threads: int
    kubelet: KubeletView
    reconciles: Mapping[str, float]
    api_requests: Mapping[str, float]
    prometheus_queries: Mapping[str, float]
    api_server_saw: Mapping[str, float]
    prometheus_saw: float

    @property
    def kept(self) -> bool:
        """Whether both limits hold by every view that answered."""
        cpu = [self.cpu_percent, self.kubelet.cpu_percent]
        memory = [self.highest_resident_megabytes, self.kubelet.highest_working_set_megabytes]
        return all(value is None or value < CPU_LIMIT_PERCENT for value in cpu) and all(
            value is None or value < MEMORY_LIMIT_MEGABYTES for value in memory
        )


def cpu_percent(first: Sample, last: Sample) -> float:
    """Return the share of one core between two looks.

    Raises:
        ValueError: No time lies between them.
    """
    seconds = last.at - first.at
    if seconds <= 0:
        raise ValueError("two looks at the same moment tell no rate")
    return 100 * (last.cpu_seconds - first.cpu_seconds) / seconds


def figures_of(
    samples: Sequence[Sample], before: Pages, after: Pages, kubelet: KubeletView
) -> Figures:
    """Return the figures between the first and the last look; at least two are needed."""
    first, last = samples[0], samples[-1]
    minutes = (last.at - first.at) / 60
    steps = [cpu_percent(one, two) for one, two in pairwise(samples)]
    resident = [one.resident_bytes / MEGABYTE for one in samples]

    def per_minute(name: str, by: str) -> dict[str, float]:
        return _rates(summed(before.operator, name, by), summed(after.operator, name, by), minutes)

    saw = increase(_queries_seen(before), _queries_seen(after))
    return Figures(
        seconds=last.at - first.at,
        cpu_percent=cpu_percent(first, last),
        highest_step_cpu_percent=max(steps),
        resident_megabytes=fmean(resident),
        highest_resident_megabytes=max(resident),
        peak_resident_megabytes=last.peak_resident_bytes / MEGABYTE,
        threads=last.threads,
        kubelet=kubelet,
        reconciles=per_minute("infertune_reconciles_total", "outcome"),
        api_requests=per_minute("infertune_api_requests_total", "method"),
        prometheus_queries=per_minute("infertune_prometheus_queries_total", "answer"),
        api_server_saw=_rates(_tunings_asked(before), _tunings_asked(after), minutes),
        prometheus_saw=sum(saw.values()) / minutes,
    )


def _rates(
    before: Mapping[str, float], after: Mapping[str, float], minutes: float
) -> dict[str, float]:
    rises = increase(before, after)
    return {key: rise / minutes for key, rise in rises.items() if rise > 0}


def _tunings_asked(pages: Pages) -> dict[str, float]:
    """Requests about tunings, which nobody but the operator makes in the window."""
    return summed(pages.api_server, "apiserver_request_total", "verb", resource="inferencetunings")


def _queries_seen(pages: Pages) -> dict[str, float]:
    """Queries that Prometheus answered, whoever asked: here the operator alone."""
    return summed(pages.prometheus, "prometheus_http_requests_total", handler="/api/v1/query")
