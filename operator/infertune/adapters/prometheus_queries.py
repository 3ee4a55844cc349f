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

from infertune.adapters.prometheus_answers import (
    is_result,
    not_prometheus,
    refused,
    unreachable,
    without_credentials,
)
from infertune.adapters.prometheus_session import BoundedSession
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
        client, responses = self._client(url)
        responses.clear()
        try:
            answer = client.custom_query(query, params={"time": f"{at:.3f}"})
        except PrometheusApiClientException:
            return refused(url, responses[-1]) if responses else not_prometheus(url)
        except requests.JSONDecodeError:
            return not_prometheus(url)
        except requests.RequestException as error:
            return unreachable(url, error)
        except (KeyError, TypeError, ValueError, RecursionError):
            return not_prometheus(url)
        warnings = _warnings(responses)
        if warnings:
            words = f"{without_credentials(url)} answers in part only: {'; '.join(warnings)}"
            return NoData("Unavailable", words[:_SHOWN])
        return answer if is_result(answer) else not_prometheus(url)

    def _client(self, url: str) -> tuple[PrometheusConnect, list[requests.Response]]:
        clients: OrderedDict[str, tuple[PrometheusConnect, list[requests.Response]]]
        clients = self._own.__dict__.setdefault("clients", OrderedDict())
        if url not in clients:
            clients[url] = self._connect(url)
        clients.move_to_end(url)
        while len(clients) > CLIENTS_KEPT:
            _, (old, _) = clients.popitem(last=False)
            old.close()
        return clients[url]

    def _connect(self, url: str) -> tuple[PrometheusConnect, list[requests.Response]]:
        responses: list[requests.Response] = []
        session = BoundedSession(self._timeout_seconds)
        # The client hands on the result alone, so the rest of an answer is picked up on the way.
        session.hooks["response"].append(lambda found, *_, **__: responses.append(found))
        client = PrometheusConnect(
            url=url.rstrip("/"),
            session=session,
            timeout=self._timeout_seconds,
            retry=Retry(total=0),
            method="POST",
        )
        return client, responses


def _warnings(responses: Sequence[requests.Response]) -> list[str]:
    if not responses or b'"warnings"' not in responses[-1].content:
        return []
    body = responses[-1].json()
    found = body.get("warnings") if isinstance(body, dict) else None
    return [str(one) for one in found] if isinstance(found, list) else []
