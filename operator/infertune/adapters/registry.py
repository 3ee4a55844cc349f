"""Reads an image's config from its registry, without pulling the image.

Role: manifest, index and config blob by the OCI distribution API, with an anonymous or a bearer
token or a password. Must not know: what the config is read for. Trade-off: only the config is
fetched, a few kilobytes; what lies in the layers alone (a torch that no variable names) stays
unknown. Answers are bounded and a blob must have the digest that the manifest names.
"""

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

import requests

from infertune.adapters.docker_config import Credentials
from infertune.core.image_facts import DEFAULT_REGISTRY, ImageConfig, ImageReference

TIMEOUT_SECONDS = (5.0, 15.0)
# The specification lets a registry refuse manifests above 4 MiB; configs are far smaller.
_MOST_BYTES = 4 * 1024 * 1024
_DEEPEST = 3
_INDEXES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_ACCEPT = ", ".join((*_INDEXES, *_MANIFESTS))
_PARAMETER = re.compile(r'(\w+)="([^"]*)"')
_UNAUTHORIZED = (401, 403)


class Unreadable(Exception):
    """The config cannot be had; the message says why, for people."""


class Registry:
    """One registry, asked for images of one platform such as ``linux/amd64``."""

    def __init__(
        self,
        host: str,
        credentials: Credentials | None = None,
        *,
        plain_http: bool = False,
        platform: str = "linux/amd64",
    ) -> None:
        self._host = host
        self._scheme = "http" if plain_http or is_loopback(host) else "https"
        self._credentials = credentials
        self._platform = platform
        self._session = requests.Session()
        # An own rule of authorization, so that no .netrc of this machine is sent anywhere.
        self._session.auth = _as_it_is
        self._authorization: str | None = None

    def config_of(self, reference: ImageReference) -> ImageConfig:
        """Return variables and labels of an image's config.

        Raises:
            Unreadable: no answer, no such image, no right to it, or an answer that is no image.
        """
        manifest = self._manifest(reference, reference.version, _DEEPEST)
        digest = str(_part(manifest, "config").get("digest", ""))
        blob = self._get(reference, f"blobs/{digest}", "*/*")
        if digest != f"sha256:{hashlib.sha256(blob).hexdigest()}":
            msg = f"{self._host}: the config is not what its digest {digest or '(none)'} names"
            raise Unreadable(msg)
        config = _part(self._document(blob), "config")
        env = config.get("Env")
        words = [str(word).partition("=") for word in env] if isinstance(env, list) else []
        labels = config.get("Labels")
        return ImageConfig(
            env={name: value for name, _, value in words},
            labels={str(k): str(v) for k, v in labels.items()} if isinstance(labels, dict) else {},
        )

    def _manifest(self, reference: ImageReference, version: str, deep: int) -> dict[str, Any]:
        """Return the manifest, the platform's own where an index lists several."""
        document = self._document(self._get(reference, f"manifests/{version}", _ACCEPT))
        if "manifests" not in document:
            return document
        chosen = self._chosen(document["manifests"])
        if chosen is None or deep == 0:
            msg = f"{self._host}/{reference.repository}:{version} has no image for {self._platform}"
            raise Unreadable(msg)
        return self._manifest(reference, chosen, deep - 1)

    def _chosen(self, entries: object) -> str | None:
        for entry in entries if isinstance(entries, list) else []:
            platform = _part(entry, "platform") if isinstance(entry, dict) else {}
            if f"{platform.get('os')}/{platform.get('architecture')}" == self._platform:
                return str(entry.get("digest"))
        return None

    def _get(self, reference: ImageReference, path: str, accept: str) -> bytes:
        url = f"{self._scheme}://{_host_of_api(self._host)}/v2/{reference.repository}/{path}"
        status, headers, body = self._ask(url, accept)
        if status == _UNAUTHORIZED[0] and self._authorization is None:
            self._authorization = self._authorize(headers, reference)
            status, headers, body = self._ask(url, accept)
        if status in _UNAUTHORIZED:
            whom = "these credentials" if self._credentials else "anybody without credentials"
            msg = f"{self._host} does not show {reference.repository} to {whom} ({status})"
            raise Unreadable(msg)
        if status != requests.codes.ok:
            msg = f"{self._host} answers {status} for {reference.repository} {path}"
            raise Unreadable(msg)
        return body

    def _ask(self, url: str, accept: str) -> tuple[int, Mapping[str, str], bytes]:
        headers = {"Accept": accept}
        if self._authorization is not None:
            headers["Authorization"] = self._authorization
        return self._bounded(url, headers, {})

    def _bounded(
        self, url: str, headers: Mapping[str, str], params: Mapping[str, str]
    ) -> tuple[int, Mapping[str, str], bytes]:
        try:
            with self._session.get(
                url,
                headers=dict(headers),
                params=dict(params),
                timeout=TIMEOUT_SECONDS,
                stream=True,
            ) as answer:
                body = b"".join(_chunks(answer))
                return answer.status_code, answer.headers, body
        except requests.RequestException as error:
            msg = f"{self._host} cannot be asked: {_sentence(error)}"
            raise Unreadable(msg) from error

    def _authorize(self, headers: Mapping[str, str], reference: ImageReference) -> str | None:
        """Return what the registry wants to see: a token of its realm, or the password itself."""
        challenge = headers.get("WWW-Authenticate", "")
        kind = challenge.partition(" ")[0].lower()
        if kind == "basic":
            return _basic(self._credentials) if self._credentials else None
        asked = dict(_PARAMETER.findall(challenge))
        realm = asked.get("realm", "")
        if kind != "bearer" or not realm.startswith(("https://", f"{self._scheme}://")):
            msg = f"{self._host} asks for an authorization that is not known: {challenge[:120]!r}"
            raise Unreadable(msg)
        params = {"scope": asked.get("scope") or f"repository:{reference.repository}:pull"}
        if "service" in asked:
            params["service"] = asked["service"]
        own = {"Authorization": _basic(self._credentials)} if self._credentials else {}
        status, _, body = self._bounded(realm, own, params)
        if status != requests.codes.ok:
            msg = f"{self._host}: its token service answers {status}"
            raise Unreadable(msg)
        document = self._document(body)
        return f"Bearer {document.get('token') or document.get('access_token')}"

    def _document(self, body: bytes) -> dict[str, Any]:
        try:
            document = json.loads(body)
        except ValueError as error:
            msg = f"{self._host} answers with something that is not JSON"
            raise Unreadable(msg) from error
        if not isinstance(document, dict):
            msg = f"{self._host} answers with JSON that is no object"
            raise Unreadable(msg)
        return document


def is_loopback(host: str) -> bool:
    """Return whether a registry is on this machine: those speak plain HTTP by convention."""
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    return name in {"localhost", "[::1]"} or name.startswith("127.")


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _host_of_api(host: str) -> str:
    return "registry-1.docker.io" if host == DEFAULT_REGISTRY else host


def _part(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = document.get(name)
    return part if isinstance(part, Mapping) else {}


def _basic(credentials: Credentials) -> str:
    word = f"{credentials.user}:{credentials.password}".encode()
    return f"Basic {base64.b64encode(word).decode('ascii')}"


def _chunks(answer: requests.Response) -> list[bytes]:
    found, size = [], 0
    for chunk in answer.iter_content(65_536):
        size += len(chunk)
        if size > _MOST_BYTES:
            msg = f"the answer is longer than {_MOST_BYTES} bytes"
            raise requests.RequestException(msg)
        found.append(chunk)
    return found


def _sentence(error: requests.RequestException) -> str:
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    if isinstance(error, requests.ConnectionError):
        return "no connection"
    return str(error)
