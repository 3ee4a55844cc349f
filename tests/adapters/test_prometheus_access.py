"""What really goes over the wire: nowhere it must not, and with which credentials."""

import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from infertune.adapters.prometheus_access import Credential, PrometheusAccess
from infertune.adapters.prometheus_queries import PrometheusQueries
from infertune.core.evidence import NoData
from infertune.core.prometheus_access import AccessRules, pattern_of

EMPTY = b'{"status": "success", "data": {"resultType": "vector", "result": []}}'
HERE = pattern_of("http://127.0.0.1:*")


class Recorder(BaseHTTPRequestHandler):
    seen: list[tuple[str, str | None]]
    answer: tuple[int, str, bytes] = (200, "", EMPTY)

    def do_POST(self) -> None:
        self.seen.append((self.path.partition("?")[0], self.headers.get("Authorization")))
        code, location, body = self.answer
        self.send_response(code)
        if location:
            self.send_header("Location", location)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        self.do_POST()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # as inherited
        pass


@pytest.fixture
def server() -> Iterator[tuple[str, type[Recorder]]]:
    handler = type("Handler", (Recorder,), {"seen": []})
    http_server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = Thread(target=http_server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{http_server.server_address[1]}", handler
    http_server.shutdown()
    http_server.server_close()
    thread.join()


def ask(url: str, access: PrometheusAccess) -> object:
    return PrometheusQueries(2, access=access).ask(url, "up", 0.0)


def test_a_url_that_is_not_allowed_is_not_even_connected_to(
    server: tuple[str, type[Recorder]],
) -> None:
    url, handler = server
    answer = ask(url, PrometheusAccess())
    assert isinstance(answer, NoData)
    assert (answer.reason, handler.seen) == ("URLNotAllowed", [])


def test_a_name_that_leads_elsewhere_hears_nothing(
    server: tuple[str, type[Recorder]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Service's name, and a resolver that says 127.0.0.1: refused before a word is said."""
    url, handler = server
    port = int(url.rpartition(":")[2])

    def resolve(*_: object, **__: object) -> list[tuple[object, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    answer = ask(f"http://prometheus.monitoring:{port}", PrometheusAccess())
    assert isinstance(answer, NoData)
    assert answer.reason == "URLNotAllowed"
    assert "prometheus.monitoring leads to 127.0.0.1" in answer.detail
    assert handler.seen == []


def test_a_redirect_is_not_followed(server: tuple[str, type[Recorder]]) -> None:
    url, handler = server
    handler.answer = (307, f"{url}/elsewhere", b"")
    answer = ask(url, PrometheusAccess(AccessRules((HERE,))))
    assert isinstance(answer, NoData)
    assert "redirect" in answer.detail
    assert [path for path, _ in handler.seen] == ["/api/v1/query"]


def test_a_foreign_page_is_not_quoted_but_prometheus_is(
    server: tuple[str, type[Recorder]],
) -> None:
    url, handler = server
    access = PrometheusAccess(AccessRules((HERE,)))
    handler.answer = (403, "", b"<html>token: s3cr3t</html>")
    foreign = ask(url, access)
    handler.answer = (422, "", b'{"status":"error","error":"many-to-many \\"x\\""}')
    own = ask(url, access)
    assert isinstance(foreign, NoData)
    assert "s3cr3t" not in foreign.detail
    assert isinstance(own, NoData)
    assert (own.reason, "many-to-many" in own.detail) == ("Invalid", True)


@pytest.mark.parametrize(
    ("files", "header"),
    [
        pytest.param({"token": "abc\n"}, "Bearer abc", id="a token"),
        pytest.param({"username": "u", "password": "p"}, "Basic dTpw", id="user and password"),
        pytest.param({"password": "p"}, None, id="half of it"),
        pytest.param({}, None, id="a Secret without keys"),
    ],
)
def test_credentials_go_to_their_url_and_nowhere_else(
    server: tuple[str, type[Recorder]], tmp_path: Path, files: dict[str, str], header: str | None
) -> None:
    url, handler = server
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    mine = Credential(pattern_of(f"{url}/mine"), tmp_path)
    queries = PrometheusQueries(2, access=PrometheusAccess(AccessRules((HERE,)), (mine,)))
    queries.ask(f"{url}/mine", "up", 0.0)
    queries.ask(f"{url}/other", "up", 0.0)
    assert handler.seen == [("/mine/api/v1/query", header), ("/other/api/v1/query", None)]
    assert str(tmp_path) not in repr(mine)


def test_a_rotated_token_counts_at_once(server: tuple[str, type[Recorder]], tmp_path: Path) -> None:
    url, handler = server
    queries = PrometheusQueries(
        2, access=PrometheusAccess(AccessRules((HERE,)), (Credential(HERE, tmp_path),))
    )
    for token in ("first", "second"):
        (tmp_path / "token").write_text(token)
        queries.ask(url, "up", 0.0)
    assert [header for _, header in handler.seen] == ["Bearer first", "Bearer second"]
