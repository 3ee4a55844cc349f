"""One HTTP connection pool to the API server; objects stay plain mappings.

Role: send a request with a time limit, return the decoded object or raise a typed error. Must not
know: any resource. Trade-off: the official client gives us configuration, credentials and their
renewal; its typed models are left alone, since they cost memory and drop unknown fields.
"""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
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
# The official name of the type says YAML; JSON is YAML, and is what is sent.
APPLY_PATCH = "application/apply-patch+yaml"
NO_ANSWER = "none"
Counted = Callable[[str, str], None]
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
    """

    def __init__(
        self,
        configuration: Configuration,
        pool_size: int = 8,
        counted: Counted = lambda _method, _answer: None,
    ) -> None:
        # Retries are the runtime's: it knows what may be repeated and how long to wait.
        configuration.retries = False
        configuration.connection_pool_maxsize = pool_size
        self._client: Any = ApiClient(configuration)
        self._client.user_agent = "infertune"
        self._counted = counted

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
        """Return the answer undecoded, for pod logs."""
        headers = {"Accept": "application/json, */*"}
        if request.body is not None:
            headers["Content-Type"] = request.content_type
        try:
            serialised = self._client.param_serialize(
                request.method,
                request.path,
                query_params=list(request.query),
                header_params=headers,
                body=request.body,
                auth_settings=["BearerToken"],
            )
            response = self._client.call_api(
                *serialised, _request_timeout=(CONNECT_SECONDS, READ_SECONDS)
            )
            body: str = response.read().decode("utf-8", "replace")
        except (ApiException, urllib3.exceptions.HTTPError, OSError) as error:
            self._counted(request.method, NO_ANSWER)
            message = f"{request.method} {request.path}: {error}"
            raise Unavailable(message) from error
        self._counted(request.method, str(response.status))
        if not 200 <= response.status < 300:  # noqa: PLR2004
            raise error_of(response.status, body)
        return body

    def close(self) -> None:
        """Close the pooled connections."""
        self._client.close()
