"""The only code of the load probe that touches a socket.

It sends what it is told when it is told and reports what came back; it must not know schedules,
levels or promises. Trade-off: connections are recycled by asking the server to close
(`Connection: close` with probability 1/N), which HTTP/1.1 servers must honour, instead of by
reaching into aiohttp's pool; lives are geometric with mean N, so reconnects never bunch up.
"""

from __future__ import annotations

import random
import resource
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import aiohttp

if TYPE_CHECKING:
    from types import TracebackType

    from infertune_probes.load.options import Request

# Shorter than any common server's own keep-alive limit (uvicorn's 5 s is the shortest in wide
# use): whoever closes an idle connection first must be us, or a request meets a closed door.
IDLE_SECONDS = 4.0
# Time to first byte of a readiness check; a server under start-up may accept and not answer.
CHECK_SECONDS = 2.0
_SUCCESS_CLASS = 2


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the status and body, or the kind of failure."""

    status: int | None
    body: bytes
    error: str | None


class Sender:
    """An HTTP client with unlimited connections and a timeout per request."""

    def __init__(self, request: Request, timeout_seconds: float, per_connection: int) -> None:
        """Prepare; nothing is opened before `async with`."""
        self._request = request
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._headers = request.all_headers
        self._closing_headers = {**self._headers, "Connection": "close"}
        self._close_share = 1.0 / per_connection if per_connection else 0.0
        self._dice = random.Random(per_connection)  # noqa: S311  # traffic, not a secret
        self._stack = AsyncExitStack()
        self._session: aiohttp.ClientSession

    async def __aenter__(self) -> Self:
        """Open the session."""
        _raise_file_limit()
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=IDLE_SECONDS)
        session = aiohttp.ClientSession(
            connector=connector, timeout=self._timeout, auto_decompress=False
        )
        self._session = await self._stack.enter_async_context(session)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close every connection."""
        await self._stack.aclose()

    async def fire(self, waited_seconds: float) -> str | None:
        """Send the load request once; return None for a 2xx answer, else the kind of failure.

        ``waited_seconds`` after the intended send it tells that moment in ``X-Request-Start``, as
        load balancers do, so that a server's own histogram may count from it as well.
        """
        closing = self._close_share and self._dice.random() < self._close_share
        start = {"X-Request-Start": f"t={time.time() - waited_seconds:.6f}"}
        headers = (self._closing_headers if closing else self._headers) | start
        request = self._request
        answer = await self._send(request.method, request.url, headers, request.body)
        return answer.error

    async def ask(self, request: Request) -> Answer:
        """Send any one request and return the whole answer."""
        return await self._send(request.method, request.url, request.all_headers, request.body)

    async def check(self, url: str) -> Answer:
        """GET a readiness URL with a short timeout of its own."""
        return await self._send("GET", url, {}, b"", aiohttp.ClientTimeout(total=CHECK_SECONDS))

    async def _send(
        self,
        method: str,
        url: str,
        headers: dict[str, str],
        body: bytes,
        limit: aiohttp.ClientTimeout | None = None,
    ) -> Answer:
        try:
            async with self._session.request(
                method,
                url,
                data=body or None,
                headers=headers,
                allow_redirects=False,
                timeout=limit or self._timeout,
            ) as response:
                content = await response.read()
                fine = response.status // 100 == _SUCCESS_CLASS
                error = None if fine else f"status_{response.status}"
                return Answer(response.status, content, error)
        except TimeoutError:
            return Answer(None, b"", "timeout")
        except aiohttp.ClientConnectorError:
            return Answer(None, b"", "connect")
        except (aiohttp.ClientError, OSError):
            return Answer(None, b"", "broken")


def _raise_file_limit() -> None:
    """Lift the soft limit on open files to the hard one: a stuck server holds many sockets."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
