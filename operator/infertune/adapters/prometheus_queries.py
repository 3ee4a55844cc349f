"""Instant queries to Prometheus, with a time limit, by a client of each thread's own.

Role: send one query, return its result or the typed reason why there is none. Must not know: what
is asked. Trade-off: no retries here; a worker that waits for one sick Prometheus is missing
elsewhere, and the next tick asks again.
"""

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import requests
from prometheus_api_client import PrometheusConnect
from prometheus_api_client.exceptions import PrometheusApiClientException
from requests.adapters import Retry

from infertune.adapters.guarded_http import AddressRefused, GuardedAdapter
from infertune.adapters.prometheus_access import PrometheusAccess
from infertune.adapters.prometheus_answers import (
    is_result,
    not_prometheus,
    refused,
    unreachable,
    without_credentials,
)
from infertune.adapters.prometheus_session import BoundedSession
from infertune.core.evidence import NoData
from infertune.core.prometheus_access import shown, url_refusal

TIMEOUT_SECONDS = 10
CLIENTS_KEPT = 8
_SHOWN = 300

_FAILURES = (
    AddressRefused,
    PrometheusApiClientException,
    requests.RequestException,
    KeyError,
    TypeError,
    ValueError,
    RecursionError,
)

Vector = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class _Client:
    """One server as one thread talks to it, and its answers to the last query."""

    connect: PrometheusConnect
    session: requests.Session
    responses: list[requests.Response]


class PrometheusQueries:
    """Instant queries to any number of servers.

    ``counted`` is told how every query ended: ok, or the reason why its result cannot be used.
    ``access`` says which URLs may be asked, and with which credentials.
    """

    def __init__(
        self,
        timeout_seconds: int = TIMEOUT_SECONDS,
        counted: Callable[[str], None] = lambda _answer: None,
        access: PrometheusAccess | None = None,
    ) -> None:
        self._timeout_seconds = timeout_seconds
        self._access = access or PrometheusAccess()
        self._counted = counted
        # A requests session is not safe to share between threads.
        self._own = threading.local()

    def ask(self, url: str, query: str, at: float) -> Vector | NoData:
        """Return the result of an instant query, or why it cannot be used.

        A result that comes with warnings is refused: a partial answer looks like less traffic.
        """
        answer = self._asked(url, query, at)
        self._counted(answer.reason if isinstance(answer, NoData) else "ok")
        return answer

    def _asked(self, url: str, query: str, at: float) -> Vector | NoData:
        refusal = url_refusal(url, self._access.rules)
        if refusal is not None:
            return NoData("URLNotAllowed", refusal)
        client = self._client(url)
        client.responses.clear()
        self._authorize(client, url)
        try:
            answer = client.connect.custom_query(query, params={"time": f"{at:.3f}"})
        except _FAILURES as error:
            return _no_answer(url, error, client.responses)
        warnings = _warnings(client.responses)
        if warnings:
            words = f"{without_credentials(url)} answers in part only: {'; '.join(warnings)}"
            return NoData("Unavailable", words[:_SHOWN])
        return answer if is_result(answer) else not_prometheus(url)

    def _authorize(self, client: _Client, url: str) -> None:
        header = self._access.authorization(url)
        if header is None:
            client.session.headers.pop("Authorization", None)
        else:
            client.session.headers["Authorization"] = header

    def _client(self, url: str) -> _Client:
        clients: OrderedDict[str, _Client]
        clients = self._own.__dict__.setdefault("clients", OrderedDict())
        if url not in clients:
            clients[url] = self._connect(url)
        clients.move_to_end(url)
        while len(clients) > CLIENTS_KEPT:
            _, old = clients.popitem(last=False)
            old.connect.close()
        return clients[url]

    def _connect(self, url: str) -> _Client:
        responses: list[requests.Response] = []
        session = BoundedSession(self._timeout_seconds)
        # No proxy that would be reached instead of the address that is checked, and no ~/.netrc.
        session.trust_env = False
        session.verify = os.environ.get("REQUESTS_CA_BUNDLE") or True
        # The client hands on the result alone, so the rest of an answer is picked up on the way.
        session.hooks["response"].append(lambda found, *_, **__: responses.append(found))
        client = PrometheusConnect(
            url=url.rstrip("/"),
            session=session,
            timeout=self._timeout_seconds,
            retry=Retry(total=0),
            method="POST",
        )
        session.mount(client.url, GuardedAdapter(partial(self._access.address_refusal, url)))
        return _Client(client, session, responses)


def _no_answer(url: str, error: Exception, responses: Sequence[requests.Response]) -> NoData:
    if isinstance(error, AddressRefused):
        return NoData("URLNotAllowed", f"prometheusURL {shown(url)}: {error}")
    if isinstance(error, PrometheusApiClientException) and responses:
        return refused(url, responses[-1])
    if isinstance(error, requests.RequestException) and not isinstance(
        error, requests.JSONDecodeError
    ):
        return unreachable(url, error)
    return not_prometheus(url)


def _warnings(responses: Sequence[requests.Response]) -> list[str]:
    if not responses or b'"warnings"' not in responses[-1].content:
        return []
    body = responses[-1].json()
    found = body.get("warnings") if isinstance(body, dict) else None
    return [str(one) for one in found] if isinstance(found, list) else []
