"""Liveness and readiness over HTTP.

Role: answer the kubelet out of a thread of its own. Must not know: what makes the operator well.
Trade-off: not part of the event loop that it judges, so a stuck loop cannot keep it from saying so.
"""

import json
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Problems = Callable[[], tuple[str, ...]]


class HealthServer:
    """Serves ``/healthz`` and ``/readyz``: 200 when nothing is wrong, else 503 with the reasons.

    ``detail`` is a sentence that stands beside them, well or not.
    """

    def __init__(
        self, port: int, checks: Mapping[str, Problems], detail: Callable[[], str] = str
    ) -> None:
        server = ThreadingHTTPServer(("", port), _handler(checks, detail))
        server.daemon_threads = True
        self._server = server
        self._thread = threading.Thread(
            target=server.serve_forever, name="infertune-health", daemon=True
        )

    @property
    def port(self) -> int:
        """The port that is listened on; of interest when 0 was asked for."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Answer from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Stop answering and give the port back."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(
    checks: Mapping[str, Problems], detail: Callable[[], str]
) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            check = checks.get(self.path.partition("?")[0])
            if check is None:
                self.send_error(404)
                return
            problems = check()
            told = {"detail": sentence} if (sentence := detail()) else {}
            body = json.dumps({"problems": list(problems), **told}).encode()
            self.send_response(503 if problems else 200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # as inherited
            """Say nothing: a probe every few seconds is no news."""

    return Handler
