"""Something that stands at a Prometheus address and answers as a test says.

Must not know: which answer is right. Trade-off: real HTTP on loopback, asked by the real client.
"""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from infertune.adapters.prometheus import PrometheusMetrics
from infertune.adapters.prometheus_access import PrometheusAccess
from infertune.adapters.prometheus_queries import PrometheusQueries
from infertune.core.evidence import NoData
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


@contextmanager
def listening(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """Serve on a free loopback port; yield the base URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
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
