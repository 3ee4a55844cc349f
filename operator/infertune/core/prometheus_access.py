"""Which Prometheus a tuning may make the operator ask, and which address never.

Role: rules of the installation against the URL of a spec, and against the address that a name
turned out to have. Must not know: sockets, names' addresses, credentials. Trade-off: without rules
of its own an installation allows the names of Services and nothing else, since a request by the
operator passes where its author could not go; whoever has Prometheus elsewhere names it once.
"""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import SplitResult, urlsplit

_FIX = (
    "name a Service such as http://prometheus.monitoring:9090, or have it added to the chart's "
    "prometheus.allowedURLs"
)
_DEFAULT_PORTS = {"http": 80, "https": 443}
_SERVICE = re.compile(r"^[a-z0-9-]+(\.[a-z0-9-]+)?$|^[a-z0-9-]+\.[a-z0-9-]+\.svc(\.[a-z0-9.-]+)?$")
_ANY_PORT = re.compile(r":\*(/|$)")
_LOOPBACK_NAME = "localhost"
# Where clouds hand out credentials to whoever asks; no rule opens them.
_NEVER = tuple(
    map(
        ip_network,
        (
            "169.254.0.0/16",
            "fe80::/10",
            "fd00:ec2::254/128",
            "100.100.100.200/32",
            "168.63.129.16/32",
            "192.0.0.192/32",
            "0.0.0.0/32",
            "::/128",
            "224.0.0.0/4",
            "ff00::/8",
        ),
    )
)

Address = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class UrlPattern:
    """Scheme, host, port and the beginning of the path.

    A ``*`` in the host is any text, port 0 any port.
    """

    scheme: str
    host: str
    port: int
    path: str

    def fits(self, parts: SplitResult) -> bool:
        """Return whether a URL is one of these."""
        host = ".*".join(map(re.escape, self.host.split("*")))
        path = parts.path.rstrip("/")
        return (
            parts.scheme == self.scheme
            and self.port in {0, port_of(parts)}
            and re.fullmatch(host, (parts.hostname or "").lower()) is not None
            and (path == self.path or path.startswith(f"{self.path}/"))
        )


@dataclass(frozen=True, slots=True)
class AccessRules:
    """What an installation allows: what its patterns name, and Services of the cluster or not."""

    patterns: tuple[UrlPattern, ...] = ()
    services: bool = True

    def names(self, url: str) -> bool:
        """Return whether a pattern names this URL."""
        parts = split(url)
        return parts is not None and any(pattern.fits(parts) for pattern in self.patterns)


def pattern_of(text: str) -> UrlPattern:
    """Return the pattern that a text stands for.

    Raises:
        ValueError: it is no URL with scheme and host; the message says what is missing.
    """
    any_port = _ANY_PORT.search(text.strip())
    parts = split(_ANY_PORT.sub(r"\1", text.strip()))
    if parts is None or parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        message = f"{text!r} is no URL such as https://prometheus.example.com:9090/team"
        raise ValueError(message)
    if parts.username or parts.query or parts.fragment:
        message = f"{text!r} holds more than scheme, host, port and path: remove it"
        raise ValueError(message)
    port = 0 if any_port else port_of(parts)
    return UrlPattern(parts.scheme, parts.hostname, port, parts.path.rstrip("/"))


def url_refusal(url: str, rules: AccessRules) -> str | None:
    """Return why this URL is not asked, with the fix, or None when it may be."""
    parts = split(url)
    if parts is None or not parts.hostname or parts.username:
        return f"prometheusURL {shown(url)} cannot be used: {_FIX}"
    address = literal_address(parts.hostname)
    if address is not None and any(address in network for network in _NEVER):
        return (
            f"prometheusURL {shown(url)} is a link-local or metadata address, never asked: {_FIX}"
        )
    if rules.names(url):
        return None
    if not rules.services:
        return f"prometheusURL {shown(url)} is not on this installation's allow-list: {_FIX}"
    if address is not None or not _SERVICE.match(parts.hostname) or _is_loopback_name(parts):
        return f"prometheusURL {shown(url)} does not name a Service of the cluster: {_FIX}"
    return None


def address_refusal(host: str, text: str, *, named: bool) -> str | None:
    """Return why this address, which a host's name led to, is not asked; None when it may be.

    ``named`` says that a rule of the installation names the URL: then only addresses that are
    never asked stay closed.
    """
    address = literal_address(text)
    if address is None:
        return f"{host} leads to {text!r}, which is no address"
    if any(address in network for network in _NEVER):
        return f"{host} leads to {text}, a link-local or metadata address, which is never asked"
    if not named and (address.is_global or address.is_loopback):
        return f"{host} leads to {text}, which is not in the cluster: {_FIX}"
    return None


def shown(url: str) -> str:
    """Return a URL fit to be shown: without user, password and query."""
    parts = split(url)
    if parts is None or not parts.hostname:
        return "(no URL)"
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    port = f":{parts.port}" if parts.port is not None else ""
    return f"{parts.scheme}://{host}{port}{parts.path}"


def split(url: str) -> SplitResult | None:
    """Return the parts of a URL, or None when it has none."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts


def port_of(parts: SplitResult) -> int:
    """Return the port, given or by scheme; 0 for a scheme that has none."""
    return parts.port or _DEFAULT_PORTS.get(parts.scheme, 0)


def literal_address(text: str) -> Address | None:
    """Return the address that a text spells, an IPv4 one within IPv6 as itself, or None.

    A number such as 2852039166 or 0xa9fea9fe spells an IPv4 address for a resolver as well.
    """
    try:
        if re.fullmatch(r"\d+|0x[0-9a-f]+", text, re.IGNORECASE):
            return ip_address(int(text, 0) if not text.startswith("0") or "x" in text else 0)
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return mapped or found


def _is_loopback_name(parts: SplitResult) -> bool:
    return parts.hostname == _LOOPBACK_NAME
