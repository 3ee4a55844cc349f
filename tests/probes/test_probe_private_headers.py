"""Headers from the environment: sent to one server, and told nowhere."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from infertune_probes.contract.session import CouldNotRun
from infertune_probes.load.golden import GoldenUnreadable, parse_golden
from infertune_probes.load.options import Request
from infertune_probes.load.private_headers import struck_out, with_private
from tests.probes.running import Ran, Server, run_probe
from tests.probes.stub_server import CREDENTIAL

if TYPE_CHECKING:
    from pathlib import Path

BASE = Request("POST", "http://server:80/predict", (("authorization", "told"), ("X-A", "1")), b"")
VARIABLES = [("Authorization", "KEY")]
HERE = {**os.environ, "KEY": f"{CREDENTIAL}\n"}
LOAD = ("--rates", "50", "--seconds-per-rate", "0.4", "--warmup-seconds", "0")


def everything(ran: Ran, folder: Path) -> str:
    """Return all that a probe left behind, and all that it printed."""
    files = "".join(path.read_text() for path in folder.iterdir() if path.name != "golden.json")
    return ran.stdout + ran.stderr + files + ran.envelope.model_dump_json()


def test_a_server_that_wants_a_credential_gets_it_and_nobody_else_hears_of_it(
    server: Server, tmp_path: Path
) -> None:
    url = server.url("/keyed", "keyed")
    let_in = run_probe(
        tmp_path, "load", "--url", url, "--header-env", "Authorization=KEY", *LOAD, env=HERE
    )
    assert let_in.envelope.load is not None
    (level,) = let_in.envelope.load.levels
    assert (let_in.exit_code, level.errors, level.completed) == (0, {}, level.sent)
    assert "canary" not in everything(let_in, tmp_path)

    denied = run_probe(tmp_path, "load", "--url", url, *LOAD)
    assert denied.envelope.load is not None
    (level,) = denied.envelope.load.levels
    assert level.errors == {"status_401": level.sent}


def test_a_golden_answer_that_repeats_the_credential_is_not_quoted(
    server: Server, tmp_path: Path
) -> None:
    """The stub repeats all headers; the case expects another text where the credential stands."""
    cases = [
        {"name": "right", "request": {"body": {}}, "expected": {"label": "cat"}, "tolerance": 0},
        {"name": "echo", "request": {}, "tolerance": 0, "expected": {"headers": {
            "Authorization": "Bearer other"}}},
    ]  # fmt: skip
    golden = tmp_path / "golden.json"
    golden.write_text(json.dumps(cases))
    ran = run_probe(
        tmp_path, "load", "--url", server.url("/keyed", "golden-keyed"), "--golden", str(golden),
        "--golden-only", "--header-env", "Authorization=KEY", env=HERE,
    )  # fmt: skip
    assert ran.envelope.load is not None
    quality = ran.envelope.load.quality
    assert quality is not None
    assert [case.passed for case in quality.cases] == [True, False]
    assert quality.cases[1].reason == (
        "$.headers.Authorization: expected 'Bearer other', got '[from a Secret]'"
    )
    assert "canary" not in everything(ran, tmp_path)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        pytest.param(None, "has no value", id="missing"),
        pytest.param(" \n", "has no value", id="blank"),
        pytest.param("a\nb-canary", "a line break", id="two-lines"),
        pytest.param("sch\udcc3l-canary", "another letter", id="not-text"),
    ],
)
def test_an_unusable_value_is_told_without_the_value(value: str | None, why: str) -> None:
    environment = {} if value is None else {"KEY": value}
    with pytest.raises(CouldNotRun) as caught:
        with_private(BASE, VARIABLES, environment)
    finding = caught.value.finding
    assert (finding.code, finding.verdict) == ("HEADER_UNUSABLE", "unknown")
    assert finding.evidence.startswith("header Authorization ")
    assert why in finding.evidence
    assert "canary" not in repr(finding)


def test_a_header_without_a_value_sends_nothing(server: Server, tmp_path: Path) -> None:
    url = server.url("/keyed", "no-value")
    ran = run_probe(tmp_path, "load", "--url", url, "--header-env", "Authorization=NONE", *LOAD)
    assert (ran.exit_code, ran.codes) == (2, ["HEADER_UNUSABLE"])
    assert server.seen("no-value")["requests"] == 0


def test_a_private_header_wins_and_stands_in_no_description() -> None:
    request = with_private(BASE, VARIABLES, {"KEY": "Bearer canary\n"})
    assert request.all_headers == {"X-A": "1", "Authorization": "Bearer canary"}
    assert "canary" not in repr(request)


def test_a_golden_case_cannot_send_the_credential_elsewhere() -> None:
    case = {"name": "a", "request": {"path": "//elsewhere/x"}, "expected": 1, "tolerance": 0}
    text = json.dumps([case])
    request = with_private(BASE, VARIABLES, {"KEY": "canary"})
    with pytest.raises(GoldenUnreadable, match="case 0: its path leaves the server"):
        parse_golden(text, request)
    (free,) = parse_golden(text, BASE)
    assert free.request.url == "http://elsewhere/x"
    case["request"] = {"path": "/other"}
    (here,) = parse_golden(json.dumps([case]), request)
    assert here.request.all_headers["Authorization"] == "canary"


def test_words_too_short_to_be_a_secret_are_left() -> None:
    request = with_private(BASE, [("X-Tenant", "T"), ("A", "K")], {"T": "one", "K": "Basic abcdef"})
    assert struck_out(b"one abcdef Basic abcdef", request) == (
        b"one [from a Secret] [from a Secret]"
    )
