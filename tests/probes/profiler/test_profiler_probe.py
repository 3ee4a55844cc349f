"""The profiler as a process: what it says of traces, servers and models."""

import json
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from infertune_probes.contract.profiler_result import ProfilerResult
from infertune_probes.profiler.judgement import Facts, judge
from infertune_probes.profiler.reading import Reading, Shares, Waiting
from tests.probes.profiler.cuda_traces import GEMM, Script
from tests.probes.profiler.test_reading_cpu import TRACES
from tests.probes.running import Ran, run_probe

CARELESS = TRACES / "cpu-torch-2.15-careless-basic.json.gz"


def profiler_result(ran: Ran) -> ProfilerResult:
    assert isinstance(ran.envelope.result, ProfilerResult)
    return ran.envelope.result


def test_a_trace_that_is_there_is_read_and_nothing_is_captured(tmp_path: Path) -> None:
    ran = run_probe(tmp_path, "profiler", "--trace", str(CARELESS))
    result = profiler_result(ran)
    assert ran.exit_code == 0
    assert "PROFILE_READ" in ran.codes
    assert "AUTOGRAD_ON" in ran.codes
    assert (result.mode, result.source, result.calls) == ("basic", CARELESS.name, 2)
    assert [(table.name, table.ranked_by) for table in result.tables] == [
        ("kernels", "deviceTime"),
        ("operators", "deviceTime"),
        ("operators", "cpuTime"),
        ("memory", "size"),
        ("modules", "cpuTime"),
        ("stacks", "cpuTime"),
    ]
    software = ran.envelope.software
    assert software is not None
    assert software.source == "probes"


def test_a_gpu_trace_gives_a_typed_bound(tmp_path: Path) -> None:
    script = Script()
    script.inference(0, 100)
    for at in (10, 30, 50, 70):
        script.launch(at, (GEMM, at + 4, at + 9))
    script.trace(tmp_path)
    result = profiler_result(
        run_probe(tmp_path, "profiler", "--trace", str(tmp_path / "trace.json"))
    )
    assert (result.bound, result.on_device, result.device) == (
        "launch",
        True,
        "NVIDIA H100 80GB HBM3",
    )
    assert result.busy_share == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"\x1f\x8b\x08", "end-of-stream"), (b"{}", "not a Chrome trace")],
    ids=["truncated gzip", "another document"],
)
def test_a_trace_that_cannot_be_read_is_unknown(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "bad.json").write_bytes(content)
    ran = run_probe(tmp_path, "profiler", "--trace", str(tmp_path / "bad.json"))
    (finding,) = ran.envelope.findings
    assert (ran.exit_code, finding.code, finding.verdict) == (2, "TRACE_UNREADABLE", "unknown")
    assert words in finding.evidence


def test_more_steps_than_a_trace_should_hold_are_refused(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="50 must be from 1 to 10"):
        run_probe(tmp_path, "profiler", "--entry", "a:b", "--active", "50")


class ProfilingServer(ThreadingHTTPServer):
    """Offers /start_profile and /stop_profile as vLLM and SGLang do, and `/infer`."""

    folder: Path
    offers = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.asked: list[tuple[str, Any]] = []

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Answers(BaseHTTPRequestHandler):
    server: ProfilingServer

    def do_POST(self) -> None:  # the library's name
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.asked.append((self.path, json.loads(body) if body else None))
        known = self.server.offers or not self.path.endswith("_profile")
        if self.path == "/stop_profile":
            shutil.copyfile(CARELESS, self.server.folder / "rank0.pt.trace.json.gz")
            (self.server.folder / "rank1.pt.trace.json").write_text('{"traceEvents": []}')
        self.send_response(200 if known else 404)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the library's name
        pass


@pytest.fixture
def profiling(tmp_path: Path) -> Iterator[ProfilingServer]:
    with ProfilingServer() as server:
        server.folder = tmp_path / "traces"
        server.folder.mkdir()
        shutil.copyfile(CARELESS, server.folder / "of-yesterday.json.gz")
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def captured(profiling: ProfilingServer, folder: Path, *more: str) -> Ran:
    where = ("--server", profiling.origin, "--trace-dir", str(profiling.folder))
    return run_probe(folder, "profiler", *where, "--deadline-seconds", "20", *more)


