"""A probe's result that is malformed, cut, altered, forged or a bomb: one word, little memory.

The termination message comes from the kubelet and is what is trusted; everything in the log may be
written by whoever runs in the container.
"""

import base64
import gzip
import hashlib
import json
import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from infertune.adapters.kube.probe_results import parse_result
from infertune.core.snapshot import ProbeFailure
from infertune_probes.contract.emit import BEGIN, END, LINE_WIDTH, seal, summarise
from infertune_probes.contract.envelope import Envelope, Finding, serialise
from infertune_probes.contract.load import Envelope as Loaded
from infertune_probes.contract.load import (
    parse_log,
    parse_summary,
)
from tests.adapters.test_probe_results import EMITTED

POD = "pod-1"
LONG = replace(
    EMITTED,
    findings=tuple(
        Finding(f"F_{i}", "pass", hashlib.sha256(b"%d" % i).hexdigest()) for i in range(9)
    ),
)
OTHER = replace(LONG, findings=(Finding("FAST", "pass", "twice as fast"),))


def message_of(envelope: Envelope) -> str:
    return summarise(envelope, serialise(envelope))


def log_of(envelope: Envelope) -> str:
    return seal(serialise(envelope))


def block(payload: bytes, digest: str, packed: bytes | None = None) -> str:
    """Seal any bytes under any digest."""
    body = base64.b64encode(gzip.compress(payload) if packed is None else packed).decode()
    lines = [body[at : at + LINE_WIDTH] for at in range(0, len(body), LINE_WIDTH)]
    return "\n".join([BEGIN.format(digest), *lines, END.format(digest)])


MESSAGE, LOG = message_of(LONG), log_of(LONG)
DIGEST = parse_summary(MESSAGE).sha256
ELSEWHERE = replace(LONG, pod="pod-2")
NAMELESS = replace(LONG, pod=None)


def failure(reason: str, message: str) -> ProbeFailure:
    return ProbeFailure(reason, message)  # type: ignore[arg-type]  # the reason is compared below


