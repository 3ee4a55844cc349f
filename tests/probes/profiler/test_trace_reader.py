"""The reader of traces: whole, bounded, and unmoved by what a foreign server may write."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from infertune_probes.profiler import chrome_trace as module
from infertune_probes.profiler.chrome_trace import Trace, TraceUnreadable, read_trace
from tests.probes.profiler.cuda_traces import GEMM, Script
from tests.probes.profiler.test_reading_cpu import TRACES


def written(folder: Path, text: str) -> Path:
    path = folder / "trace.json"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("path", sorted(TRACES.glob("*.gz")), ids=lambda path: path.name)
def test_every_event_of_a_recorded_trace_is_found(path: Path) -> None:
    """Against the plain way: all of it in memory."""
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        events = json.load(stream)["traceEvents"]
    kinds = [event.get("cat") for event in events if event["ph"] == "X"]
    found = read_trace(path)
    assert len(found.ops) == kinds.count("cpu_op")
    assert len(found.ranges) == kinds.count("user_annotation")
    assert len(found.frames) == kinds.count("python_function")
    assert len(found.memory) == sum(event["name"] == "[memory]" for event in events)
    assert found.left_out == 0


def test_chunks_may_end_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = Script()
    for number in range(20):
        script.launch(10.0 * number, (GEMM, 10.0 * number, 10.0 * number + 5))
    whole = script.trace(tmp_path)
    for size in (7, 64, 997):
        monkeypatch.setattr(module, "_CHUNK", size)
        assert read_trace(tmp_path / "trace.json") == whole


def test_the_bare_array_form_is_read_too(tmp_path: Path) -> None:
    script = Script()
    script.launch(0, (GEMM, 4, 34))
    found = read_trace(written(tmp_path, json.dumps(script.events)))
    assert (len(found.ops), len(found.device), found.devices) == (1, 1, [])


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[", "no", '{"traceEvents": [{"ph": "X"}', '{"traceEvents"', '{"traceEvents": [}'],
)
def test_what_is_no_whole_trace_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(TraceUnreadable):
        read_trace(written(tmp_path, text))


def test_a_truncated_gzip_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "trace.json.gz"
    path.write_bytes((TRACES / "cpu-torch-2.15-careless-basic.json.gz").read_bytes()[:3000])
    with pytest.raises(TraceUnreadable, match="end-of-stream"):
        read_trace(path)


def test_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TraceUnreadable, match="No such file"):
        read_trace(tmp_path / "nothing.json")


@pytest.mark.parametrize(
    "event",
    [
        {"ph": "X", "cat": "kernel", "name": "k", "ts": "now", "dur": 1},
        {"ph": "X", "cat": "kernel", "name": "k", "ts": 1, "dur": -1},
        {"ph": "X", "cat": "kernel", "name": "k", "ts": 1, "dur": float("nan")},
        {"ph": "X", "cat": "kernel", "name": "k", "dur": 1},
        {"ph": "X", "cat": "kernel", "name": "k", "ts": 1, "dur": 1, "args": [1]},
        {"ph": "X", "cat": "cpu_op", "name": "k", "ts": 1, "dur": 1, "args": {"Input Dims": 3}},
        {"ph": "i", "name": "[memory]", "ts": 1, "args": {}},
        "an event",
    ],
    ids=["time as text", "negative", "nan", "no start", "args list", "dims", "no bytes", "text"],
)
def test_an_event_of_another_shape_is_left_out_and_counted(tmp_path: Path, event: Any) -> None:
    found = read_trace(written(tmp_path, json.dumps({"traceEvents": [event]})))
    empty = Trace([], [], [], [], [], [], [], with_shapes=False, with_memory=False, left_out=1)
    assert found == empty


def test_a_bomb_is_refused_before_it_fills_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_TEXT_CHARACTERS", 1 << 21)
    path = tmp_path / "bomb.json.gz"
    with gzip.open(path, "wb") as stream:
        stream.write(b'{"traceEvents": [' + b" " * (1 << 23))
    with pytest.raises(TraceUnreadable, match="longer than"):
        read_trace(path)
    monkeypatch.setattr(module, "MAX_EVENTS", 3)
    with pytest.raises(TraceUnreadable, match="profile fewer steps"):
        read_trace(written(tmp_path, json.dumps([{"ph": "M"}] * 9)))
