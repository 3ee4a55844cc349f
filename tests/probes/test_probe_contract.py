"""The envelope: there and back, and every way in which a log can lie."""

from __future__ import annotations

import ast
import base64
import gzip
import hashlib
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import infertune_probes
from infertune_probes.contract import load
from infertune_probes.contract.__main__ import main as contract_main
from infertune_probes.contract.emit import Sinks, emit, seal, summarise
from infertune_probes.contract.envelope import (
    Artifact,
    Envelope,
    Finding,
    Image,
    Interval,
    measured,
    serialise,
    unmeasured,
    worst,
)
from infertune_probes.contract.load import (
    PayloadAltered,
    PayloadInvalid,
    PayloadLost,
    parse_envelope,
    parse_log,
    parse_summary,
)

if TYPE_CHECKING:
    from infertune_probes.contract.strict import StrictModel

PACKAGE = Path(infertune_probes.__file__).parent
EMIT_SIDE = [
    *(PACKAGE / "contract" / f"{name}.py" for name in ("__init__", "envelope", "emit", "host")),
    *(PACKAGE / "contract" / f"{name}.py" for name in ("session", "histogram", "codes")),
    *(PACKAGE / "contract" / f"{name}.py" for name in ("terminal", "child")),
    *sorted((PACKAGE / "gpu").glob("*.py")),
    *sorted((PACKAGE / "benchmark").glob("*.py")),
    *sorted((PACKAGE / "system").glob("*.py")),
    PACKAGE / "contract" / "gpu_peaks.py",
]
# numpy, torch and pynvml, in the modules that measure with them.
MEASURING = {
    "backends.py": {"numpy", "torch"},
    "numpy_backend.py": {"numpy"},
    "worker.py": {"numpy"},
    "neighbours.py": {"torch"},
    "reader.py": {"torch", "pynvml"},
}
HOST: dict[str, object] = {
    "hostname": "node-a",
    "operatingSystem": "Debian GNU/Linux 12",
    "kernel": "6.1",
    "architecture": "x86_64",
    "python": "3.8.20",
    "cpuModel": None,
    "cpuCount": 4,
    "cpuLimit": 1.5,
    "memoryBytes": 1024,
    "memoryLimitBytes": None,
}


def an_envelope(*findings: Finding, evidence: str = "seen") -> Envelope:
    return Envelope(
        probe="gpu",
        node="node-a",
        image=Image("registry.example/probes:1", "sha256:" + "0" * 64),
        started_at="2026-01-01T00:00:00.000Z",
        finished_at="2026-01-01T00:00:09.000Z",
        host=HOST,
        findings=findings or (Finding("GPU_PRESENT", "pass", evidence, "nothing"),),
        measurements=(
            measured("latency", "ms", 12.5, 400, Interval(11.0, 14.0, 0.95)),
            unmeasured("power", "W", "NVML does not tell"),
        ),
        artifacts=(Artifact("trace", "application/json", 9, "a" * 64, "pvc://traces/1"),),
    )


def sealed(envelope: Envelope) -> tuple[str, str]:
    payload = serialise(envelope)
    return seal(payload), hashlib.sha256(payload).hexdigest()


