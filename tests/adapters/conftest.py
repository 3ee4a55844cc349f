"""What the tests of the adapters share."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs

import pytest

from tests.adapters.prometheus_site import Server, listening


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

    with listening(Handler) as state.url:
        yield state
