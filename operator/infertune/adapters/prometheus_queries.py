"""Instant queries to Prometheus, with a time limit, by a client of each thread's own.

Role: send one query, return its result or the typed reason why there is none. Must not know: what
is asked. Trade-off: no retries here; a worker that waits for one sick Prometheus is missing
elsewhere, and the next tick asks again.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import requests
from prometheus_api_client import PrometheusConnect
from prometheus_api_client.exceptions import PrometheusApiClientException
from requests.adapters import Retry

from infertune.core.evidence import NoData

TIMEOUT_SECONDS = 10
CLIENTS_KEPT = 8
_SHOWN = 300

Vector = Sequence[Mapping[str, Any]]


class PrometheusQueries:
    """Instant queries to any number of servers.

    ``counted`` is told how every query ended: ok, or the reason why its result cannot be used.
    """

    def __init__(
        self,
        timeout_seconds: int = TIMEOUT_SECONDS,
        counted: Callable[[str], None] = lambda _answer: None,
    ) -> None:
        self._timeout_seconds = timeout_seconds
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
        client, warnings = self._client(url)
        warnings.clear()
        try:
            answer = client.custom_query(query, params={"time": f"{at:.3f}"})
        except PrometheusApiClientException as error:
            text = str(error)[:_SHOWN]
            wrong = "Status Code 400" in text or "Status Code 422" in text
            return NoData("Invalid" if wrong else "Unavailable", f"{url}: {text}")
        except requests.RequestException as error:
            return NoData("Unavailable", f"{url}: {str(error)[:_SHOWN]}")
        except (KeyError, TypeError, ValueError) as error:
            return NoData("Invalid", f"{url}: not a Prometheus answer ({error!r})"[:_SHOWN])
        if warnings:
            return NoData("Unavailable", f"{url}: {'; '.join(warnings)}"[:_SHOWN])
        return list(answer) if isinstance(answer, list) else []

    def _client(self, url: str) -> tuple[PrometheusConnect, list[str]]:
        clients: OrderedDict[str, tuple[PrometheusConnect, list[str]]]
        clients = self._own.__dict__.setdefault("clients", OrderedDict())
        if url not in clients:
            clients[url] = self._connect(url)
        clients.move_to_end(url)
        while len(clients) > CLIENTS_KEPT:
            _, (old, _) = clients.popitem(last=False)
            old.close()
        return clients[url]

    def _connect(self, url: str) -> tuple[PrometheusConnect, list[str]]:
        warnings: list[str] = []

        def remember(response: requests.Response, *_: object, **__: object) -> None:
            # The client hands on the result alone, so the warnings are picked up on the way.
            if response.ok and b'"warnings"' in response.content:
                body = response.json()
                warnings.extend(body.get("warnings") or () if isinstance(body, dict) else ())

        session = requests.Session()
        session.hooks["response"].append(remember)
        client = PrometheusConnect(
            url=url.rstrip("/"),
            session=session,
            timeout=self._timeout_seconds,
            retry=Retry(total=0),
            method="POST",
        )
        return client, warnings
