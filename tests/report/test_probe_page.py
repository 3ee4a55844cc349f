"""The page of probes: self-contained, no foreign markup, and every plot says what it shows."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from infertune.cli import main
from infertune.report.plots import Axis, Limit, Series, bars, lines
from infertune.report.probe_plots import _devices
from infertune_probes.contract.gpu_result import GpuWindow

FIXTURES = Path(__file__).parents[1] / "fixtures" / "envelopes" / "0.1.0"
VOID = {"meta", "link", "img", "input", "br", "hr"}


class Read(HTMLParser):
    """The page as a browser sees it: tags, attributes, visible words; unbalanced tags are seen."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def envelope(probe: str, folder: Path, **changes: object) -> Path:
    raw = json.loads((FIXTURES / f"{probe}.json").read_text()) | changes
    path = folder / f"{probe}-{len(list(folder.iterdir()))}.json"
    path.write_text(json.dumps(raw))
    return path


def page(*paths: Path) -> str:
    output = paths[0].with_suffix(".html")
    assert main(["report", *map(str, paths), "--output", str(output)]) == 0
    return output.read_text()


def test_findings_come_first_worst_first_and_both_nodes_are_compared(tmp_path: Path) -> None:
    bad = {"code": "NOT_SETTLED", "verdict": "fail", "evidence": "it moves", "fix": "pin it"}
    files = [
        envelope("gpu", tmp_path),
        envelope("benchmark", tmp_path),
        envelope("benchmark", tmp_path, node="node-b", findings=[bad]),
    ]
    text = page(*files)
    words = " ".join(" ".join(Read(text).words).split())
    order = ["benchmark, gpu on 2 nodes", "1 fail", "fail NOT_SETTLED on node-b", "NO_DEVICE on"]
    order += ["BENCHMARK_MEASURED node-a", "Matrix product on node-a", "Where and when"]
    assert [words.index(word) for word in order] == sorted(words.index(word) for word in order)
    assert "one measurement on each of 2 nodes" in words


def test_the_page_asks_nobody_for_anything(tmp_path: Path) -> None:
    seen = Read(page(envelope("benchmark", tmp_path)))
    assert {"script", "link", "img", "iframe"} & set(seen.tags) == set()
    loading = [value for name, value in seen.attributes if name in {"src", "href", "xlink:href"}]
    assert [value for value in loading if not value.startswith("#")] == []
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'") in seen.attributes


def test_words_of_a_foreign_pod_never_become_markup(tmp_path: Path) -> None:
    evil = "</p><script>alert(1)</script><svg onload=alert(2)>"
    finding = {"code": "NO_DEVICE", "verdict": "fail", "evidence": evil, "fix": evil}
    figure = {"name": evil, "unit": evil, "value": 1.0, "n": 1, "interval": None, "reason": None}
    files = [
        envelope("gpu", tmp_path, node=node, findings=[finding], measurements=[figure])
        for node in (evil, "node-b")
    ]
    seen = Read(page(*files))
    assert "script" not in seen.tags
    assert [name for name, _ in seen.attributes if name.startswith("on")] == []
    assert evil in "".join(seen.words)


def test_the_same_results_give_the_same_bytes(tmp_path: Path) -> None:
    file = envelope("benchmark", tmp_path)
    assert page(file) == page(file)


def test_every_plot_tells_unit_and_n(tmp_path: Path) -> None:
    text = page(envelope("benchmark", tmp_path))
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", text)
    assert len(captions) == text.count("<svg ") > 0
    assert all("n = " in caption or "one measurement" in caption for caption in captions)


