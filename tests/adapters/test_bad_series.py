"""Series that are there, and cannot be used: the reason says what to correct."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infertune.adapters.prometheus import PrometheusMetrics
from infertune.adapters.prometheus_answers import is_result
from infertune.adapters.prometheus_queries import PrometheusQueries
from infertune.core.evidence import Measured, NoData
from infertune.core.snapshot import LiveEvidence
from tests.adapters.prometheus_site import (
    END,
    EVERYWHERE,
    T0,
    Answer,
    Server,
    Site,
    asked,
    query,
    result,
)


def counter(pod: str, *values: object, **labels: str) -> dict[str, Any]:
    """A counter scraped every 15 s from 60 s before the end."""
    pairs = [[T0 + 15 * i, str(value)] for i, value in enumerate(values)]
    metric = {"pod": pod, "job": "pods", "instance": "10.0.0.1:8080", "code": "200"}
    return {"metric": metric | labels, "values": pairs}


def vector(value: object, **labels: str) -> dict[str, Any]:
    return {"metric": labels, "value": [END.timestamp(), str(value)]}


TOTAL = 'le="+Inf"}['


def site(**by_piece: Any) -> Site:
    """Answer the query that contains a piece of text; anything else is empty."""
    rules = {
        "total": TOTAL,
        "here": "count(request_seconds_bucket{",
        "names": "count by (__name__)",
        "anywhere": "count(request_seconds_bucket)",
        "increase": "sum by (le) (increase(",
        "within": 'le=~"',
    }

    def answer(text: str) -> Answer:
        for name, found in by_piece.items():
            if rules[name] in text:
                return Answer(result(*found))
        return Answer(result())

    return answer


RISING = (0, 250, 500, 750, 1000)
RELABEL = "the labels namespace and pod must be those of what is scraped (honor_labels, relabeling)"
SERIES = [
    pytest.param(
        site(),
        NoData(
            "Missing",
            "there is no series request_seconds_bucket at all: correct histogram, or have the "
            "target scraped",
        ),
        id="nothing at all",
    ),
    pytest.param(
        site(names=[vector(1, __name__="b_bucket"), vector(1, __name__="a_seconds_bucket")]),
        NoData(
            "Missing",
            "no series request_seconds_bucket of these pods, they have a_seconds, b: correct "
            "histogram",
        ),
        id="a wrong metric name",
    ),
    pytest.param(
        site(anywhere=[vector(9)]),
        NoData(
            "CannotAttribute",
            f"request_seconds_bucket exists, but not with namespace 'serving': {RELABEL}",
        ),
        id="series without the namespace",
    ),
    pytest.param(
        site(here=[vector(9)]),
        NoData(
            "CannotAttribute",
            "request_seconds_bucket exists in namespace serving, but not with the pod label of "
            f"this target's pods: {RELABEL}",
        ),
        id="series without the pod",
    ),
    pytest.param(
        site(total=[counter("pod-a", *["NaN"] * 5)]),
        NoData(
            "Invalid",
            "request_seconds_bucket of these pods holds no finite number, only NaN or Inf: name "
            "another histogram",
        ),
        id="NaN",
    ),
    pytest.param(
        site(total=[counter("pod-a", *["+Inf"] * 5)]),
        NoData(
            "Invalid",
            "request_seconds_bucket of these pods holds no finite number, only NaN or Inf: name "
            "another histogram",
        ),
        id="infinite",
    ),
    pytest.param(
        site(
            total=[counter("pod-a", *RISING, cluster=name) for name in ("east", "west")],
        ),
        NoData(
            "CannotAttribute",
            "pod pod-a is read from 2 sources: cluster 'east' or 'west': narrow matchLabels to one "
            "of them",
        ),
        id="two clusters in one Prometheus",
    ),
    pytest.param(
        site(
            total=[counter("pod-a", *RISING, prometheus_replica=name) for name in ("p-0", "p-1")],
        ),
        NoData(
            "CannotAttribute",
            "pod pod-a is read from 2 sources: prometheus_replica 'p-0' or 'p-1': narrow "
            "matchLabels to one of them",
        ),
        id="two replicas that are not deduplicated",
    ),
    pytest.param(
        site(
            total=[
                counter("pod-a", *RISING),
                counter("pod-a", *RISING, job="again", instance="10.0.0.1:9090"),
            ],
        ),
        NoData(
            "CannotAttribute",
            "pod pod-a is read from 2 sources: job 'again' or 'pods', instance '10.0.0.1:8080' or "
            "'10.0.0.1:9090': narrow matchLabels to one of them",
        ),
        id="scraped by two jobs",
    ),
    pytest.param(
        site(total=[{**counter("pod-a"), "values": [[T0 - 100, "1"], [T0 - 85, "2"]]}]),
        NoData("Stale", "the newest scrape is 145 s old, scrapeIntervalSeconds is 15"),
        id="not scraped any more",
    ),
]


@pytest.mark.parametrize(("answers", "found"), SERIES)
def test_series_that_cannot_be_used_say_why(server: Server, answers: Site, found: NoData) -> None:
    server.site = answers
    assert asked(server.url) == found


def test_match_labels_that_match_nothing_are_named(server: Server) -> None:
    server.site = site(anywhere=[vector(9)])
    found = asked(server.url, match_labels=(("model", "x"),))
    assert isinstance(found, NoData)
    assert found.detail.endswith(f"{RELABEL}, or correct matchLabels")


BUCKETS = [vector(n, le=le) for le, n in (("0.1", 800), ("0.2", 960), ("0.5", 1000))]
BUCKETS.append(vector(1000, le="+Inf"))


def test_a_promise_outside_the_buckets_names_what_to_correct(server: Server) -> None:
    server.site = site(total=[counter("pod-a", *RISING)], increase=BUCKETS)
    found = asked(server.url, slo_milliseconds=900)
    assert isinstance(found, LiveEvidence)
    assert found.over_slo_percent == NoData(
        "OutsideBuckets",
        "the promise of 900 ms lies outside the histogram's bounds 100..500 ms, so live traffic "
        "cannot be judged by it: correct unit or slo.latencyMilliseconds, or give the histogram a "
        "bound near it",
    )
    assert found.blocks == ()


def test_a_counter_born_with_its_first_requests_and_one_that_restarts(server: Server) -> None:
    """pod-a answers 0..1,000 with a restart after 500 (250 more each scrape): 250 * 4 = 1,000.

    Its errors appear at the fourth scrape with 7 and end at 9: the 7 count too, as 7 + 2.
    """
    restarted = counter("pod-a", 0, 250, 500, 250, 500)
    born = {**counter("pod-a", code="503"), "values": [[T0 + 45, "7"], [T0 + 60, "9"]]}
    server.site = site(total=[restarted, born], increase=BUCKETS)
    found = asked(server.url)
    assert isinstance(found, LiveEvidence)
    assert isinstance(found.request_rate, Measured)
    assert found.request_rate.n == 1009


def test_the_shared_watch_does_not_add_up_two_sources(server: Server) -> None:
    totals = "sum by (namespace, pod) (increase("
    pods = {"namespace": "serving", "pod": "pod-a"}
    mixed: list[dict[str, Any]] = []

    def answer(text: str) -> Answer:
        if text.startswith("count by (namespace, pod) (count by ("):
            return Answer(result(*mixed))
        return Answer(result(vector(200, **pods)) if totals in text else result())

    server.site = answer
    metrics = PrometheusMetrics(PrometheusQueries(1, access=EVERYWHERE))
    assert isinstance(metrics.fetch_watch(query(server.url)), LiveEvidence)
    mixed.append(vector(2, **pods))
    metrics = PrometheusMetrics(PrometheusQueries(1, access=EVERYWHERE))
    assert metrics.fetch_watch(query(server.url)) == NoData(
        "CannotAttribute",
        "request_seconds of this target's pods is read from two sources: narrow matchLabels to one "
        "of them",
    )


# Whatever JSON says, it is an answer.

LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6)
ANY_JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner)
)
VALUES = st.sampled_from(["NaN", "+Inf", "-Inf", "1e999", "-3", "0", "7", "x", "", "1_0"])
LABELS = st.dictionaries(
    st.sampled_from(["pod", "le", "job", "code", "namespace", "__name__"]),
    st.sampled_from(["pod-a", "0.1", "+Inf", "", "NaN", "-1", "serving"]),
)
TIMES = st.floats(min_value=T0 - 100, max_value=T0 + 100)
MATRIX = st.lists(
    st.fixed_dictionaries(
        {"metric": LABELS, "values": st.lists(st.tuples(TIMES, VALUES).map(list), max_size=5)}
    ),
    max_size=4,
)
VECTOR = st.lists(
    st.fixed_dictionaries({"metric": LABELS, "value": st.tuples(TIMES, VALUES).map(list)}),
    max_size=5,
)


@given(ANY_JSON)
def test_no_json_breaks_the_check_of_a_result(found: object) -> None:
    assert is_result(found) in {True, False}


class Canned(PrometheusQueries):
    """Answers each query with the next of some results that have the right form."""

    def __init__(self, matrices: list[Any], vectors: list[Any]) -> None:
        super().__init__()
        self._matrices, self._vectors = matrices, vectors

    def ask(self, url: str, query: str, at: float) -> Any:
        chosen = self._matrices if query.endswith("s]") else self._vectors
        return chosen.pop(0) if chosen else []


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(MATRIX, max_size=3), st.lists(VECTOR, max_size=4))
def test_no_series_of_the_right_form_breaks_the_figures(
    matrices: list[Any], vectors: list[Any]
) -> None:
    metrics = PrometheusMetrics(Canned(list(matrices), list(vectors)))
    found = metrics.fetch_live(query("http://x.test"))
    assert isinstance(found, LiveEvidence | NoData)
    metrics = PrometheusMetrics(Canned([], list(vectors)))
    assert isinstance(metrics.fetch_watch(query("http://x.test")), LiveEvidence | NoData)
