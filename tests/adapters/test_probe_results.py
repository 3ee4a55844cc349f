"""What a probe emits is what the operator reads; anything else is a typed reason."""

import pytest

from infertune.adapters.kube.probe_results import KEPT, ProbeResults, parse_result
from infertune.core.snapshot import ProbeFailure
from infertune_probes.contract.emit import seal, summarise
from infertune_probes.contract.envelope import Envelope, Finding, serialise
from infertune_probes.contract.load import Envelope as Loaded

EMITTED = Envelope(
    probe="gpu",
    node="node-1",
    image=None,
    started_at="2026-03-01T12:00:00Z",
    finished_at="2026-03-01T12:00:05Z",
    host={
        "hostname": "h",
        "operatingSystem": "Linux",
        "kernel": "6.1",
        "architecture": "x86_64",
        "python": "3.11.2",
        "cpuModel": None,
        "cpuCount": 2,
        "cpuLimit": None,
        "memoryBytes": None,
        "memoryLimitBytes": None,
    },
    findings=(Finding("NO_DEVICE", "unknown", "no GPU here"),),
    pod="pod-1",
)
PAYLOAD = serialise(EMITTED)
MESSAGE, LOG = summarise(EMITTED, PAYLOAD), seal(PAYLOAD)


def test_an_emitted_result_is_read_back() -> None:
    found = parse_result("pod-1", MESSAGE, lambda: f"a line of somebody else\n{LOG}\n")
    assert isinstance(found, Loaded)
    assert (found.probe, found.node, found.verdict) == ("gpu", "node-1", "unknown")


@pytest.mark.parametrize(
    ("message", "log", "reason"),
    [
        pytest.param("", LOG, "NoResult", id="killed before it could speak"),
        pytest.param(MESSAGE, "", "PayloadLost", id="the log is gone"),
        pytest.param(MESSAGE, LOG[: len(LOG) // 2], "PayloadLost", id="the log is cut"),
        pytest.param("Traceback: boom", LOG, "PayloadInvalid", id="a log tail for a message"),
    ],
)
def test_an_unusable_result_says_why(message: str, log: str, reason: str) -> None:
    found = parse_result("pod-1", message, lambda: log)
    assert isinstance(found, ProbeFailure)
    assert found.reason == reason


def test_a_log_is_read_once_per_pod() -> None:
    results, reads = ProbeResults(), []

    def read_log() -> str:
        reads.append(1)
        return LOG

    first = results.result_of("pod-1", MESSAGE, read_log)
    assert results.result_of("pod-1", MESSAGE, read_log) is first
    assert len(reads) == 1
    for number in range(KEPT):
        results.result_of(f"other-{number}", "", read_log)
    results.result_of("pod-1", MESSAGE, read_log)
    assert len(reads) == 2, "the oldest result made room"
