"""The load probe as a process, against a server whose misbehaviour is exact."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from infertune_probes.contract.histogram import merge, quantile_ms
from infertune_probes.contract.load import Envelope, parse_log, parse_summary
from tests.probes.running import Ran, Server, run_probe

if TYPE_CHECKING:
    from pathlib import Path

    from infertune_probes.contract.load_result import Level, LoadResult


def result_of(ran: Ran) -> LoadResult:
    assert ran.envelope.load is not None
    return ran.envelope.load


def short(*rates: int, seconds: float = 0.5) -> list[str]:
    return [
        *("--rates", ",".join(str(rate) for rate in rates)),
        *("--seconds-per-rate", str(seconds), "--warmup-seconds", "0.1"),
        *("--arrivals", "constant"),
    ]


def test_a_healthy_server_gives_a_ladder_of_levels(server: Server, tmp_path: Path) -> None:
    body = tmp_path / "body.json"
    body.write_text('{"x": [1, 2]}')
    url = server.url("/predict", "healthy")
    ran = run_probe(tmp_path, "load", "--url", url, "--body-file", str(body), *short(200, 100))
    result = result_of(ran)
    assert (ran.exit_code, ran.codes[0], result.method) == (0, "LOAD_MEASURED", "POST")
    assert [level.offered_rate for level in result.levels] == [100.0, 200.0]
    assert [level.sent for level in result.levels] == [50, 100]
    for level in result.levels:
        assert level.errors == {}
        assert level.achieved_rate == pytest.approx(level.offered_rate, rel=0.05)
        assert level.littles_ratio == pytest.approx(1.0, abs=0.1)
        assert level.latency is not None
        assert not level.latency.p99.censored
    assert server.seen("healthy")["requests"] == sum(
        level.sent + level.warmup_requests for level in result.levels
    )


def test_a_stall_of_half_a_second_shows_in_p99(server: Server, tmp_path: Path) -> None:
    """Coordinated omission: 100/s for 2 s, all who are meant to leave in 500 ms wait.

    About 50 of 200 requests are hit, with 500 ms falling to 0: some 30 exceed 200 ms and P99
    (the second slowest or so) is near 480 ms. A client that waits for answers would have seen one.
    """
    url = server.url("/stall", "stall")
    ran = run_probe(tmp_path, "load", "--url", url, *short(100, seconds=2.0))
    (level,) = result_of(ran).levels
    assert level.latency is not None
    assert 420.0 < level.latency.p99.value_ms < 650.0
    assert 24 <= level.exceeded <= 45


def test_a_timed_out_request_is_counted_never_dropped(server: Server, tmp_path: Path) -> None:
    """Every tenth request hangs: 10 % errors, and P95 is `at least the timeout`."""
    url = server.url("/hang", "hang")
    arguments = ["--url", url, "--timeout-seconds", "0.4", *short(100)]
    (level,) = result_of(run_probe(tmp_path, "load", *arguments)).levels
    assert level.sent == 50
    assert level.errors == {"timeout": 5}
    assert (level.completed, level.exceeded) == (45, 5)
    assert level.latency is not None
    assert (level.latency.p95.value_ms, level.latency.p95.censored) == (400.0, True)
    assert level.latencies_tenth_ms is not None
    assert level.latencies_tenth_ms.count(-1) == 5
    # N counts the hanging ones, X * R only those that came back.
    assert level.littles_ratio is not None
    assert level.littles_ratio > 1.1


def test_the_ladder_stops_climbing_after_a_clear_fail(server: Server, tmp_path: Path) -> None:
    url = server.url("/slow", "ladder")
    arguments = ["--url", url, "--slo-ms", "100", *short(40, 80, 160)]
    ran = run_probe(tmp_path, "load", *arguments)
    states = [(level.offered_rate, level.state) for level in result_of(ran).levels]
    assert states == [(40.0, "measured"), (80.0, "skipped"), (160.0, "skipped")]
    assert "LADDER_STOPPED" in ran.codes
    assert server.seen("ladder")["requests"] < 40


def test_errors_have_their_kind_and_an_answer_of_503_is_no_answer(
    server: Server, tmp_path: Path
) -> None:
    ran = run_probe(tmp_path, "load", "--url", server.url("/busy", "busy"), *short(40))
    (level,) = result_of(ran).levels
    assert (ran.exit_code, ran.codes[0]) == (1, "NOTHING_COMPLETED")
    assert (level.completed, level.achieved_rate, level.errors) == (0, 0.0, {"status_503": 20})


def test_nobody_at_the_door_is_a_named_failure(tmp_path: Path) -> None:
    ran = run_probe(tmp_path, "load", "--url", "http://127.0.0.1:9/", *short(20))
    (level,) = result_of(ran).levels
    assert (ran.exit_code, level.errors) == (1, {"connect": 10})


def golden_file(directory: Path, *, expected: object, tolerance: str = "0.05") -> str:
    path = directory / "golden.json"
    request = {"method": "POST", "path": "/predict?key=golden", "body": {"x": [1, 100]}}
    case = {"name": "doubles", "request": request, "expected": expected, "tolerance": tolerance}
    path.write_text(json.dumps([case]))
    return str(path)


def test_a_wrong_answer_refuses_the_load(server: Server, tmp_path: Path) -> None:
    """Expected 3, answered 2: off by 1/3, and no load request is ever sent."""
    golden = golden_file(tmp_path, expected={"scores": [3, 200]})
    url = server.url("/slow", "never-loaded")
    ran = run_probe(tmp_path, "load", "--url", url, "--golden", golden, *short(20))
    quality = result_of(ran).quality
    assert quality is not None
    assert (quality.passed, quality.total, quality.drop_percent) == (0, 1, 100.0)
    assert quality.worst_deviation == pytest.approx(1 / 3)
    assert "$.scores[0]" in str(quality.cases[0].reason)
    assert (ran.exit_code, ran.codes, result_of(ran).levels) == (1, ["QUALITY_FAILED"], ())
    assert server.seen("never-loaded")["requests"] == 0


def test_right_answers_alone_can_be_asked_for(server: Server, tmp_path: Path) -> None:
    """2 against 2.05 and 200 against 199: deviations 0.0244 and 0.005, tolerance 0.05."""
    golden = golden_file(tmp_path, expected={"scores": [2.05, 199], "label": "cat"})
    url = server.url("/slow", "golden-only")
    ran = run_probe(tmp_path, "load", "--url", url, "--golden", golden, "--golden-only")
    quality = result_of(ran).quality
    assert quality is not None
    assert quality.worst_deviation == pytest.approx(0.05 / 2.05)
    assert (ran.exit_code, ran.codes) == (0, ["QUALITY_PASSED"])
    assert server.seen("golden-only")["requests"] == 0


def test_an_unreadable_golden_file_is_not_a_pass(server: Server, tmp_path: Path) -> None:
    golden = tmp_path / "golden.json"
    golden.write_text('[{"name": "no answer"}]')
    url = server.url("/predict", "unreadable")
    ran = run_probe(tmp_path, "load", "--url", url, "--golden", str(golden), *short(20))
    assert (ran.exit_code, ran.codes) == (2, ["QUALITY_UNREADABLE"])
    assert "lacks expected, request, tolerance" in ran.envelope.findings[0].evidence
    assert server.seen("unreadable")["requests"] == 0


def test_start_up_is_timed_and_the_load_waits_for_it(server: Server, tmp_path: Path) -> None:
    ready = server.url("/readyz", "late").removeprefix(server.origin)
    url = server.url("/predict", "late-load")
    ran = run_probe(tmp_path, "load", "--url", url, "--wait-ready", ready, "5", *short(20))
    startup = result_of(ran).startup
    assert startup is not None
    assert 0.5 < startup.seconds < 2.0
    assert (startup.ready, ran.exit_code, len(result_of(ran).levels)) == (True, 0, 1)


def test_a_server_that_is_never_ready_is_a_typed_failure(server: Server, tmp_path: Path) -> None:
    url = server.url("/busy", "never-ready")
    ran = run_probe(tmp_path, "load", "--url", url, "--wait-ready", url, "0.3", *short(20))
    assert (ran.exit_code, ran.codes) == (1, ["NOT_READY"])
    assert result_of(ran).levels == ()


def test_connections_are_recycled_so_that_new_replicas_see_traffic(
    server: Server, tmp_path: Path
) -> None:
    """60 requests, mean life 5: about 12 connections; without recycling a handful."""
    for key, extra in (("kept", []), ("recycled", ["--requests-per-connection", "5"])):
        url = server.url("/predict", key)
        ran = run_probe(tmp_path, "load", "--url", url, *short(100, seconds=0.4), *extra)
        assert result_of(ran).levels[0].errors == {}
    assert server.seen("kept")["peers"] <= 4
    assert 7 <= server.seen("recycled")["peers"] <= 25


@pytest.mark.parametrize("cap", [("--max-requests", "30"), ("--max-seconds", "0.6")])
def test_hard_caps_end_the_run_and_say_so(
    server: Server, tmp_path: Path, cap: tuple[str, str]
) -> None:
    url = server.url("/predict", cap[0])
    ran = run_probe(tmp_path, "load", "--url", url, *cap, *short(50, 60, seconds=3))
    first, second = result_of(ran).levels
    assert (first.state, second.state) == ("capped", "skipped")
    assert "LOAD_CAPPED" in ran.codes
    assert 0 < first.sent + first.warmup_requests <= 31


def start(tmp_path: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "infertune_probes.load", *arguments]
    return subprocess.Popen(
        [*command, "--termination-log", str(tmp_path / "termination")],
        stdout=subprocess.PIPE,
        text=True,
    )


def stop(process: subprocess.Popen[str], tmp_path: Path) -> tuple[int, str, Envelope]:
    process.send_signal(signal.SIGTERM)
    stdout, _ = process.communicate(timeout=15)
    summary = parse_summary((tmp_path / "termination").read_text())
    return process.returncode, stdout, parse_log(stdout, summary.sha256)


def await_requests(server: Server, key: str, requests: int) -> None:
    """Wait until so many requests have arrived: how long a start takes says nothing."""
    ends = time.monotonic() + 20
    while server.seen(key)["requests"] < requests:
        assert time.monotonic() < ends, f"{server.seen(key)} after 20 s"
        time.sleep(0.05)


def test_sigterm_in_a_ladder_leaves_a_partial_envelope(server: Server, tmp_path: Path) -> None:
    url = server.url("/predict", "sigterm")
    process = start(tmp_path, "--url", url, *short(50, 60, seconds=20))
    await_requests(server, "sigterm", 50)
    code, _, envelope = stop(process, tmp_path)
    assert envelope.load is not None
    first, second = envelope.load.levels
    assert (code, envelope.partial, first.state, second.state) == (
        2,
        True,
        "interrupted",
        "skipped",
    )
    arrived = server.seen("sigterm")["requests"]
    assert 0 < first.sent <= arrived < 20 * 50, "told in the middle, and ended there"
    assert "INTERRUPTED" in [finding.code for finding in envelope.findings]


def test_steady_traffic_tells_every_window_and_ends_well(server: Server, tmp_path: Path) -> None:
    """SIGTERM is how steady traffic ends; merged windows give the quantile of them all."""
    url = server.url("/predict", "steady")
    steady = ["--rates", "50", "--duration", "0", "--warmup-seconds", "0"]
    live = ["--live-jsonl", "-", "--live-seconds", "0.5"]
    process = start(tmp_path, "--url", url, *steady, *live)
    await_requests(server, "steady", 75)
    code, stdout, envelope = stop(process, tmp_path)
    assert (code, envelope.partial) == (0, False)
    # On a machine that has no time for it the client says that it was late.
    assert envelope.verdict in {"pass", "warn"}
    assert envelope.load is not None
    level: Level = envelope.load.levels[0]
    assert (level.state, level.errors) == ("measured", {})

    windows = [json.loads(line) for line in stdout.splitlines() if line.startswith("{")]
    assert len(windows) >= 2
    assert {window["offeredRate"] for window in windows} == {50.0}
    merged = merge(dict(window["histogram"]) for window in windows)
    assert sum(merged.values()) == sum(window["completed"] for window in windows)
    assert sum(window["sent"] for window in windows) == level.sent
    assert windows[-1]["inFlight"] == 0
    assert quantile_ms(merged, 0.95) is not None


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["--rates", "10"], id="no-url"),
        pytest.param(["--url", "ftp://x/", "--rates", "10"], id="not-http"),
        pytest.param(["--url", "http://x/"], id="no-rates"),
        pytest.param(["--url", "http://x/", "--rates", "0"], id="rate-zero"),
        pytest.param(["--url", "http://x/", "--rates", "nan"], id="rate-nan"),
        pytest.param(
            ["--url", "http://x/", "--rates", "1,2", "--duration", "5"], id="steady-ladder"
        ),
        pytest.param(["--url", "http://x/", "--golden-only"], id="golden-only-without-golden"),
        pytest.param(
            ["--url", "http://x/", "--rates", "1", "--wait-ready", "/", "-3"], id="negative-wait"
        ),
    ],
)
def test_a_wrong_command_line_is_refused_at_once(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    from infertune_probes.load.options import parse

    with pytest.raises(SystemExit) as caught:
        parse(arguments)
    assert caught.value.code == 2
    assert "error:" in capsys.readouterr().err