def test_a_server_is_asked_to_start_fed_and_asked_to_stop(
    profiling: ProfilingServer, tmp_path: Path
) -> None:
    body = tmp_path / "body.json"
    body.write_text('{"prompt": "hello"}')
    more = ("--body", str(body), "--path", "/infer", "--warmup", "1", "--active", "2")
    ran = captured(profiling, tmp_path, *more, "--artifacts", str(tmp_path / "kept"))
    assert profiling.asked == [
        ("/start_profile", {"output_dir": str(profiling.folder)}),
        *[("/infer", {"prompt": "hello"})] * 3,
        ("/stop_profile", None),
    ]
    result = profiler_result(ran)
    # Of two new traces the one with work in it; the one of yesterday is not ours.
    assert result.calls == 2
    assert result.source == f"{profiling.origin} (3 requests to /infer)"
    (artifact,) = ran.envelope.artifacts
    assert artifact.name == "rank0.pt.trace.json.gz"
    assert Path(artifact.uri).read_bytes() == CARELESS.read_bytes()


def test_a_server_with_traffic_of_its_own_is_only_watched(
    profiling: ProfilingServer, tmp_path: Path
) -> None:
    ran = captured(profiling, tmp_path, "--seconds", "0.1")
    assert [path for path, _ in profiling.asked] == ["/start_profile", "/stop_profile"]
    assert profiler_result(ran).source == f"{profiling.origin} (0.1 s of its own traffic)"


def test_a_server_that_does_not_profile_is_unknown(
    profiling: ProfilingServer, tmp_path: Path
) -> None:
    profiling.offers = False
    ran = captured(profiling, tmp_path, "--seconds", "0.1")
    (finding,) = ran.envelope.findings
    assert (ran.exit_code, finding.code) == (2, "PROFILE_SERVER_SILENT")
    assert finding.evidence.endswith("/start_profile: HTTP 404")


def test_a_body_that_fails_still_stops_the_profiling(
    profiling: ProfilingServer, tmp_path: Path
) -> None:
    ran = captured(profiling, tmp_path, "--body", str(tmp_path / "nothing.json"))
    assert ran.exit_code == 2
    assert profiling.asked[-1] == ("/stop_profile", None)


def test_a_server_without_a_shared_folder_is_told_so(tmp_path: Path) -> None:
    ran = run_probe(tmp_path, "profiler", "--server", "http://127.0.0.1:1")
    assert ran.codes == ["PROFILE_NOT_CAPTURED"]


def reading(**changes: Any) -> Reading:
    shares = Shares(0.9, 0.05, 0.03, 0.02)
    known: dict[str, Any] = {
        "window_us": 1000.0,
        "calls": 5,
        "on_device": True,
        "shares": shares,
        "bound": "compute",
        "confidence": "high",
        "why": "full products",
        "autograd": "off",
        "data_wait_share": 0.0,
    }
    return Reading(**{**known, **changes})


@pytest.mark.parametrize(
    ("changes", "facts", "found"),
    [
        ({}, {}, {"COMPUTE_BOUND": "pass"}),
        ({"bound": "unknown"}, {}, {"BOUND_UNKNOWN": "unknown"}),
        ({"bound": "launch"}, {}, {"LAUNCH_BOUND": "warn"}),
        ({"bound": "idle"}, {}, {"DEVICE_IDLE": "warn"}),
        ({"autograd": "on"}, {}, {"COMPUTE_BOUND": "pass", "AUTOGRAD_ON": "warn"}),
        ({}, {"outputs_need_grad": True}, {"COMPUTE_BOUND": "pass", "AUTOGRAD_ON": "warn"}),
        ({}, {"in_training": ("Dropout",)}, {"COMPUTE_BOUND": "pass", "TRAINING_MODE": "warn"}),
        ({"precisions": {"fp32": 0.6}}, {}, {"COMPUTE_BOUND": "pass", "FULL_PRECISION": "warn"}),
        ({"precisions": {"tf32": 1.0}}, {}, {"COMPUTE_BOUND": "pass"}),
        ({"precisions": {"fp32": 1.0}, "on_device": False}, {}, {"COMPUTE_BOUND": "pass"}),
        ({"data_wait_share": 0.06}, {}, {"COMPUTE_BOUND": "pass", "DATA_WAIT": "warn"}),
        (
            {"synchronisations": (Waiting("aten::item", 5, 60.0),)},
            {},
            {"COMPUTE_BOUND": "pass", "SYNCHRONISES": "warn"},
        ),
        (
            {"synchronisations": (Waiting("aten::item", 5, 40.0),)},
            {},
            {"COMPUTE_BOUND": "pass"},
        ),
    ],
)
def test_each_reading_has_its_findings(
    changes: dict[str, Any], facts: dict[str, Any], found: dict[str, str]
) -> None:
    findings = judge(reading(**changes), Facts("basic", "a:b", **facts))
    assert {one.code: one.verdict for one in findings} == {"PROFILE_READ": "pass", **found}
