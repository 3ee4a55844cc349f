"""One run, from an empty namespace to figures and back.

Role: the order of things and the waiting. It must not know how anything is measured or installed.
Its trade-off: the operator is looked at through the kernel during the window, and asked only at its
two ends, so that the measurement is no load of its own.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime

from bench.idle import stage
from bench.idle.figures import MEGABYTE, Figures, KubeletView, Pages, cpu_percent, figures_of
from bench.idle.options import Options
from bench.idle.process import Sample, look, pid_of_container
from bench.idle.report import Setting
from bench.idle.stage import Stage
from demo.errors import DemoError
from demo.install import OPERATOR_NAMESPACE

SERIES_SECONDS = 120
STABLE_SECONDS = 300
POLL_SECONDS = 3.0
PROMETHEUS_PAGE = "/api/v1/namespaces/monitoring/services/prometheus:9090/proxy/metrics"


def measure(on: Stage, options: Options, command: str) -> tuple[Setting, Figures]:
    """Return what the operator took in the window; the targets are removed in any case.

    Raises:
        DemoError: A step did not come about, or a tuning was not stable and watched at the end.
    """
    on.remove()
    on.refuse_full(options.tunings)
    key = on.install()
    try:
        _set_up(on, options)
        started = datetime.now(UTC)
        on.console.say(f"all stable: settling for {options.settle_seconds} s")
        pid = pid_of_container(_container(on))
        _looks(on, pid, options.settle_seconds, options.step_seconds, "settling")
        figures = _window(on, pid, options)
        found = on.tunings()
    finally:
        if not options.keep:
            on.remove()
        on.start_operator()
    setting = Setting(
        started=started,
        command=command,
        tunings=options.tunings,
        histograms=options.histograms,
        settle_seconds=options.settle_seconds,
        operator_image_key=key,
        watched=stage.watched(found),
    )
    if setting.watched != options.tunings:
        message = f"{setting.watched} of {options.tunings} tunings were stable and watched"
        raise DemoError(message)
    return setting, figures


def _set_up(on: Stage, options: Options) -> None:
    on.stop_operator()
    on.place_targets(options.tunings, options.histograms)
    _await(
        lambda: on.series(options.histograms),
        options.tunings,
        SERIES_SECONDS,
        "targets have series in Prometheus",
    )
    on.console.say("Prometheus has series of every target")
    on.write_tunings(options.tunings, options.histograms)
    on.start_operator()
    _await(
        lambda: len(list(stage.stable(on.tunings()))),
        options.tunings,
        STABLE_SECONDS,
        "tunings are stable",
    )


def _window(on: Stage, pid: int, options: Options) -> Figures:
    before = _pages(on)
    began = time.time()
    samples = _looks(on, pid, options.measure_seconds, options.step_seconds, "measuring")
    after = _pages(on)
    return figures_of(samples, before, after, _kubelet(on, began, time.time()))


def _looks(on: Stage, pid: int, seconds: float, step: float, word: str) -> list[Sample]:
    """Look at the process every few seconds, and say so; the first and the last look are exact."""
    samples = [look(pid, time.monotonic())]
    end = samples[0].at + seconds
    while samples[-1].at < end:
        time.sleep(max(0.0, min(step, end - time.monotonic())))
        samples.append(look(pid, time.monotonic()))
        last = samples[-1]
        on.console.say(
            f"{word}: {last.at - samples[0].at:4.0f} of {seconds:.0f} s, "
            f"CPU {cpu_percent(samples[-2], last):.2f} % of a core "
            f"(mean {cpu_percent(samples[0], last):.2f} %), "
            f"resident {last.resident_bytes / MEGABYTE:.1f} MB"
        )
    return samples


def _pages(on: Stage) -> Pages:
    pod = on.operator_pod()["metadata"]["name"]
    own = f"/api/v1/namespaces/{OPERATOR_NAMESPACE}/pods/{pod}:9090/proxy/metrics"
    return Pages(on.page(own), on.page("/metrics"), on.page(PROMETHEUS_PAGE))


def _kubelet(on: Stage, began: float, ended: float) -> KubeletView:
    seconds = f"[{int(ended - began)}s]"
    chosen = f'{{namespace="{OPERATOR_NAMESPACE}",container="operator"}}'
    working_set = f"container_memory_working_set_bytes{chosen}{seconds}"

    def first(query: str, factor: float) -> float | None:
        values = on.ask(query, ended)
        return max(values) * factor if values else None

    return KubeletView(
        cpu_percent=first(f"rate(container_cpu_usage_seconds_total{chosen}{seconds})", 100.0),
        working_set_megabytes=first(f"avg_over_time({working_set})", 1 / MEGABYTE),
        highest_working_set_megabytes=first(f"max_over_time({working_set})", 1 / MEGABYTE),
    )


def _container(on: Stage) -> str:
    statuses = on.operator_pod()["status"]["containerStatuses"]
    return str(statuses[0]["containerID"])


def _await(count: Callable[[], int], wanted: int, seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while (found := count()) < wanted:
        if time.monotonic() > deadline:
            message = f"after {seconds:.0f} s {found} of {wanted} {what}"
            raise DemoError(message)
        time.sleep(POLL_SECONDS)