CASES = [
    pytest.param(
        MESSAGE,
        "",
        failure("PayloadLost", f"the log holds no payload (expected {DIGEST})"),
        id="the log was rotated away",
    ),
    pytest.param(
        MESSAGE,
        "unable to retrieve container logs for containerd://0123",
        failure("PayloadLost", f"the log holds no payload (expected {DIGEST})"),
        id="the kubelet has no log",
    ),
    pytest.param(
        MESSAGE,
        LOG[: len(LOG) // 2],
        failure("PayloadLost", f"the log ends inside the payload {DIGEST}"),
        id="truncated",
    ),
    pytest.param(
        MESSAGE,
        log_of(OTHER),
        failure(
            "PayloadLost",
            f"the log holds the payload {parse_summary(message_of(OTHER)).sha256}, not {DIGEST}",
        ),
        id="another payload in the log than the kubelet vouches for",
    ),
    pytest.param(
        MESSAGE,
        block(serialise(OTHER), DIGEST),
        failure(
            "PayloadAltered",
            f"the block in the log does not decode to a payload with SHA-256 {DIGEST}",
        ),
        id="another payload under the right digest",
    ),
    pytest.param(
        message_of(ELSEWHERE),
        log_of(ELSEWHERE),
        failure("PayloadForeign", "the result names pod pod-2, and was read from pod pod-1"),
        id="a true result of another trial's pod",
    ),
    pytest.param(
        message_of(NAMELESS),
        log_of(NAMELESS),
        failure(
            "PayloadForeign",
            "the result names no pod, and was read from pod pod-1: is the probe image of the "
            "operator's version?",
        ),
        id="a result that names no pod",
    ),
]


@pytest.mark.parametrize(("message", "log", "found"), CASES)
def test_a_result_that_cannot_be_believed_says_why(
    message: str, log: str, found: ProbeFailure
) -> None:
    assert parse_result(POD, message, lambda: log) == found


def test_a_decoy_before_and_after_the_true_block_changes_nothing() -> None:
    decoys = [block(serialise(OTHER), DIGEST), BEGIN.format(DIGEST), log_of(OTHER)]
    log = "\n".join([*decoys, LOG, *decoys[:2]])
    found = parse_result(POD, MESSAGE, lambda: log)
    assert isinstance(found, Loaded)
    assert [finding.code for finding in found.findings] == [f"F_{i}" for i in range(9)]


def test_lines_of_a_sidecar_between_any_two_lines_change_nothing() -> None:
    """Text with blanks, JSON, base64 of another width, and a sentinel of another digest."""
    noise = ['{"level":"info"}', "QUJD", "a line with blanks", BEGIN.format("0" * 64)]
    lines = LOG.strip().splitlines()
    for at in range(1, len(lines)):
        mixed = [*lines[:at], noise[at % 3], *lines[at:], *noise]
        assert isinstance(parse_result(POD, MESSAGE, lambda m=mixed: "\n".join(m)), Loaded)


@pytest.mark.parametrize("cut", range(0, len(LOG), 7))
def test_no_cut_of_the_log_is_taken_for_a_result(cut: int) -> None:
    found = parse_result(POD, MESSAGE, lambda: LOG[:cut])
    whole = cut >= len(LOG.rstrip())
    assert isinstance(found, Loaded) if whole else isinstance(found, ProbeFailure)


@given(st.integers(min_value=0, max_value=len(LOG) - 1), st.characters(codec="ascii"))
def test_no_changed_character_changes_what_is_believed(at: int, put: str) -> None:
    changed = LOG[:at] + put + LOG[at + 1 :]
    found = parse_result(POD, MESSAGE, lambda: changed)
    assert isinstance(found, ProbeFailure) or found == parse_log(LOG, DIGEST)


@given(st.binary(max_size=400), st.binary(max_size=200))
@example(b"\xff" * 20, b"\x00")
@example(b'{"schema":"infertune.io/probe-summary/v1"}', b"")
def test_no_bytes_break_the_reading(message: bytes, log: bytes) -> None:
    found = parse_result(POD, message.decode("utf-8", "replace"), lambda: log.decode("latin-1"))
    assert isinstance(found, ProbeFailure)


@given(st.binary(max_size=300))
@example(b"[" * 100_000)
@example(b'{"findings":' * 2000)
@example(b"9" * 50_000)
@example(b"\xed\xa0\x80")
def test_no_payload_that_the_summary_vouches_for_breaks_the_reading(payload: bytes) -> None:
    """Who writes the payload also writes the message: the digest is right, the content is not."""
    digest = hashlib.sha256(payload).hexdigest()
    vouched = json.loads(MESSAGE) | {"sha256": digest}
    found = parse_result(POD, json.dumps(vouched), lambda: block(payload, digest))
    assert isinstance(found, ProbeFailure)
    assert found.reason == "PayloadInvalid"
    assert len(found.message) < 600


@given(st.binary(max_size=300))
def test_no_packed_bytes_break_the_reading(packed: bytes) -> None:
    found = parse_result(POD, MESSAGE, lambda: block(b"", DIGEST, packed))
    assert isinstance(found, ProbeFailure)


def test_a_message_longer_than_kubernetes_allows_is_no_message() -> None:
    found = parse_result(POD, "x" * 5000, lambda: LOG)
    assert found == failure("PayloadInvalid", "document = 5000 bytes: longer than 4096 bytes")


BOMB = """
import gzip, hashlib, resource, sys, time
from infertune_probes.contract.load import MAX_PAYLOAD_BYTES, PayloadError, parse_log
from tests.adapters.test_forged_results import block
digest = hashlib.sha256(b"no").hexdigest()
payloads = [b"[" + b"[]," * (MAX_PAYLOAD_BYTES // 3 - 2) + b"[]]", b" " * (64 << 20)]
logs = [block(p, hashlib.sha256(p).hexdigest()) for p in payloads]
names = [hashlib.sha256(p).hexdigest() for p in payloads]
logs.append("\\n".join([block(b" " * MAX_PAYLOAD_BYTES, digest)] * 400))
names.append(digest)
del payloads
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
began = time.process_time()
for log, name in zip(logs, names):
    try:
        parse_log(log, name)
    except PayloadError as error:
        print(type(error).__name__)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024, "MB more")
print(round(time.process_time() - began, 1), "s")
"""


def test_bombs_cost_little_memory_and_little_time() -> None:
    """As much JSON as is allowed; 64 MB in 64 kB; 400 blocks that each unpack to the limit.

    In a process of its own, since the memory a process has taken is never given back.
    """
    done = subprocess.run(
        [sys.executable, "-c", BOMB], capture_output=True, text=True, check=True, timeout=120
    )
    *words, memory, seconds = done.stdout.splitlines()
    assert words == ["PayloadInvalid", "PayloadInvalid", "PayloadAltered"]
    assert int(memory.split()[0]) < 64
    assert float(seconds.split()[0]) < 2