def incompressible(length: int) -> str:
    """Text whose gzip is long enough for many full lines."""
    blocks = (hashlib.sha256(str(index).encode()).hexdigest() for index in range(length // 64))
    return "".join(blocks)


def test_what_a_pod_emits_is_what_the_operator_reads(tmp_path: Path) -> None:
    stdout, message = io.StringIO(), tmp_path / "termination"
    emit(an_envelope(), Sinks(None, str(message)), stdout)

    summary = parse_summary(message.read_text())
    envelope = parse_log(stdout.getvalue(), summary.sha256)

    wire = json.loads(envelope.model_dump_json(by_alias=True))
    assert wire["findings"] == [an_envelope().findings[0].to_json()]
    assert wire["measurements"] == [m.to_json() for m in an_envelope().measurements]
    assert wire["artifacts"] == [an_envelope().artifacts[0].to_json()]
    assert wire["host"] == HOST
    assert (envelope.verdict, summary.verdict, summary.partial) == ("pass", "pass", False)


def test_foreign_lines_before_after_and_between_do_not_matter() -> None:
    block, digest = sealed(an_envelope(evidence=incompressible(2000)))
    lines = block.splitlines()
    # `Terminated` is made of base64 letters; right before the tail it is the hardest case.
    for position in (len(lines) - 1, len(lines) - 2, 5, 3, 1):
        lines[position:position] = ["Terminated", '{"level":"info","msg":"proxy"}', ""]
    text = "\n".join(["starting", *lines, "bye"])
    assert parse_log(text, digest).node == "node-a"


def test_windows_line_ends_and_an_open_last_line_do_not_matter() -> None:
    block, digest = sealed(an_envelope())
    assert parse_log("no newline yet\r\n" + block.replace("\n", "\r\n"), digest).probe == "gpu"


def test_of_two_results_in_one_log_the_summary_chooses() -> None:
    first, _ = sealed(an_envelope(evidence="forged"))
    second, digest = sealed(an_envelope(evidence="true"))
    assert parse_log(first + second + first, digest).findings[0].evidence == "true"


@pytest.mark.parametrize(
    ("cut", "why"),
    [
        pytest.param(lambda block: "", "holds no payload", id="empty-log"),
        pytest.param(lambda block: block[: len(block) // 2], "ends inside", id="cut-in-the-middle"),
        pytest.param(
            lambda block: block.rsplit("\n", 2)[0], "ends inside", id="end-sentinel-missing"
        ),
        pytest.param(lambda block: block[40:], "holds no payload", id="head-rotated-away"),
        pytest.param(
            lambda block: sealed(an_envelope(evidence="other"))[0], ", not ", id="another-result"
        ),
    ],
)
def test_a_result_that_is_not_whole_is_lost(cut: object, why: str) -> None:
    block, digest = sealed(an_envelope())
    assert callable(cut)
    with pytest.raises(PayloadLost, match=why):
        parse_log(cut(block), digest)


def test_one_changed_letter_is_an_altered_payload() -> None:
    block, digest = sealed(an_envelope())
    lines = block.splitlines()
    letter = "A" if lines[2][10] != "A" else "B"
    lines[2] = lines[2][:10] + letter + lines[2][11:]
    with pytest.raises(PayloadAltered, match=digest):
        parse_log("\n".join(lines), digest)


def test_a_dropped_line_is_an_altered_payload() -> None:
    block, digest = sealed(an_envelope(evidence=incompressible(2000)))
    lines = block.splitlines()
    del lines[4]
    with pytest.raises(PayloadAltered):
        parse_log("\n".join(lines), digest)


def test_a_decompression_bomb_is_refused_before_it_fills_memory() -> None:
    bomb = gzip.compress(b" " * (64 * 1024 * 1024))
    body = base64.b64encode(bomb).decode()
    digest = "b" * 64
    lines = [body[at : at + 76] for at in range(0, len(body), 76)]
    edges = [f"-----{word} INFERTUNE RESULT {digest}-----" for word in ("BEGIN", "END")]
    with pytest.raises(PayloadInvalid, match="decompresses to more"):
        parse_log("\n".join([edges[0], *lines, edges[1]]), digest)


@pytest.mark.parametrize(
    ("change", "path"),
    [
        pytest.param({"schema": "infertune.io/probe-result/v9"}, "schema", id="unknown-version"),
        pytest.param({"surprise": 1}, "surprise", id="unknown-field"),
        pytest.param({"partial": "no"}, "partial", id="text-for-a-boolean"),
        pytest.param({"finishedAt": "2025-01-01T00:00:00Z"}, "", id="ends-before-it-starts"),
        pytest.param({"startedAt": "2026-01-01T00:00:00"}, "startedAt", id="no-time-zone"),
        pytest.param(
            {"findings": [{"code": "A", "verdict": "ok", "evidence": "", "fix": ""}]},
            "findings.0.verdict",
            id="unknown-verdict",
        ),
        pytest.param(
            {
                "measurements": [
                    {"name": "x", "unit": "ms", "value": None, "interval": None, "n": 0}
                    | {"reason": None}
                ]
            },
            "measurements.0",
            id="no-number-and-no-reason",
        ),
    ],
)
def test_a_payload_against_the_schema_names_the_field(change: dict[str, object], path: str) -> None:
    document = {**an_envelope().to_json(), **change}
    with pytest.raises(PayloadInvalid) as caught:
        parse_envelope(json.dumps(document).encode())
    assert caught.value.path == path


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999", '"12"', "true"])
def test_a_value_that_is_not_a_finite_number_is_refused(number: str) -> None:
    text = serialise(an_envelope()).decode().replace("12.5", number)
    with pytest.raises(PayloadInvalid, match=r"measurements\.0\.value"):
        parse_envelope(text.encode())


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_a_measurement_that_is_not_finite_becomes_a_missing_one(number: float) -> None:
    measurement = measured("gain", "%", number, 7)
    assert (measurement.value, measurement.n) == (None, 7)
    assert "not finite" in str(measurement.reason)


@pytest.mark.parametrize("text", ["", "  \n", "\x00"])
def test_no_termination_message_means_a_lost_or_invalid_result(text: str) -> None:
    with pytest.raises((PayloadLost, PayloadInvalid)):
        parse_summary(text)


def test_a_log_tail_in_place_of_a_summary_is_invalid() -> None:
    with pytest.raises(PayloadInvalid):
        parse_summary("Traceback (most recent call last): ...")


def test_a_summary_stays_small_and_keeps_the_worst() -> None:
    """200 findings with long texts: the one failure is in front, the omitted are counted."""
    many = [Finding(f"CODE_{index}", "pass", "\N{SNOWMAN} " * 400) for index in range(200)]
    envelope = an_envelope(*many, Finding("BROKEN", "fail", "x" * 9000))
    text = summarise(envelope, serialise(envelope))
    summary = parse_summary(text)
    assert len(text.encode()) <= 3500
    assert (summary.findings[0].code, summary.verdict) == ("BROKEN", "fail")
    assert len(summary.findings) + summary.findings_omitted == 201


def test_nothing_judged_is_unknown_and_unknown_outranks_a_warning() -> None:
    assert worst([]) == "unknown"
    assert worst(["pass", "warn", "unknown"]) == "unknown"
    assert worst(["unknown", "fail", "pass"]) == "fail"


def test_validate_says_yes_and_no_by_its_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_bytes(serialise(an_envelope()))
    bad.write_text("{}")
    assert contract_main(["validate", str(good)]) == 0
    assert contract_main(["validate", str(bad)]) == 2
    assert contract_main(["validate", str(tmp_path / "absent.json")]) == 2
    assert "Field required" in capsys.readouterr().err


@pytest.mark.parametrize("path", EMIT_SIDE, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_the_emit_side_parses_as_python_3_8(path: Path) -> None:
    ast.parse(path.read_text(), feature_version=(3, 8))


@pytest.mark.parametrize("path", EMIT_SIDE, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_the_emit_side_imports_only_the_standard_library(path: Path) -> None:
    """Besides itself, and what a module measures with."""
    allowed = set(sys.stdlib_module_names) | {"infertune_probes"}
    allowed |= MEASURING.get(path.name, set())
    roots = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            roots |= {name.name.split(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            roots.add(str(node.module).split(".")[0])
    assert roots <= allowed


def test_the_load_side_brings_no_measuring_library() -> None:
    code = (
        "import sys, infertune_probes.contract.load; "
        "print(sorted({'numpy', 'aiohttp', 'torch', 'uvloop', 'pynvml', 'asyncio'}"
        " & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=20
    )
    assert done.stdout.strip() == "[]"


def test_both_sides_list_the_same_fields() -> None:
    wire = an_envelope().to_json()
    models: dict[type[StrictModel], dict[str, object]] = {
        load.Envelope: wire,
        load.Finding: an_envelope().findings[0].to_json(),
        load.Measurement: an_envelope().measurements[0].to_json(),
        load.Artifact: an_envelope().artifacts[0].to_json(),
    }
    for model, document in models.items():
        assert {field.alias for field in model.model_fields.values()} == set(document)
