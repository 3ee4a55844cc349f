"""The answers to unusable series, held against a real Prometheus instead of a stub.

What each story of ``test_bad_series`` means is written as scrapes, and all of them stand in one
Prometheus under a namespace each; the answer must be the one that the stub's answers lead to.
"""

import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from devcluster.packages import ensure_packages, tool
from devcluster.settings import current
from infertune.adapters.prometheus import PrometheusMetrics
from infertune.adapters.prometheus_queries import PrometheusQueries
from infertune.core.evidence import Measured, NoData
from infertune.core.snapshot import LiveEvidence
from tests.adapters.prometheus_site import END, EVERYWHERE, T0, asked, query
from tests.adapters.test_bad_series import BUCKETS, RISING, SERIES

# It comes with the packages of the node.
pytestmark = [pytest.mark.e2e, pytest.mark.ci, pytest.mark.timeout(180)]
EXPECTED: Mapping[str, NoData] = {str(one.id): one.values[1] for one in SERIES}
START_SECONDS = 30.0
NAME = "request_seconds"


@dataclass(frozen=True)
class Scraped:
    """One counter of a pod as it was scraped; a label of None is left out."""

    values: tuple[object, ...] = RISING
    labels: tuple[tuple[str, str | None], ...] = ()
    name: str = NAME
    last: float = END.timestamp()

    def lines(self, namespace: str) -> list[tuple[str, str]]:
        """Return family and line of each sample, the last one at its time, 15 s between them."""
        base = {"namespace": namespace, "pod": "pod-a", "job": "pods", "instance": "10.0.0.1:8080"}
        base |= {"code": "200", "le": "+Inf"}
        labels = {k: v for k, v in (base | dict(self.labels)).items() if v is not None}
        text = ",".join(f'{name}="{value}"' for name, value in labels.items())
        first = self.last - 15 * (len(self.values) - 1)
        family = f"{self.name}_bucket"
        return [
            (family, f"{family}{{{text}}} {value} {first + 15 * number:.0f}")
            for number, value in enumerate(self.values)
        ]


def under(**labels: str | None) -> tuple[tuple[str, str | None], ...]:
    return tuple(labels.items())


STORIES: Mapping[str, tuple[Scraped, ...]] = {
    "nothing at all": (),
    "a wrong metric name": (Scraped(name="b"), Scraped(name="a_seconds")),
    "series without the namespace": (Scraped(labels=under(namespace=None)),),
    "series without the pod": (Scraped(labels=under(pod=None)),),
    "NaN": (Scraped(values=("NaN",) * 5),),
    "infinite": (Scraped(values=("+Inf",) * 5),),
    "two clusters in one Prometheus": tuple(
        Scraped(labels=under(cluster=name)) for name in ("east", "west")
    ),
    "two replicas that are not deduplicated": tuple(
        Scraped(labels=under(prometheus_replica=name)) for name in ("p-0", "p-1")
    ),
    "scraped by two jobs": (
        Scraped(),
        Scraped(labels=under(job="again", instance="10.0.0.1:9090")),
    ),
    "not scraped any more": (Scraped(values=(1, 2), last=T0 - 85),),
}
GOOD = tuple(
    Scraped(
        values=tuple(int(float(bucket["value"][1]) * share / 4) for share in range(5)),
        labels=under(le=bucket["metric"]["le"]),
    )
    for bucket in BUCKETS
)
# Names apart, since one of them is about there being no such name anywhere.
OWN_NAMES = ("nothing at all", "series without the namespace")


def place(story: str) -> str:
    return story.lower().replace(" ", "-")


