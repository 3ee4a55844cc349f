"""Credentials for registries from a docker config file.

Role: find the entry of one registry in ``auths``, as `docker login` and image pull Secrets write
it. Must not know: how a registry is asked. Trade-off: credential helpers are programs of the user's
machine and are not run; the error of a refused registry names the helper instead.
"""

import base64
import binascii
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

# Under this name docker keeps the credentials of Docker Hub.
_HUB = "https://index.docker.io/v1/"


@dataclass(frozen=True, slots=True)
class Credentials:
    """User and password; ``repr`` tells neither."""

    user: str
    password: str

    def __repr__(self) -> str:
        return "Credentials(...)"


@dataclass(frozen=True, slots=True)
class Login:
    """What a config file has for one registry: credentials, or the helper that keeps them."""

    credentials: Credentials | None = None
    helper: str | None = None


class UnreadableConfig(Exception):
    """The file is there and is no docker config; the message names it."""


def default_path(environment: Mapping[str, str] = os.environ) -> Path:
    """Return where docker keeps its config: $DOCKER_CONFIG, else ~/.docker."""
    folder = environment.get("DOCKER_CONFIG")
    return Path(folder or Path.home() / ".docker") / "config.json"


def login_for(registry: str, path: Path) -> Login:
    """Return the login for a registry such as "docker.io"; empty where the file has none.

    Raises:
        UnreadableConfig: the file is there and cannot be read as a docker config.
    """
    if not path.exists():
        return Login()
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        msg = f"{path}: no docker config: {error}"
        raise UnreadableConfig(msg) from error
    if not isinstance(document, dict):
        msg = f"{path}: no docker config: the document is no object"
        raise UnreadableConfig(msg)
    auths = document.get("auths")
    names = _names(registry)
    entry = next((auths[n] for n in names if n in auths), None) if isinstance(auths, dict) else None
    credentials = _credentials(entry)
    helpers = document.get("credHelpers")
    own = helpers.get(registry) if isinstance(helpers, dict) else None
    return Login(credentials, None if credentials else own or document.get("credsStore"))


def _names(registry: str) -> tuple[str, ...]:
    hub = (_HUB, "index.docker.io") if registry == "docker.io" else ()
    return (
        *hub,
        registry,
        f"https://{registry}",
        f"https://{registry}/v1/",
        f"https://{registry}/v2/",
    )


def _credentials(entry: object) -> Credentials | None:
    if not isinstance(entry, dict):
        return None
    user, password = entry.get("username"), entry.get("password")
    if isinstance(user, str) and isinstance(password, str):
        return Credentials(user, password)
    try:
        text = base64.b64decode(str(entry.get("auth") or ""), validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        return None
    user, colon, password = text.partition(":")
    return Credentials(user, password) if colon else None
