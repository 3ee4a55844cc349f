"""What the operator may say to which Prometheus.

Role: the installation's rules and the credentials that an administrator mounted, by URL. Must not
know: queries, tunings. Trade-off: credentials belong to a URL of the installation and not to a
tuning: whoever writes a tuning could send any Secret that it may name to any URL that it may name.
They are read from mounted files each time, so that a rotated one counts at once, and never shown.
"""

import base64
from dataclasses import dataclass
from pathlib import Path

from infertune.core.prometheus_access import AccessRules, UrlPattern, address_refusal, split

SERVICES_ONLY = AccessRules()
_FILES = ("token", "username", "password")


@dataclass(frozen=True, slots=True, repr=False)
class Credential:
    """A mounted Secret and the URLs that it is for."""

    pattern: UrlPattern
    folder: Path


@dataclass(frozen=True, slots=True)
class PrometheusAccess:
    """Rules and credentials; without either, Services of the cluster, asked without a name."""

    rules: AccessRules = SERVICES_ONLY
    credentials: tuple[Credential, ...] = ()

    def authorization(self, url: str) -> str | None:
        """Return the Authorization header for a URL, or None; the first credential that fits."""
        parts = split(url)
        for one in self.credentials:
            if parts is not None and one.pattern.fits(parts):
                return authorization_in(one.folder)
        return None

    def address_refusal(self, url: str, host: str, address: str) -> str | None:
        """Return why the address that a URL's host led to is not asked, or None."""
        return address_refusal(host, address, named=self.rules.names(url))


def authorization_in(folder: Path) -> str | None:
    """Return the header that the files of a mounted Secret give; None when they give none."""
    token, username, password = (_text(folder / name) for name in _FILES)
    if token:
        return f"Bearer {token}"
    if username and password is not None:
        return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()
    return None


def _text(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except OSError:
        return None
