"""Whom a tuning may make the operator ask: by URL, and by the address that the URL led to."""

import pytest

from infertune.core.prometheus_access import (
    AccessRules,
    address_refusal,
    pattern_of,
    shown,
    url_refusal,
)

SERVICES = AccessRules()
LISTED = AccessRules(
    (
        pattern_of("https://prometheus.example.com/team-a"),
        pattern_of("http://*.monitoring.svc:9090"),
        pattern_of("http://127.0.0.1:*"),
    ),
    services=False,
)


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("http://prometheus:9090", id="a Service beside the operator"),
        pytest.param("http://prometheus.monitoring:9090", id="a Service of a namespace"),
        pytest.param("http://prometheus.monitoring.svc", id="the same with svc"),
        pytest.param("https://p.monitoring.svc.cluster.local/base/", id="its full name"),
    ],
)
def test_services_may_be_asked_where_nothing_else_is_said(url: str) -> None:
    assert url_refusal(url, SERVICES) is None


@pytest.mark.parametrize(
    ("url", "words"),
    [
        pytest.param("http://10.1.2.3:9090", "does not name a Service", id="an address"),
        pytest.param("http://metadata.google.internal", "does not name a Service", id="metadata"),
        pytest.param("http://prometheus.example.com", "does not name a Service", id="a domain"),
        pytest.param("http://localhost:9090", "does not name a Service", id="the operator itself"),
        pytest.param("http://[::1]:9090", "does not name a Service", id="itself by address"),
        pytest.param("http://169.254.169.254/", "metadata address", id="cloud metadata"),
        pytest.param("http://2852039166/", "metadata address", id="spelled as one number"),
        pytest.param("http://0xa9fea9fe/", "metadata address", id="spelled in hex"),
        pytest.param("http://[::ffff:169.254.169.254]/", "metadata address", id="within IPv6"),
        pytest.param("http://[fd00:ec2::254]/", "metadata address", id="metadata by IPv6"),
        pytest.param("http://user:secret@prometheus:9090", "cannot be used", id="with a password"),
        pytest.param("http://prometheus:99999", "cannot be used", id="no port"),
        pytest.param("http://[", "cannot be used", id="no URL at all"),
    ],
)
def test_everything_else_is_refused_with_field_value_and_fix(url: str, words: str) -> None:
    told = url_refusal(url, SERVICES)
    assert told is not None
    assert words in told
    assert told.startswith("prometheusURL ")
    assert "prometheus.allowedURLs" in told
    assert "secret" not in told


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        pytest.param("https://prometheus.example.com/team-a", True, id="what is listed"),
        pytest.param("https://prometheus.example.com:443/team-a/", True, id="spelled out"),
        pytest.param("https://PROMETHEUS.example.com/team-a/api", True, id="below it"),
        pytest.param("https://prometheus.example.com/team-ab", False, id="a longer name"),
        pytest.param("https://prometheus.example.com/", False, id="above it"),
        pytest.param("http://prometheus.example.com/team-a", False, id="without TLS"),
        pytest.param("https://prometheus.example.com:8443/team-a", False, id="another port"),
        pytest.param("https://prometheus.example.com.evil.com/team-a", False, id="a longer host"),
        pytest.param("http://a.monitoring.svc:9090", True, id="a wildcard"),
        pytest.param("http://monitoring.svc:9090", False, id="nothing for the wildcard"),
        pytest.param("http://127.0.0.1:12345", True, id="any port"),
        pytest.param("http://prometheus.monitoring:9090", False, id="a Service that is not listed"),
    ],
)
def test_a_list_allows_what_it_names_and_nothing_else(url: str, allowed: bool) -> None:
    assert (url_refusal(url, LISTED) is None) is allowed


def test_no_list_opens_the_metadata_address() -> None:
    everything = AccessRules((pattern_of("http://*:*"),))
    assert url_refusal("http://anything.example.com:1234/x", everything) is None
    assert url_refusal("http://169.254.169.254", everything) is not None


@pytest.mark.parametrize(
    ("address", "named", "refused"),
    [
        pytest.param("10.0.0.10", False, False, id="a Service"),
        pytest.param("fd12::1", False, False, id="a Service by IPv6"),
        pytest.param("8.8.8.8", False, True, id="a two-label name that is a domain after all"),
        pytest.param("8.8.8.8", True, False, id="outside, but named"),
        pytest.param("127.0.0.1", False, True, id="the operator itself"),
        pytest.param("127.0.0.1", True, False, id="the operator's machine, named"),
        pytest.param("169.254.169.254", True, True, id="a name that leads to metadata"),
        pytest.param("::ffff:169.254.169.254", True, True, id="the same within IPv6"),
        pytest.param("not an address", True, True, id="nothing known"),
    ],
)
def test_where_a_name_leads_counts_too(address: str, named: bool, refused: bool) -> None:
    assert (address_refusal("host", address, named=named) is not None) is refused


@pytest.mark.parametrize("text", ["prometheus", "ftp://x", "http://", "http://u@x", "http://x?q=1"])
def test_a_pattern_that_is_none_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="http"):
        pattern_of(text)


def test_what_is_shown_holds_no_secret() -> None:
    assert shown("http://user:secret@host:9090/base?token=secret#x") == "http://host:9090/base"
    assert shown("http://[fd12::1]:9090/base") == "http://[fd12::1]:9090/base"
