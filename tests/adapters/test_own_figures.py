"""The operator counts what it asks of others, so that its price can be seen from outside."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from kubernetes.client.configuration import Configuration
from prometheus_client import CollectorRegistry

from infertune.adapters.kube.connection import Connection
from infertune.adapters.prometheus_access import PrometheusAccess
from infertune.adapters.prometheus_queries import PrometheusQueries
from infertune.adapters.telemetry import RuntimeMetrics
from infertune.core.evidence import NoData
from infertune.core.prometheus_access import AccessRules, pattern_of
from infertune.ports import Unavailable

LOOPBACK = PrometheusAccess(AccessRules((pattern_of("http://127.0.0.1:*"),)))


@pytest.fixture
def stub() -> Iterator[str]:
    """A server that finds everything under /found and refuses every query."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.answer(200 if self.path == "/found" else 404)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.answer(400)

        def answer(self, code: int) -> None:
            self.send_response(code)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *words: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_every_request_is_counted_with_its_answer(stub: str) -> None:
    """Two objects found, one not: GET 200 twice, GET 404 once."""
    registry = CollectorRegistry()
    connection = Connection(
        Configuration(host=stub), counted=RuntimeMetrics(registry).asked_cluster
    )
    for path in ("/found", "/found", "/absent"):
        try:
            connection.get(path)
        except Unavailable:
            assert path == "/absent"
    connection.close()
    name = "infertune_api_requests_total"
    assert registry.get_sample_value(name, {"method": "GET", "answer": "200"}) == 2
    assert registry.get_sample_value(name, {"method": "GET", "answer": "404"}) == 1


def test_a_request_without_an_answer_is_counted_too() -> None:
    registry = CollectorRegistry()
    nowhere = Configuration(host="http://127.0.0.1:1")
    connection = Connection(nowhere, counted=RuntimeMetrics(registry).asked_cluster)
    with pytest.raises(Unavailable):
        connection.get("/found")
    connection.close()
    name = "infertune_api_requests_total"
    assert registry.get_sample_value(name, {"method": "GET", "answer": "none"}) == 1


def test_every_query_is_counted_with_its_end(stub: str) -> None:
    registry = CollectorRegistry()
    queries = PrometheusQueries(2, RuntimeMetrics(registry).asked_prometheus, LOOPBACK)
    assert isinstance(queries.ask(stub, "up", 0.0), NoData)
    name = "infertune_prometheus_queries_total"
    assert registry.get_sample_value(name, {"answer": "Invalid"}) == 1
    assert registry.get_sample_value(name, {"answer": "ok"}) is None
