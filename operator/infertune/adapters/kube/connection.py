"""One HTTP connection pool to the API server; objects stay plain mappings.

Role: send a request with a time limit, return the decoded object or raise a typed error. Must not
know: any resource. Trade-off: the official client gives us configuration, credentials and their
renewal; its typed models are left alone, since they cost memory and drop unknown fields.
"""

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import urllib3.exceptions
from kubernetes import config as untyped_config
from kubernetes.client.api_client import ApiClient
from kubernetes.client.configuration import Configuration
from kubernetes.client.exceptions import ApiException

from infertune.adapters.kube.errors import error_of
from infertune.core.snapshot import RawObject
from infertune.ports import Unavailable

CONNECT_SECONDS = 5.0
READ_SECONDS = 30.0
JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
# The official name of the type says YAML; JSON is YAML, and is what is sent.
APPLY_PATCH = "application/apply-patch+yaml"
NO_ANSWER = "none"
POD_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
Counted = Callable[[str, str], None]
Permitted = Callable[[], None]
TOO_MANY_REQUESTS = 429
# The server did nothing when it answers so; what it asks for beyond this waits for the next tick.
MOST_ATTEMPTS = 4
LONGEST_PAUSE_SECONDS = 5.0
# The client is only partly annotated.
kube_config: Any = untyped_config


@dataclass(frozen=True, slots=True)
class Request:
    """One call to the API server."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    body: Mapping[str, Any] | list[Mapping[str, Any]] | None = None
    content_type: str = "application/json"


def own_namespace() -> str:
    """Return the namespace this process runs in; outside of a cluster the default one."""
    try:
        return POD_NAMESPACE.read_text().strip() or "default"
    except OSError:
        return "default"


def load_configuration(kubeconfig: str | None = None, context: str | None = None) -> Configuration:
    """Return the pod's own credentials, or those of a kubeconfig when not in a pod."""
    configuration = Configuration()
    if kubeconfig is None and context is None:
        try:
            kube_config.load_incluster_config(client_configuration=configuration)
        except kube_config.ConfigException:
            # The client reads KUBECONFIG when it is imported; here it counts when it is used.
            kube_config.load_kube_config(
                config_file=os.environ.get("KUBECONFIG"), client_configuration=configuration
            )
    else:
        kube_config.load_kube_config(
            config_file=kubeconfig, context=context, client_configuration=configuration
        )
    return configuration


class Connection:
    """Requests to one API server; safe to share between threads.

    ``counted`` is told the method and the status code of every request, or that none came back.
    ``permitted`` is called right before everything but a read goes out, and raises to stop it.
    """

    def __init__(
        self,
        configuration: Configuration,
        pool_size: int = 8,
        counted: Counted = lambda _method, _answer: None,
        permitted: Permitted = lambda: None,
        read_seconds: float = READ_SECONDS,
    ) -> None:
        # Retries are the runtime's: it knows what may be repeated and how long to wait.
        configuration.retries = False
        configuration.connection_pool_maxsize = pool_size
        self._client: Any = ApiClient(configuration)
        self._client.user_agent = "infertune"
        self._counted = counted
        self._permitted = permitted
        self._timeouts = (min(CONNECT_SECONDS, read_seconds), read_seconds)

    def get(self, path: str, *query: tuple[str, str]) -> RawObject:
        """Return the object at a path."""
        return self.send(Request("GET", path, query))

    def send(self, request: Request) -> RawObject:
        """Return the decoded answer; an empty one is an empty object.

        Raises:
            ClusterError: one of the port's errors for every answer outside 2xx.
        """
        text = self.send_for_text(request)
        if not text:
            return {}
        try:
            answer = json.loads(text)
        except ValueError as error:
            message = f"{request.method} {request.path}: the answer is not JSON"
            raise Unavailable(message) from error
        return answer if isinstance(answer, dict) else {}

    def send_for_text(self, request: Request) -> str:
        """Return the answer undecoded, for pod logs.

        An overloaded server that says how long to wait gets that time, a few times.
        """
        for attempt in range(1, MOST_ATTEMPTS + 1):
            answer = self._answer(request)
            if answer.status != TOO_MANY_REQUESTS or attempt == MOST_ATTEMPTS:
                break
            time.sleep(_pause_seconds(answer.retry_after))
        if not 200 <= answer.status < 300:  # noqa: PLR2004
            raise error_of(answer.status, answer.body)
        return answer.body

    def _answer(self, request: Request) -> "_Answer":
        headers = {"Accept": "application/json, */*"}
        if request.body is not None:
            headers["Content-Type"] = request.content_type
        if request.method != "GET":
            self._permitted()
        try:
            serialised = self._client.param_serialize(
                request.method,
                request.path,
                query_params=list(request.query),
                header_params=headers,
                body=request.body,
                auth_settings=["BearerToken"],
            )
            response = self._client.call_api(*serialised, _request_timeout=self._timeouts)
            body: str = response.read().decode("utf-8", "replace")
        except (ApiException, urllib3.exceptions.HTTPError, OSError) as error:
            self._counted(request.method, NO_ANSWER)
            message = f"{request.method} {request.path}: {error}"
            raise Unavailable(message) from error
        self._counted(request.method, str(response.status))
        wait = response.getheader("Retry-After") or ""
        return _Answer(response.status, body, str(wait))

    def close(self) -> None:
        """Close the pooled connections."""
        self._client.close()


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    body: str
    retry_after: str


def _pause_seconds(retry_after: str) -> float:
    """Return the pause that a Retry-After asks for, within limits; the server sends seconds."""
    asked = float(retry_after) if retry_after.isdecimal() else 1.0
    return min(asked, LONGEST_PAUSE_SECONDS)
