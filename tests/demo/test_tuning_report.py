"""``infertune report``: the page of a tuning, from a file."""

import json
from pathlib import Path

import pytest

from infertune.api.status import TuningStatus
from infertune.cli import main
from infertune.report.markdown import render_markdown
from infertune.report.tables import table

STATUS = {
    "state": "Stable",
    "baselineConfiguration": {
        "batchSize": 1,
        "image": "server:fp32",
        "minReplicas": 4,
        "maxReplicas": 4,
    },
    "baseline": {"p95": {"value": 480.0, "unit": "ms", "low": 475, "high": 500, "samples": 900}},
    "live": {
        "p95": {"value": 120.0, "unit": "ms", "reason": "batches are correlated"},
        "p99": {"reason": "TooFew: 40 requests, P99 needs 500"},
        "memoryBytes": {"value": 268435456.0, "unit": "B"},
    },
    "recommendation": {
        "configuration": {
            "batchSize": 8,
            "image": "server:int8",
            "minReplicas": 1,
            "maxReplicas": 2,
        },
        "reason": "cheapest that keeps the promise",
        "kneeRate": 40.0,
    },
    "trials": [
        {
            "name": "t-1",
            "candidate": {"batchSize": 8, "image": "server:wrong"},
            "phase": "Failed",
            "reason": "QualityFailed",
            "message": "a|b",
            "qualityDropPercent": 100.0,
        },
        {
            "name": "t-2",
            "candidate": {"batchSize": 8, "image": "server:int8"},
            "phase": "Completed",
            "kneeRate": 40.0,
            "levels": [{"offeredRate": 40.0, "achievedRate": 39.5, "verdict": "Pass"}],
        },
    ],
    "rollout": {"verdict": "Pass", "evidence": "0.5 % over", "blocks": 12},
}


def _page(status: dict[str, object] | None = None) -> str:
    made = TuningStatus.model_validate(STATUS if status is None else status)
    return render_markdown("demo/demo", None, made)


def test_the_page_tells_the_whole_story() -> None:
    page = _page()
    assert "| batch size | 1 | 8 |" in page
    assert "| replica bounds | 4 to 4 | 1 to 2 |" in page
    before, after = "480 [475, 500] ms, n=900", "120 ms (no interval: batches are correlated)"
    assert f"| P95 | {before} | {after} | -75 % |" in page
    assert "| P99 | - | none: TooFew: 40 requests, P99 needs 500 | - |" in page
    assert "| memory | - | 256 MiB | - |" in page
    assert "Failed: a\\|b" in page
    assert "| verdict | Pass |" in page


def test_what_holds_the_model_back_stands_below_the_probes_with_the_way_to_advice() -> None:
    profile = {"probe": "profiler", "node": "n", "bound": "launch", "busyPercent": 38.0}
    page = _page({"probes": [{**profile, "confidence": "high"}, {"probe": "gpu", "node": "n"}]})
    words = "launch, the device works 38 % of a call (confidence high). `infertune advise FILE...`"
    assert page.count("What holds the model back") == 1
    assert words in page
    assert "holds the model back" not in _page({"probes": [{**profile, "bound": "unknown"}]})


def test_an_empty_status_says_that_nothing_is_known() -> None:
    page = _page({})
    assert "Nothing was measured yet." in page
    assert "| State | Pending |" in page
    assert " 0 ms" not in page


def test_a_row_that_is_too_short_is_not_printed_shifted() -> None:
    with pytest.raises(ValueError, match="has 1 cells"):
        table(("a", "b"), [("1",)])


def _object(**changes: object) -> str:
    made = {
        "apiVersion": "infertune.io/v1alpha1",
        "kind": "InferenceTuning",
        "metadata": {"namespace": "demo", "name": "demo"},
        "spec": {},
        "status": STATUS,
    }
    return json.dumps({**made, **changes})


def test_the_command_reads_a_file_and_writes_a_file(tmp_path: Path) -> None:
    source, page = tmp_path / "tuning.json", tmp_path / "report.md"
    source.write_text(_object())
    assert main(["report", str(source), "--output", str(page)]) == 0
    assert page.read_text() == _page()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param("{", "not JSON", id="not JSON"),
        pytest.param("[]", "neither an object of kind", id="not an object"),
        pytest.param(_object(kind="Pod"), "neither an object of kind", id="another kind"),
    ],
)
def test_other_files_are_refused(
    text: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "tuning.json"
    source.write_text(text)
    assert main(["report", str(source)]) == 2
    assert says in capsys.readouterr().err


def test_a_name_that_is_no_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "demo"]) == 2
    assert "NAMESPACE/NAME" in capsys.readouterr().err


def test_a_missing_kubectl_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "demo/demo", "--kubectl", "no-such-kubectl"]) == 2
    assert "no-such-kubectl: not found: install kubectl" in capsys.readouterr().err


def test_what_kubectl_says_is_passed_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kubectl = tmp_path / "kubectl"
    kubectl.write_text("#!/bin/sh\necho 'Error: NotFound' >&2\nexit 1\n")
    kubectl.chmod(0o755)
    assert main(["report", "demo/demo", "--kubectl", str(kubectl)]) == 1
    assert "Error: NotFound" in capsys.readouterr().err
