"""Whatever stands at the address that a tuning names: a typed answer, with the field and the fix.

Everything is real HTTP on loopback, asked by the real client; messages are compared whole.
"""

import gzip
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infertune.adapters import prometheus_session
from infertune.adapters.prometheus import PrometheusMetrics
from infertune.adapters.prometheus_access import PrometheusAccess
from infertune.adapters.prometheus_answers import is_result, without_credentials
from infertune.adapters.prometheus_queries import PrometheusQueries
from infertune.core.evidence import Measured, NoData
from infertune.core.prometheus_access import AccessRules, pattern_of
from infertune.core.snapshot import LiveEvidence
from infertune.ports import LiveQuery

EVERYWHERE = PrometheusAccess(AccessRules((pattern_of("http://*:*"), pattern_of("https://*:*"))))

END = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
T0 = END.timestamp() - 60
BASE = "prometheusURL must be the address that /api/v1/query stands under"
NOT_ONE = f"URL answers something that is no Prometheus result: {BASE}"


@dataclass
class Answer:
    """One HTTP answer. ``length`` is what the header claims, when that is not the truth."""

    body: bytes = b""
    code: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    length: int | None = None


Site = Callable[[str], Answer]


@dataclass
class Server:
    """What is asked, and what answers."""

    url: str
    site: Site = lambda _: Answer(b"{}")
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server("")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", "0")))
            text = parse_qs(self.path.partition("?")[2]).get("query", [""])[0]
            state.asked.append(text)
            found = state.site(text)
            self.send_response(found.code)
            for name, value in found.headers.items():
                self.send_header(name, value)
            length = len(found.body) if found.length is None else found.length
            self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(found.body)

        do_GET = do_POST  # noqa: N815  # the name that the library looks for

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=listening.serve_forever, daemon=True)
    thread.start()
    state.url = f"http://127.0.0.1:{listening.server_address[1]}"
    yield state
    listening.shutdown()
    listening.server_close()
    thread.join()


def query(url: str, **changes: Any) -> LiveQuery:
    base = LiveQuery(
        url=url,
        histogram="request_seconds",
        unit_milliseconds=1000.0,
        match_labels=(),
        error_label="code",
        error_pattern="5..|429",
        namespace="serving",
        container="server",
        pods=("pod-a",),
        window_start=END - timedelta(seconds=60),
        window_end=END,
        slo_milliseconds=200,
        scrape_interval_seconds=15,
        block_requests=200,
    )
    return replace(base, **changes)


def result(*series: dict[str, Any]) -> bytes:
    return json.dumps({"status": "success", "data": {"result": list(series)}}).encode()


def asked(url: str, **changes: Any) -> LiveEvidence | NoData:
    return PrometheusMetrics(PrometheusQueries(1, access=EVERYWHERE)).fetch_live(
        query(url, **changes)
    )


def error(kind: str, text: str) -> bytes:
    return json.dumps({"status": "error", "errorType": kind, "error": text}).encode()


SITES = [
    pytest.param(
        Answer(b"<h1>404</h1>", 404), "NotPrometheus", f"URL answers HTTP 404: {BASE}", id="404"
    ),
    pytest.param(Answer(b"<html>Sign in</html>"), "NotPrometheus", NOT_ONE, id="a login page"),
    pytest.param(Answer(b""), "NotPrometheus", NOT_ONE, id="an empty page"),
    pytest.param(Answer(b"[]"), "NotPrometheus", NOT_ONE, id="other JSON"),
    pytest.param(Answer(b'{"data":{"result":{}}}'), "NotPrometheus", NOT_ONE, id="no list"),
    pytest.param(Answer(b'{"data":{"result":[1]}}'), "NotPrometheus", NOT_ONE, id="a scalar"),
    pytest.param(Answer(b"[" * 100_000), "NotPrometheus", NOT_ONE, id="JSON without a bottom"),
    pytest.param(
        Answer(b'{"data":{"result":[{"metric":{},"value":[1,2]}]}}'),
        "NotPrometheus",
        NOT_ONE,
        id="a value that is no text",
    ),
    pytest.param(
        Answer(b"", 302, {"Location": "https://user:secret@sso.test/login?x=1"}),
        "NotPrometheus",
        "URL redirects to https://sso.test/login?x=1, and redirects are not followed: " + BASE,
        id="a redirect to a login",
    ),
    pytest.param(
        Answer(b"who are you", 401),
        "Unauthorized",
        "URL answers HTTP 401: it wants credentials that the operator lacks",
        id="credentials wanted",
    ),
    pytest.param(
        Answer(error("bad_data", "invalid parameter: parse error"), 400),
        "Invalid",
        "URL answers HTTP 400 (invalid parameter: parse error): correct histogram, matchLabels or "
        "errorPattern",
        id="an expression that cannot be read",
    ),
    pytest.param(
        Answer(b"AWS_SECRET=hunter2", 500),
        "Unavailable",
        "URL answers HTTP 500: it is asked again",
        id="a foreign body is never quoted",
    ),
    pytest.param(
        Answer(error("timeout", "query timed out"), 503),
        "Unavailable",
        "URL answers HTTP 503 (query timed out): it is asked again",
        id="overloaded",
    ),
    pytest.param(
        Answer(result(), headers={"Content-Encoding": "gzip"}),
        "Unavailable",
        None,
        id="no gzip though it says so",
    ),
    pytest.param(Answer(result(), length=10_000), "Unavailable", None, id="cut off half way"),
]


@pytest.mark.parametrize(("answer", "reason", "words"), SITES)
def test_what_is_no_prometheus_is_named(
    server: Server, answer: Answer, reason: str, words: str | None
) -> None:
    server.site = lambda _: answer
    found = asked(server.url)
    assert isinstance(found, NoData)
    assert found.reason == reason
    if words is not None:
        assert found.detail == words.replace("URL", server.url, 1)


def test_a_redirect_is_never_followed(server: Server) -> None:
    server.site = lambda text: Answer(b"", 307, {"Location": f"{server.url}/elsewhere"})
    asked(server.url)
    assert len(server.asked) == 1


def test_nobody_listens() -> None:
    assert asked("http://127.0.0.1:9") == NoData(
        "Unavailable",
        "http://127.0.0.1:9 cannot be reached ([Errno 111] Connection refused): correct "
        "prometheusURL or let the operator through",
    )


def test_tls_with_a_server_that_speaks_none(server: Server) -> None:
    found = asked(server.url.replace("http", "https"))
    assert isinstance(found, NoData)
    assert found.reason == "Untrusted"
    assert found.detail.startswith(f"{server.url.replace('http', 'https')}: TLS fails (")
    assert found.detail.endswith(": correct prometheusURL, or have its CA trusted")


def test_an_endless_answer_is_given_up(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """5 MB of spaces are 5 kB of gzip: the bound is on what is unpacked."""
    monkeypatch.setattr(prometheus_session.BoundedSession.__init__, "__defaults__", (1_000_000,))
    packed = gzip.compress(b" " * 5_000_000)
    server.site = lambda _: Answer(packed, headers={"Content-Encoding": "gzip"})
    assert asked(server.url) == NoData(
        "NotPrometheus", f"{server.url}: the answer is longer than 1000000 bytes: {BASE}"
    )


def test_credentials_of_a_url_are_never_shown() -> None:
    found = asked("http://user:hunter2@127.0.0.1:9")
    assert isinstance(found, NoData)
    assert "hunter2" not in found.detail
    assert without_credentials("https://u:p@h:1/x?y") == "https://h:1/x?y"


# Series that are there, and cannot be used.


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
