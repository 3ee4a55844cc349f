"""One run of a probe: an envelope whatever happens."""

from __future__ import annotations

import signal
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
