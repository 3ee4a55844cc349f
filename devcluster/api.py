"""Questions to the API server and to health endpoints, with the standard library only.

Used for ready checks and status; objects are written with kubectl. A question that
gets no answer is None, because while a cluster starts that is an ordinary state.
"""

from __future__ import annotations

import json
import socket
import ssl
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from devcluster.settings import Settings

TIMEOUT_SECONDS = 3.0


def answers(url: str, context: ssl.SSLContext | None = None) -> bool:
    """Whether a URL answers 200; proxies of the environment are not asked."""
    return _body(url, context) is not None


def _body(url: str, context: ssl.SSLContext | None) -> bytes | None:
    handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
    if context:
        handlers.append(urllib.request.HTTPSHandler(context=context))
    opener = urllib.request.build_opener(*handlers)
    try:
        with opener.open(url, timeout=TIMEOUT_SECONDS) as answer:
            body: bytes = answer.read()
            return body
    except (urllib.error.URLError, OSError):
        return None


def unverified() -> ssl.SSLContext:
    """Return a context for health endpoints with a self-made certificate."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def get(settings: Settings, path: str) -> dict[str, Any] | None:
    """Return an API object as the administrator sees it; None when there is no answer."""
    body = get_raw(settings, path)
    if body is None:
        return None
    value: dict[str, Any] = json.loads(body)
    return value


def get_raw(settings: Settings, path: str) -> bytes | None:
    """Return the body of an API path; None when there is no answer."""
    if not (settings.pki / "admin.crt").exists():
        return None
    context = ssl.create_default_context(cafile=str(settings.pki / "ca.crt"))
    context.load_cert_chain(settings.pki / "admin.crt", settings.pki / "admin.key")
    return _body(settings.api_url + path, context)


def node_ready(settings: Settings, name: str) -> bool:
    """Whether a node says that it is Ready."""
    node = get(settings, f"/api/v1/nodes/{name}")
    conditions = node.get("status", {}).get("conditions", []) if node else []
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def listens(path: Path) -> bool:
    """Whether somebody accepts connections on a Unix socket."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(TIMEOUT_SECONDS)
        try:
            client.connect(str(path))
        except OSError:
            return False
    return True