def named(story: str) -> str:
    return f"own{OWN_NAMES.index(story)}_seconds" if story in OWN_NAMES else NAME


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Prometheus whose store holds every story; it scrapes nothing."""
    settings, folder = current(), tmp_path_factory.mktemp("prometheus")
    ensure_packages(settings)
    data, text = folder / "data", folder / "scrapes.txt"
    text.write_text(exposition())
    words = ("tsdb", "create-blocks-from", "openmetrics", str(text), str(data))
    subprocess.run([tool(settings, "promtool"), *words], check=True, capture_output=True)
    configuration = folder / "prometheus.yml"
    configuration.write_text("global: {}\n")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    command = [
        tool(settings, "prometheus"),
        f"--config.file={configuration}",
        f"--storage.tsdb.path={data}",
        "--storage.tsdb.retention.time=100y",
        f"--web.listen-address={address}",
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        await_ready(f"http://{address}/-/ready", process, folder / "log")
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait(30)


def exposition() -> str:
    """Return every story as OpenMetrics, families together, each series in its order of time."""
    stories = dict(STORIES) | {"good": GOOD}
    families: dict[str, list[str]] = {}
    for story, found in stories.items():
        for one in found:
            named_one = replace(one, name=named(story)) if one.name == NAME else one
            for family, line in named_one.lines(place(story)):
                families.setdefault(family, []).append(line)
    lines = [line for family in sorted(families) for line in families[family]]
    return "\n".join([*lines, "# EOF", ""])


def await_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    ends = time.monotonic() + START_SECONDS
    while True:
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < ends, log.read_text()
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            time.sleep(0.1)


def ask(url: str, story: str, **changes: Any) -> LiveEvidence | NoData:
    changes = {"namespace": place(story), "histogram": named(story)} | changes
    return asked(url, **changes)


def test_every_story_has_its_scrapes() -> None:
    assert set(STORIES) == set(EXPECTED)


@pytest.mark.parametrize("story", STORIES)
def test_series_that_cannot_be_used_say_why(prometheus: str, story: str) -> None:
    expected = EXPECTED[story]
    words = expected.detail.replace(NAME, named(story)).replace("'serving'", repr(place(story)))
    words = words.replace("namespace serving", f"namespace {place(story)}")
    assert ask(prometheus, story) == NoData(expected.reason, words)


def test_series_that_can_be_used_are(prometheus: str) -> None:
    """1,000 requests in the 60 s between the first scrape and the last; 96 % within 200 ms."""
    found = ask(prometheus, "good")
    assert isinstance(found, LiveEvidence)
    assert isinstance(found.request_rate, Measured)
    assert found.request_rate.value == pytest.approx(1000 / 60)
    assert isinstance(found.over_slo_percent, Measured)
    assert found.over_slo_percent.value == pytest.approx(4.0)


def test_a_promise_outside_the_buckets_names_what_to_correct(prometheus: str) -> None:
    found = ask(prometheus, "good", slo_milliseconds=900)
    assert isinstance(found, LiveEvidence)
    assert isinstance(found.over_slo_percent, NoData)
    assert found.over_slo_percent.reason == "OutsideBuckets"
    assert "the histogram's bounds 100..500 ms" in found.over_slo_percent.detail


def test_labels_that_match_nothing_are_named(prometheus: str) -> None:
    found = ask(prometheus, "good", match_labels=(("model", "x"),))
    assert isinstance(found, NoData)
    assert found.detail.endswith("or correct matchLabels")


def test_a_path_that_is_none_of_its_own_is_named(prometheus: str) -> None:
    found = ask(f"{prometheus}/prom", "good")
    assert isinstance(found, NoData)
    assert (found.reason, f"{prometheus}/prom answers HTTP 404" in found.detail) == (
        "NotPrometheus",
        True,
    )


def test_a_pattern_that_it_cannot_read_is_named(prometheus: str) -> None:
    found = ask(prometheus, "good", error_pattern="5(")
    assert isinstance(found, NoData)
    assert found.reason == "Invalid"
    assert "missing closing )" in found.detail


@pytest.mark.parametrize("story", ["two clusters in one Prometheus", "scraped by two jobs"])
def test_the_shared_watch_does_not_add_up_two_sources(prometheus: str, story: str) -> None:
    metrics = PrometheusMetrics(PrometheusQueries(1, access=EVERYWHERE))
    found = metrics.fetch_watch(query(prometheus, namespace=place(story)))
    assert isinstance(found, NoData)
    assert found.reason == "CannotAttribute"
