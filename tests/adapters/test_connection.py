"""One connection to an API server that is busy, and one that may not write."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from kubernetes.client.configuration import Configuration

from infertune.adapters.kube import connection as under_test
from infertune.adapters.kube.connection import Connection, Request
from infertune.ports import Unavailable


@dataclass
class Server:
    """Answers with what is queued, else 200."""

    url: str
    queued: list[tuple[int, str]] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)


@pytest.fixture
def server() -> Iterator[Server]:
    told = Server("")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            told.seen.append(self.command)
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            code, retry_after = told.queued.pop(0) if told.queued else (200, "")
            body = json.dumps({"answered": code}).encode()
            self.send_response(code)
            self.send_header("Content-Length", str(len(body)))
            if retry_after:
                self.send_header("Retry-After", retry_after)
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815  # as inherited

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    told.url = f"http://127.0.0.1:{http.server_address[1]}"
    thread = threading.Thread(target=http.serve_forever)
    thread.start()
    yield told
    http.shutdown()
    http.server_close()
    thread.join()


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    found: list[float] = []
    monkeypatch.setattr(under_test.time, "sleep", found.append)
    return found


def connect(server: Server, **options: object) -> Connection:
    configuration = Configuration()
    configuration.host = server.url
    return Connection(configuration, **options)  # type: ignore[arg-type]


def test_a_busy_server_is_given_the_time_it_asks_for(server: Server, pauses: list[float]) -> None:
    server.queued += [(429, "2"), (429, "")]
    assert connect(server).send(Request("POST", "/x", (), {})) == {"answered": 200}
    assert (server.seen, pauses) == (["POST"] * 3, [2.0, 1.0])


def test_nobody_waits_long_or_for_ever(server: Server, pauses: list[float]) -> None:
    server.queued += [(429, "3600")] * 9
    with pytest.raises(Unavailable, match="HTTP 429"):
        connect(server).get("/x")
    assert (len(server.seen), pauses) == (4, [5.0, 5.0, 5.0])


def test_a_server_that_fails_is_not_asked_twice(server: Server, pauses: list[float]) -> None:
    """Whether a write was done is unknown then: the tick decides what is safe to repeat."""
    server.queued += [(500, "")]
    with pytest.raises(Unavailable):
        connect(server).send(Request("POST", "/x", (), {}))
    assert (server.seen, pauses) == (["POST"], [])


def test_who_may_not_write_reads_on(server: Server) -> None:
    def refuse() -> None:
        message = "no"
        raise Unavailable(message)

    connection = connect(server, permitted=refuse)
    assert connection.get("/x") == {"answered": 200}
    with pytest.raises(Unavailable, match="no"):
        connection.send(Request("POST", "/x", (), {}))
    assert server.seen == ["GET"]


def test_the_permission_is_asked_again_after_a_pause(server: Server, pauses: list[float]) -> None:
    server.queued += [(429, "1")]
    asked: list[int] = []

    def once() -> None:
        asked.append(1)
        if len(asked) > 1:
            message = "lost in between"
            raise Unavailable(message)

    with pytest.raises(Unavailable, match="lost in between"):
        connect(server, permitted=once).send(Request("POST", "/x", (), {}))
    assert server.seen == ["POST"]