def test_a_merged_report_keeps_the_nodes_that_gave_no_answer(tmp_path: Path) -> None:
    raw = json.loads((FIXTURES / "gpu.json").read_text())
    nodes = [
        {"node": "node-a", "verdict": "unknown", "problem": None, "envelope": raw},
        {"node": "node-b", "verdict": None, "problem": "Evicted: no memory", "envelope": None},
    ]
    path = tmp_path / "report.json"
    document = {"schema": "infertune.io/probe-report/v1", "probe": "gpu", "nodes": nodes}
    path.write_text(json.dumps(document))
    words = " ".join(Read(page(path)).words)
    assert "1 no answer" in words
    assert "Evicted: no memory" in words


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "not JSON"),
        ("[]", "neither an object of kind InferenceTuning nor a result of a probe"),
        ('{"schema": "infertune.io/probe-result/v1"}', "bad.json: probe"),
        ('{"schema": "infertune.io/probe-report/v1"}', "bad.json: nodes = None: must be a list"),
        (
            '{"schema": "infertune.io/probe-report/v1", "nodes": [3]}',
            "must be an object that names",
        ),
    ],
)
def test_a_file_that_does_not_hold_is_refused_by_name(
    tmp_path: Path, text: str, problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.json").write_text(text)
    assert main(["report", str(tmp_path / "bad.json")]) == 2
    assert problem in capsys.readouterr().err


def test_a_tuning_and_a_probe_make_no_common_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tuning.json").write_text('{"kind": "InferenceTuning"}')
    files = [str(envelope("gpu", tmp_path)), str(tmp_path / "tuning.json")]
    assert main(["report", *files]) == 2
    assert "one tuning at a time" in capsys.readouterr().err


def test_a_plot_takes_every_colour_from_the_page_and_fits_its_width() -> None:
    series = [Series(f"s{at}", [1, 2, 4], [at, at + 1, at + 2]) for at in range(1, 7)]
    drawn = lines("T <&> x", series, Axis("size", powers=True), Axis("ms"), [Limit(3, "SLO")])
    assert "#0100" not in drawn
    assert set(re.findall(r"#[0-9a-f]{6}\b", drawn)) <= {"#ffffff", "#000000"}
    head = drawn[: drawn.index(">")]
    assert 'aria-label="T &lt;&amp;&gt; x"' in head
    assert "width=" not in head
    assert all(f">{word}<" in drawn for word in ("SLO", "ms", "size", "s6"))


def test_a_matmul_plot_shows_the_peak_of_a_device_that_the_table_knows(tmp_path: Path) -> None:
    """67 TFLOP/s is the dense fp32 peak of an H100 SXM; a processor has no row."""
    raw = json.loads((FIXTURES / "benchmark.json").read_text().replace("float32", "fp32"))
    known = envelope(
        "benchmark", tmp_path, result=raw["result"] | {"device": "NVIDIA H100 80GB HBM3"}
    )
    text = page(known)
    assert ">fp32: peak by data sheet<" in text
    assert "dashed: dense peak of H100-SXM" in text
    assert ">TFLOP/s<" in text
    assert "peak by data sheet" not in page(envelope("benchmark", tmp_path))


def window_of(gpus: int) -> dict[str, object]:
    field = {"n": 3, "minimum": 1.0, "mean": 50.0, "maximum": 99.0}
    devices = [
        {
            "index": index,
            "samples": 3,
            "fields": {"smPercent": field | {"mean": 50.0 + index}, "powerWatts": field},
            "reasonShares": {},
            "powerViolationPercent": None,
            "thermalViolationPercent": None,
            "grown": {},
            "courses": {"smPercent": [[0, 1], [1, 2]], "powerWatts": [[0, 1], [1, 2]]},
        }
        for index in range(gpus)
    ]
    return {"intervalSeconds": 1.0, "seconds": 2.0, "ticks": 3, "devices": devices}


@pytest.mark.parametrize(
    ("gpus", "plots", "title"),
    [
        pytest.param(1, 2, "GPU 0 on node-a: multiprocessors", id="one GPU: its courses"),
        pytest.param(16, 2, "multiprocessors by GPU on node-a", id="sixteen: one comparison each"),
    ],
)
def test_a_window_of_many_gpus_stays_a_few_plots(gpus: int, plots: int, title: str) -> None:
    window = GpuWindow.model_validate_json(json.dumps(window_of(gpus) | {"failure": None}))
    drawn = list(_devices("node-a", window))
    assert len(drawn) == plots
    assert title in drawn[0].svg
    assert all("n = 3" in plot.caption for plot in drawn)


def test_bars_stand_in_the_order_given_with_their_values() -> None:
    drawn = bars("Best", ["node-a", "node-b"], [12.5, 1250.0], "GFLOP/s")
    assert drawn.index(">node-a<") < drawn.index(">node-b<")
    assert all(f">{word}<" in drawn for word in ("12.5", "1250", "GFLOP/s"))
