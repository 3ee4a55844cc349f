"""One run of a probe: an envelope whatever happens."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from infertune_probes.contract.emit import Sinks
from infertune_probes.contract.envelope import Finding
from infertune_probes.contract.load import Envelope, parse_envelope
from infertune_probes.contract.session import CouldNotRun, ProbeSession

if TYPE_CHECKING:
    from pathlib import Path


def run(directory: Path, ending: BaseException | Finding) -> tuple[int, Envelope]:
    output = directory / "envelope.json"
    with ProbeSession("system", Sinks(str(output), str(directory / "termination"))) as session:
        if isinstance(ending, Finding):
            session.findings.append(ending)
        else:
            raise ending
    return session.exit_code, parse_envelope(output.read_bytes())


@pytest.mark.parametrize(
    ("verdict", "code"), [("pass", 0), ("warn", 0), ("unknown", 0), ("fail", 1)]
)
def test_the_exit_code_follows_the_worst_verdict(tmp_path: Path, verdict: str, code: int) -> None:
    exit_code, envelope = run(tmp_path, Finding("SEEN", verdict, "so"))  # type: ignore[arg-type]
    assert (exit_code, envelope.verdict, envelope.partial) == (code, verdict, False)


def test_a_crash_is_a_finding_and_its_traceback_is_in_the_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, envelope = run(tmp_path, ZeroDivisionError("by zero"))
    (finding,) = envelope.findings
    assert (code, envelope.partial) == (2, True)
    assert (finding.code, finding.evidence) == ("PROBE_CRASHED", "ZeroDivisionError: by zero")
    assert "Traceback" in capsys.readouterr().err


def test_what_cannot_run_says_why_and_is_not_partial(tmp_path: Path) -> None:
    code, envelope = run(tmp_path, CouldNotRun(Finding("NUMPY_MISSING", "unknown", "no numpy")))
    assert (code, envelope.partial) == (2, False)
    assert [finding.code for finding in envelope.findings] == ["NUMPY_MISSING"]


def test_the_node_and_image_come_from_the_pod(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NODE_NAME", "node-7")
    monkeypatch.setenv("INFERTUNE_POD_UID", "11-22")
    monkeypatch.setenv("INFERTUNE_IMAGE", "registry.example/probes:1")
    monkeypatch.delenv("INFERTUNE_IMAGE_DIGEST", raising=False)
    _, envelope = run(tmp_path, Finding("SEEN", "pass", "so"))
    assert envelope.image is not None
    assert envelope.pod == "11-22"
    assert (envelope.node, envelope.image.reference, envelope.image.digest) == (
        "node-7",
        "registry.example/probes:1",
        None,
    )


def test_the_signal_handlers_of_the_caller_come_back(tmp_path: Path) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    run(tmp_path, Finding("SEEN", "pass", "so"))
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before


def run_late(directory: Path, block: str) -> tuple[int, Envelope, float]:
    """Run a probe with a deadline of half a second whose block holds the given statement."""
    output = directory / "envelope.json"
    program = f"""
import ctypes, sys, time
from infertune_probes.contract import session as own
from infertune_probes.contract.emit import Sinks
from infertune_probes.contract.envelope import measured
own.GRACE_SECONDS = 0.5
sinks = Sinks({str(output)!r}, "/nonexistent")
with own.ProbeSession("gpu", sinks, deadline_seconds=0.5) as session:
    session.measurements.append(measured("before", "s", 1.0, 1))
    {block}
sys.exit(session.exit_code)
"""
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-c", program], timeout=20, check=False)
    return done.returncode, parse_envelope(output.read_bytes()), time.monotonic() - started


@pytest.mark.parametrize(
    "block",
    ["time.sleep(30)", "ctypes.PyDLL(None).sleep(4)"],
    ids=["in Python", "in a C call that holds the interpreter for a while"],
)
def test_a_missed_deadline_is_told_with_what_was_measured(tmp_path: Path, block: str) -> None:
    code, envelope, seconds = run_late(tmp_path, block)
    assert [finding.code for finding in envelope.findings] == ["DEADLINE_EXCEEDED"]
    assert [measurement.name for measurement in envelope.measurements] == ["before"]
    assert (code, envelope.partial) == (2, True)
    assert seconds < 15


def test_a_main_thread_that_never_returns_is_spoken_for(tmp_path: Path) -> None:
    """A C call that lets go of the interpreter and ignores signals: a hung driver."""
    block = (
        "lock, held = ctypes.CDLL(None).pthread_mutex_lock, ctypes.create_string_buffer(64); "
        "lock(held); lock(held)"
    )
    code, envelope, seconds = run_late(tmp_path, block)
    assert [finding.code for finding in envelope.findings] == ["DEADLINE_EXCEEDED"]
    assert (code, envelope.partial) == (2, True)
    assert seconds < 15


def test_a_probe_in_time_hears_nothing_of_its_deadline(tmp_path: Path) -> None:
    code, envelope, _ = run_late(tmp_path, "pass")
    assert (code, envelope.partial, envelope.findings) == (0, False, ())
