"""What each probe prints on this machine is valid, in the pipe that the guide shows."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time

import pytest

from infertune_probes.contract.load import Envelope, parse_envelope

# The bound of the slim image; measured on a node: 24 MB of one process.
MOST_MEMORY_BYTES = 120e6
PROBES = (
    pytest.param(["gpu"], 10, id="gpu"),
    pytest.param(["versions"], 20, id="versions"),
    pytest.param(["benchmark", "--sizes", "256,512", "--seconds", "2"], 30, id="benchmark"),
    pytest.param(["system", "--window", "2"], 5, id="system"),
)
LOOKING = (PROBES[0], PROBES[1], PROBES[3])


def module(name: str) -> list[str]:
    return [sys.executable, "-m", f"infertune_probes.{name}"]


def piped(words: list[str]) -> tuple[bytes, bytes, float, list[int]]:
    """Return what the probe and the check after it said, the seconds, and both exit statuses."""
    started = time.monotonic()
    with subprocess.Popen(
        [*module(words[0]), *words[1:], "--output", "-"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as probe:
        said, errors = probe.communicate(timeout=120)
    seconds = time.monotonic() - started
    check = subprocess.run(
        [*module("contract"), "validate", "-"],
        input=said,
        capture_output=True,
        timeout=60,
        check=False,
    )
    errors += b"" if check.returncode == 0 else check.stderr
    return said, errors, seconds, [probe.returncode, check.returncode]


@pytest.mark.parametrize(("words", "seconds_allowed"), PROBES)
def test_the_pipe_of_the_guide_is_valid_and_truthful(
    words: list[str], seconds_allowed: float
) -> None:
    said, errors, seconds, statuses = piped(words)
    assert statuses == [0, 0], errors.decode()
    assert b"Traceback" not in errors
    found = parse_envelope(said)
    assert (found.probe, found.partial, found.node) == (words[0], False, found.host.hostname)
    assert found.verdict != "fail"
    assert_nothing_unread_is_a_number(found)
    # Twice the promise: a test machine is shared, and the promise is for one that is not.
    assert seconds < 2 * seconds_allowed


def assert_nothing_unread_is_a_number(found: Envelope) -> None:
    for figure in found.measurements:
        assert (figure.value is None) == (figure.reason is not None), figure
        assert figure.value is None or figure.n > 0, figure


def test_a_machine_without_a_gpu_gets_no_pass_from_what_needs_one() -> None:
    if os.path.exists("/dev/nvidiactl"):  # noqa: PTH110  # a device file, not a path of ours
        pytest.skip("this machine has a GPU: tests/gpu speak of it")
    for words in (["gpu"], ["versions"]):
        document = json.loads(piped(words)[0])
        assert {finding["verdict"] for finding in document["findings"]} == {"unknown"}


@pytest.mark.parametrize(("words", "_seconds"), LOOKING)
def test_a_probe_that_only_looks_stays_small(words: list[str], _seconds: float) -> None:
    """The largest of the probe's processes, with its children, in a process that starts afresh."""
    program = (
        "import resource, subprocess, sys; "
        "subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *module(words[0]), *words[1:], "--output", "-"],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    page = resource.getpagesize()
    assert page < 1024 * int(done.stdout) <= MOST_MEMORY_BYTES / 2
