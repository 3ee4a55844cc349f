"""Live figures from a stub that answers like Prometheus.

The stub holds, per test, the answer to each query by the piece of text that tells it from the
others; what it gets is really HTTP, asked by the real client.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs

import pytest

from infertune.adapters.prometheus import PrometheusMetrics
from infertune.adapters.prometheus_access import PrometheusAccess
from infertune.adapters.prometheus_queries import PrometheusQueries
from infertune.core.evidence import Measured, NoData, SloBound
from infertune.core.prometheus_access import AccessRules, pattern_of
from infertune.core.snapshot import BlockSample, LiveEvidence, PodShare
from infertune.ports import LiveQuery
from tests.adapters.prometheus_site import END, T0, listening
from tests.adapters.prometheus_site import query as site_query

LOOPBACK = PrometheusAccess(AccessRules((pattern_of("http://127.0.0.1:*"),)))


@dataclass
class Stub:
    """A Prometheus of canned answers. ``rules`` are tried in order; no rule: an empty result."""

    rules: list[tuple[str, Any]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    status: int = 200
    body: str | None = None
    url: str = ""

    def answer(self, query: str) -> str:
        self.asked.append(query)
        if self.body is not None:
            return self.body
        result: Any = next((found for piece, found in self.rules if piece in query), [])
        reply: dict[str, Any] = {"status": "success", "data": {"result": result}}
        if self.warnings:
            reply["warnings"] = self.warnings
        return json.dumps(reply)


@pytest.fixture
def stub() -> Iterator[Stub]:
    canned = Stub()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", "0"))
            self.rfile.read(length)
            query = parse_qs(self.path.partition("?")[2]).get("query", [""])[0]
            body = canned.answer(query).encode()
            self.send_response(canned.status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with listening(Handler) as canned.url:
        yield canned


def query(stub: Stub, **changes: Any) -> LiveQuery:
    return replace(site_query(stub.url, namespace="default"), **changes)


def series(pod: str, *values: float, **labels: str) -> dict[str, Any]:
    """A counter scraped every 15 s from 60 s before the end."""
    pairs = [[T0 + 15 * i, str(value)] for i, value in enumerate(values)]
    metric = {"pod": pod, "job": "pods", "instance": f"{pod}:8080", **labels}
    return {"metric": metric, "values": pairs}


def bucket(le: str, value: float) -> dict[str, Any]:
    return {"metric": {"le": le}, "value": [END.timestamp(), str(value)]}


def scalar(value: object) -> list[dict[str, Any]]:
    return [{"metric": {}, "value": [END.timestamp(), str(value)]}]


WITHIN = 'le=~"0[.]2"'
FAILED = 'le="+Inf",code=~'
TOTAL = 'le="+Inf"}['
INCREASE = "sum by (le) (increase("


def healthy(stub: Stub) -> None:
    """1,000 requests in 60 s: 250 per scrape, 10 of them slower than 200 ms; none failed.

    Buckets 0.1 / 0.2 / 0.5 / +Inf hold 800 / 960 / 1000 / 1000.
    """
    ok = {"code": "200"}
    stub.rules = [
        (FAILED, []),
        (TOTAL, [series("pod-a", 0, 250, 500, 750, 1000, **ok)]),
        (WITHIN, [series("pod-a", 0, 240, 480, 720, 960, **ok)]),
        (
            INCREASE,
            [bucket("0.1", 800), bucket("0.2", 960), bucket("0.5", 1000), bucket("+Inf", 1000)],
        ),
        ("container_cpu", scalar(0.5)),
        ("container_memory", scalar(1e8)),
    ]


def figure(evidence: object) -> float:
    assert isinstance(evidence, Measured)
    return evidence.value


@pytest.fixture
def metrics() -> PrometheusMetrics:
    return PrometheusMetrics(PrometheusQueries(timeout_seconds=2, access=LOOPBACK))


def asked(metrics: PrometheusMetrics, what: LiveQuery) -> LiveEvidence:
    found = metrics.fetch_live(what)
    assert isinstance(found, LiveEvidence), found
    return found


def test_a_healthy_window(stub: Stub, metrics: PrometheusMetrics) -> None:
    """P95 = rank 950 of 1,000, in the bucket 100..200 ms: 100 + 100 * (950 - 800) / 160 ms.

    That is 193.75 ms. Rate 1,000 / 60 s. 40 of 1,000 over the promise: 4 %. A block takes two
    scrapes (30 s) at least: two blocks of 500 requests, 20 of them over.
    """
    healthy(stub)
    found = asked(metrics, query(stub))
    assert figure(found.p95) == pytest.approx(193.75)
    assert figure(found.request_rate) == pytest.approx(1000 / 60)
    assert figure(found.over_slo_percent) == pytest.approx(4.0)
    assert figure(found.error_percent) == 0.0
    assert (figure(found.cpu_cores), figure(found.memory_bytes)) == (0.5, 1e8)
    assert found.blocks == (BlockSample(500, 20, 30.0), BlockSample(500, 20, 30.0))
    assert (found.pods, found.observed_at) == (1, END)
    assert (found.shares, found.share_seconds) == ((PodShare("pod-a", 1000, 60.0),), 60.0)


def test_between_two_bounds_the_lower_one_counts_and_the_truth_is_enclosed(
    stub: Stub, metrics: PrometheusMetrics
) -> None:
    """450 ms lies near 500, but who is within 200 ms kept it for sure: 4 % did not, 0 % surely."""
    healthy(stub)
    found = asked(metrics, query(stub, slo_milliseconds=450.0))
    assert found.promise_bound == SloBound(200.0, 200.0, 500.0, 250.0)
    assert figure(found.over_slo_percent) == pytest.approx(4.0)
    assert isinstance(found.over_slo_percent, Measured)
    interval = found.over_slo_percent.interval
    assert interval is not None
    assert (interval.low, interval.high) == pytest.approx((0.0, 4.0))
    assert found.blocks == (BlockSample(500, 20, 30.0), BlockSample(500, 20, 30.0))


def test_failed_requests_are_over_the_promise_however_fast(
    stub: Stub, metrics: PrometheusMetrics
) -> None:
    """100 of 1,100 requests failed: 9.09 % errors, and (40 + 100) / 1,100 over the promise."""
    healthy(stub)
    failed = series("pod-a", 0, 25, 50, 75, 100, code="503")
    stub.rules[0] = (FAILED, [failed])
    stub.rules[1][1].append(failed)
    found = asked(metrics, query(stub))
    assert figure(found.error_percent) == pytest.approx(100 * 100 / 1100)
    assert figure(found.over_slo_percent) == pytest.approx(100 * 140 / 1100)
    words = "P95 is above the last bound, 500 ms: 9.09 % of requests failed, which ranks slowest"
    assert found.p95 == NoData("OutsideBuckets", words)
    assert found.blocks[0] == BlockSample(550, 70, 30.0)


def test_a_restart_in_the_window_is_not_a_negative_rate(
    stub: Stub, metrics: PrometheusMetrics
) -> None:
    """0, 250, then a restart: 100, 350, 600. In all 250 + 100 + 250 + 250 = 850 requests."""
    healthy(stub)
    stub.rules[1] = (TOTAL, [series("pod-a", 0, 250, 100, 350, 600, code="200")])
    assert figure(asked(metrics, query(stub)).request_rate) == pytest.approx(850 / 60)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param({}, "Missing", id="nothing anywhere"),
        pytest.param({"count(": scalar(12)}, "CannotAttribute", id="series of other pods only"),
        pytest.param({TOTAL: [series("pod-a", 5)]}, "Stale", id="one scrape, a minute ago"),
        pytest.param(
            {
                TOTAL: [
                    series("pod-a", 0, 1, 2, 3, 4),
                    {**series("pod-a", 0, 1, 2, 3, 4), "metric": {"pod": "pod-a", "job": "twice"}},
                ]
            },
            "CannotAttribute",
            id="scraped twice",
        ),
        pytest.param({TOTAL: [series("pod-a", *["NaN"] * 5)]}, "Invalid", id="NaN only"),  # type: ignore[arg-type]
    ],
)
def test_what_cannot_be_said_is_said(
    stub: Stub, metrics: PrometheusMetrics, change: dict[str, Any], reason: str
) -> None:
    stub.rules = list(change.items())
    # A minute-old scrape is stale at a scrape interval of 10 s.
    found = metrics.fetch_live(query(stub, scrape_interval_seconds=10))
    assert isinstance(found, NoData)
    assert found.reason == reason


def test_a_single_scrape_is_too_few(stub: Stub, metrics: PrometheusMetrics) -> None:
    one = {"metric": {"pod": "pod-a"}, "values": [[END.timestamp(), "7"]]}
    stub.rules = [(TOTAL, [one])]
    assert metrics.fetch_live(query(stub)) == NoData(
        "TooFew", "fewer than two scrapes in the window"
    )


def test_a_promise_outside_the_buckets_has_no_verdict_but_a_rate(
    stub: Stub, metrics: PrometheusMetrics
) -> None:
    healthy(stub)
    found = asked(metrics, query(stub, slo_milliseconds=900))
    assert isinstance(found.over_slo_percent, NoData)
    assert found.over_slo_percent.reason == "OutsideBuckets"
    assert found.blocks == ()
    assert figure(found.request_rate) == pytest.approx(1000 / 60)


def test_no_pods_ask_nothing(stub: Stub, metrics: PrometheusMetrics) -> None:
    found = metrics.fetch_live(query(stub, pods=()))
    assert isinstance(found, NoData)
    assert stub.asked == []


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        pytest.param(503, "busy", "Unavailable", id="overloaded"),
        pytest.param(400, "parse error", "Invalid", id="a pattern it cannot read"),
        pytest.param(200, "<html>", "NotPrometheus", id="a login page"),
        pytest.param(200, "[]", "NotPrometheus", id="another kind of server"),
    ],
)
def test_a_server_that_does_not_answer_properly(
    stub: Stub, metrics: PrometheusMetrics, status: int, body: str, reason: str
) -> None:
    stub.status, stub.body = status, body
    found = metrics.fetch_live(query(stub))
    assert isinstance(found, NoData)
    assert found.reason == reason


def test_a_partial_answer_is_no_answer(stub: Stub, metrics: PrometheusMetrics) -> None:
    healthy(stub)
    stub.warnings = ["store gateway unreachable"]
    found = metrics.fetch_live(query(stub))
    assert isinstance(found, NoData)
    assert (found.reason, "store gateway" in found.detail) == ("Unavailable", True)


def test_nobody_listens(metrics: PrometheusMetrics, stub: Stub) -> None:
    found = metrics.fetch_live(query(stub, url="http://127.0.0.1:9"))
    assert isinstance(found, NoData)
    assert found.reason == "Unavailable"


def test_names_and_values_are_quoted(stub: Stub, metrics: PrometheusMetrics) -> None:
    hostile = query(
        stub, match_labels=(("model", 'a"b\\c'),), pods=("web-0.x",), error_pattern='5.."} or up{"'
    )
    metrics.fetch_live(hostile)
    assert 'model="a\\"b\\\\c"' in stub.asked[0]
    assert 'pod=~"web-0[.]x"' in stub.asked[0]


class TestSharedWatch:
    """A hundred stable targets cost three queries, kept for 45 s."""

    def fill(self, stub: Stub) -> None:
        def one(pod: str, le: str, value: float) -> dict[str, Any]:
            metric = {"namespace": "default", "pod": pod, "le": le}
            return {"metric": metric, "value": [END.timestamp(), str(value)]}

        stub.rules = [
            (
                "sum by (namespace, pod, le)",
                [
                    one(p, le, n)
                    for p in ("pod-a", "pod-b")
                    for le, n in (("0.1", 100), ("0.2", 190), ("0.5", 200), ("+Inf", 200))
                ],
            ),
            ("sum by (namespace, pod) (", [one("pod-a", "", 200), one("pod-b", "", 250)]),
        ]

    def test_each_target_gets_its_own_pods(self, stub: Stub, metrics: PrometheusMetrics) -> None:
        """pod-a: 10 of 200 over. pod-b: 10 slow and 50 failed of 250: 24 %."""
        self.fill(stub)
        first = metrics.fetch_watch(query(stub))
        second = metrics.fetch_watch(query(stub, pods=("pod-b",)))
        assert isinstance(first, LiveEvidence)
        assert isinstance(second, LiveEvidence)
        assert figure(first.over_slo_percent) == pytest.approx(5.0)
        assert figure(second.over_slo_percent) == pytest.approx(24.0)
        assert figure(second.error_percent) == pytest.approx(20.0)
        assert first.blocks == ()
        both = metrics.fetch_watch(query(stub, pods=("pod-b", "pod-a", "pod-z")))
        assert isinstance(both, LiveEvidence)
        assert both.shares == (
            PodShare("pod-a", 200, None),
            PodShare("pod-b", 250, None),
            PodShare("pod-z", None, None),
        )
        assert len(stub.asked) == 3

    def test_the_answer_is_kept_for_a_while(self, stub: Stub, metrics: PrometheusMetrics) -> None:
        self.fill(stub)

        def later(seconds: float) -> LiveQuery:
            shift = timedelta(seconds=seconds)
            return query(stub, window_start=END - timedelta(60) + shift, window_end=END + shift)

        metrics.fetch_watch(later(0))
        metrics.fetch_watch(later(44))
        assert len(stub.asked) == 3
        metrics.fetch_watch(later(46))
        assert len(stub.asked) == 6

    def test_a_silent_server_is_not_asked_by_every_target(
        self, stub: Stub, metrics: PrometheusMetrics
    ) -> None:
        stub.status, stub.body = 503, "busy"
        answers = [metrics.fetch_watch(query(stub, pods=(f"pod-{i}",))) for i in range(50)]
        assert all(isinstance(answer, NoData) for answer in answers)
        assert len(stub.asked) == 1

    def test_a_target_without_series_has_no_data(
        self, stub: Stub, metrics: PrometheusMetrics
    ) -> None:
        self.fill(stub)
        found = metrics.fetch_watch(query(stub, pods=("pod-z",)))
        assert isinstance(found, NoData)
        assert found.reason == "Missing"
