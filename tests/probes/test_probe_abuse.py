"""What an unkind world does to a probe and its words: read-only files, kills, lies."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from infertune.adapters.kube.probe_results import parse_result
from infertune.core.snapshot import ProbeFailure
from infertune_probes.contract.emit import seal, summarise
from infertune_probes.contract.envelope import Envelope, Finding, serialise
from infertune_probes.contract.host import host_facts
from infertune_probes.contract.load import PayloadInvalid, parse_envelope

if TYPE_CHECKING:
    from pathlib import Path

POD = "11111111-2222-3333-4444-555555555555"
TIME = "2026-03-01T12:00:00Z"


def an_envelope(evidence: str = "it is well") -> Envelope:
    finding = Finding("DEVICE_HEALTHY", "pass", evidence)
    return Envelope("gpu", "n1", None, TIME, TIME, host_facts(), findings=(finding,), pod=POD)


def sealed(payload: bytes) -> tuple[str, str]:
    """Return the termination message and the log of a pod with this payload, whatever it is."""
    summary = json.loads(summarise(an_envelope(), b""))
    summary |= {"sha256": hashlib.sha256(payload).hexdigest(), "payloadBytes": len(payload)}
    return json.dumps(summary), seal(payload)


def read(payload: bytes) -> str:
    """Return what the operator makes of the payload: the reason, and where it was told."""
    message, log = sealed(payload)
    found = parse_result(POD, message, lambda: log)
    assert isinstance(found, ProbeFailure)
    return f"{found.reason}: {found.message}"


def changed(**fields: object) -> bytes:
    return json.dumps(an_envelope().to_json() | fields).encode()


def test_what_is_well_is_read() -> None:
    message, log = sealed(serialise(an_envelope()))
    found = parse_result(POD, message, lambda: log)
    assert not isinstance(found, ProbeFailure)
    assert found.pod == POD


@pytest.mark.parametrize(
    ("payload", "told"),
    [
        pytest.param(b"", "PayloadInvalid", id="nothing"),
        pytest.param(b"\xff\xfe\x00", "PayloadInvalid", id="no text"),
        pytest.param(b"[" * 200_000, "PayloadInvalid", id="nested without end"),
        pytest.param(b"[]", "PayloadInvalid", id="a list"),
        pytest.param(changed(surprise=1), "PayloadInvalid: surprise", id="unknown field"),
        pytest.param(changed(schema="infertune.io/probe-result/v9"), "v9", id="version of later"),
        pytest.param(
            serialise(an_envelope()).replace(b'"it is well"', b"NaN"), "PayloadInvalid", id="NaN"
        ),
        pytest.param(changed(node=["n1"]), "PayloadInvalid: node", id="a list for a name"),
        pytest.param(changed(findings=[{}] * 100_000), "PayloadInvalid", id="too many findings"),
    ],
)
def test_the_operator_names_what_is_wrong_with_a_payload(payload: bytes, told: str) -> None:
    assert told in read(payload)


def test_an_envelope_of_ten_megabytes_is_refused_and_costs_little() -> None:
    payload = changed(findings=[an_envelope("x" * 10_000_000).findings[0].to_json()])
    assert len(payload) > 10_000_000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.monotonic()
    assert read(payload).startswith("PayloadInvalid: ")
    assert time.monotonic() - started < 20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 400_000
    with pytest.raises(PayloadInvalid):
        parse_envelope(payload)


@pytest.mark.parametrize("keep", [0, 1, 9, 100, -1], ids=lambda keep: f"{keep} bytes of it")
def test_a_truncated_gzip_is_no_result(keep: int) -> None:
    """The seal names the payload's digest and is whole; what it holds was cut."""
    payload = serialise(an_envelope())
    message, _ = sealed(payload)
    digest = hashlib.sha256(payload).hexdigest()
    body = base64.b64encode(gzip.compress(payload)[:keep]).decode()
    edges = [f"-----{word} INFERTUNE RESULT {digest}-----" for word in ("BEGIN", "END")]
    found = parse_result(POD, message, lambda: "\n".join([edges[0], body, edges[1]]))
    assert isinstance(found, ProbeFailure)
    assert found.reason in {"PayloadInvalid", "PayloadAltered", "PayloadLost"}


PROBES = ("gpu", "versions", "system")
KILLS = 8


@pytest.mark.parametrize("probe", PROBES)
def test_a_probe_killed_at_any_moment_leaves_a_whole_result_or_none(
    probe: str, tmp_path: Path
) -> None:
    """SIGKILL at random moments of its life, with a seed; what is read is whole, or it is lost."""
    moments = random.Random(f"kill-{probe}")
    flags = ("--window", "0.5") if probe == "system" else ()
    command = [sys.executable, "-m", f"infertune_probes.{probe}", *flags]
    ended = []
    for number in range(KILLS):
        words = tmp_path / f"words-{number}"
        words.touch()
        with subprocess.Popen(
            [*command, "--termination-log", str(words)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "INFERTUNE_POD_UID": POD},
            text=True,
        ) as running:
            try:
                # The first time before any of them can have ended.
                seconds = 0.02 if number == 0 else moments.uniform(0.02, 1.5)
                log, _ = running.communicate(timeout=seconds)
            except subprocess.TimeoutExpired:
                running.kill()
                log, _ = running.communicate(timeout=30)
        found = parse_result(POD, words.read_text(), lambda log=log: log)  # type: ignore[misc]
        ended.append(running.returncode)
        if isinstance(found, ProbeFailure):
            assert running.returncode == -signal.SIGKILL
            assert found.reason in {"NoResult", "PayloadLost"}
        else:
            assert found.probe == probe
    assert -signal.SIGKILL in ended


def can_mount() -> bool:
    if shutil.which("unshare") is None:
        return False
    words = ["unshare", "-rm", "mount", "-o", "remount,ro,bind", "/", "/"]
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("probe", [*PROBES, "benchmark"])
def test_a_read_only_file_system_changes_no_answer(probe: str) -> None:
    """Every mount is read-only, in a namespace of its own: the pod's readOnlyRootFilesystem."""
    if not can_mount():
        pytest.skip("this machine lets nobody make a mount namespace (unshare -rm)")
    flags = {"system": "--window 0.5", "benchmark": "--sizes 64,128 --seconds 1"}.get(probe, "")
    freeze = "awk '{print $2}' /proc/mounts | sort -u | while read m; do "
    freeze += 'mount -o remount,ro,bind "$m" 2>/dev/null; done; '
    proof = "if touch /tmp/written /var/tmp/written 2>/dev/null; then exit 77; fi; "
    run = f"exec {sys.executable} -B -m infertune_probes.{probe} {flags} --output -"
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", freeze + proof + run],
        capture_output=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    found = parse_envelope(done.stdout)
    assert "PROBE_CRASHED" not in [finding.code for finding in found.findings]
    assert b"Traceback" not in done.stderr


def test_an_output_that_cannot_be_written_is_told_in_a_line(tmp_path: Path) -> None:
    output = tmp_path / "no" / "such" / "folder" / "x.json"
    done = subprocess.run(
        [sys.executable, "-m", "infertune_probes.gpu", "--output", str(output)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert str(output) in done.stderr
    assert "Traceback" not in done.stderr
