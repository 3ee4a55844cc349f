"""Whatever stands at the address that a tuning names: a typed answer, with the field and the fix.

Everything is real HTTP on loopback, asked by the real client; messages are compared whole.
"""

import gzip

import pytest

from infertune.adapters import prometheus_session
from infertune.adapters.prometheus_answers import without_credentials
from infertune.core.evidence import NoData
from tests.adapters.prometheus_site import (
    BASE,
    NOT_ONE,
    Answer,
    Server,
    asked,
    error,
    result,
)

SITES = [
    pytest.param(
        Answer(b"<h1>404</h1>", 404), "NotPrometheus", f"URL answers HTTP 404: {BASE}", id="404"
    ),
    pytest.param(Answer(b"<html>Sign in</html>"), "NotPrometheus", NOT_ONE, id="a login page"),
    pytest.param(Answer(b""), "NotPrometheus", NOT_ONE, id="an empty page"),
    pytest.param(Answer(b"[]"), "NotPrometheus", NOT_ONE, id="other JSON"),
    pytest.param(Answer(b'{"data":{"result":{}}}'), "NotPrometheus", NOT_ONE, id="no list"),
    pytest.param(Answer(b'{"data":{"result":[1]}}'), "NotPrometheus", NOT_ONE, id="a scalar"),
    pytest.param(Answer(b"[" * 100_000), "NotPrometheus", NOT_ONE, id="JSON without a bottom"),
    pytest.param(
        Answer(b'{"data":{"result":[{"metric":{},"value":[1,2]}]}}'),
        "NotPrometheus",
        NOT_ONE,
        id="a value that is no text",
    ),
    pytest.param(
        Answer(b"", 302, {"Location": "https://user:secret@sso.test/login?x=1"}),
        "NotPrometheus",
        "URL redirects to https://sso.test/login?x=1, and redirects are not followed: " + BASE,
        id="a redirect to a login",
    ),
    pytest.param(
        Answer(b"who are you", 401),
        "Unauthorized",
        "URL answers HTTP 401: it wants credentials that the operator lacks",
        id="credentials wanted",
    ),
    pytest.param(
        Answer(error("bad_data", "invalid parameter: parse error"), 400),
        "Invalid",
        "URL answers HTTP 400 (invalid parameter: parse error): correct histogram, matchLabels or "
        "errorPattern",
        id="an expression that cannot be read",
    ),
    pytest.param(
        Answer(b"AWS_SECRET=hunter2", 500),
        "Unavailable",
        "URL answers HTTP 500: it is asked again",
        id="a foreign body is never quoted",
    ),
    pytest.param(
        Answer(error("timeout", "query timed out"), 503),
        "Unavailable",
        "URL answers HTTP 503 (query timed out): it is asked again",
        id="overloaded",
    ),
    pytest.param(
        Answer(result(), headers={"Content-Encoding": "gzip"}),
        "Unavailable",
        None,
        id="no gzip though it says so",
    ),
    pytest.param(Answer(result(), length=10_000), "Unavailable", None, id="cut off half way"),
]


@pytest.mark.parametrize(("answer", "reason", "words"), SITES)
def test_what_is_no_prometheus_is_named(
    server: Server, answer: Answer, reason: str, words: str | None
) -> None:
    server.site = lambda _: answer
    found = asked(server.url)
    assert isinstance(found, NoData)
    assert found.reason == reason
    if words is not None:
        assert found.detail == words.replace("URL", server.url, 1)


def test_a_redirect_is_never_followed(server: Server) -> None:
    server.site = lambda text: Answer(b"", 307, {"Location": f"{server.url}/elsewhere"})
    asked(server.url)
    assert len(server.asked) == 1


def test_nobody_listens() -> None:
    assert asked("http://127.0.0.1:9") == NoData(
        "Unavailable",
        "http://127.0.0.1:9 cannot be reached ([Errno 111] Connection refused): correct "
        "prometheusURL or let the operator through",
    )


def test_tls_with_a_server_that_speaks_none(server: Server) -> None:
    found = asked(server.url.replace("http", "https"))
    assert isinstance(found, NoData)
    assert found.reason == "Untrusted"
    assert found.detail.startswith(f"{server.url.replace('http', 'https')}: TLS fails (")
    assert found.detail.endswith(": correct prometheusURL, or have its CA trusted")


def test_an_endless_answer_is_given_up(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """5 MB of spaces are 5 kB of gzip: the bound is on what is unpacked."""
    monkeypatch.setattr(prometheus_session.BoundedSession.__init__, "__defaults__", (1_000_000,))
    packed = gzip.compress(b" " * 5_000_000)
    server.site = lambda _: Answer(packed, headers={"Content-Encoding": "gzip"})
    assert asked(server.url) == NoData(
        "NotPrometheus", f"{server.url}: the answer is longer than 1000000 bytes: {BASE}"
    )


def test_credentials_of_a_url_are_never_shown() -> None:
    found = asked("http://user:hunter2@127.0.0.1:9")
    assert isinstance(found, NoData)
    assert "hunter2" not in found.detail
    assert without_credentials("https://u:p@h:1/x?y") == "https://h:1/x?y"
