"""Recorded traces of a processor, read: fixtures/traces/README.md says how they were made."""

import pytest

from infertune_probes.profiler.chrome_trace import Trace, read_trace
from infertune_probes.profiler.reading import Reading, read
from tests.contract.paths import ROOT

TRACES = ROOT / "tests" / "fixtures" / "traces"


def recorded(name: str) -> Trace:
    return read_trace(TRACES / f"cpu-torch-{name}.json.gz")


@pytest.mark.parametrize(
    ("name", "autograd", "waits"),
    [
        ("2.15-careless-basic", "recording", ["aten::item", "aten::_local_scalar_dense"]),
        ("2.15-careful-basic", "off", []),
        ("2.4-careless-basic", "recording", ["aten::item", "aten::_local_scalar_dense"]),
        ("2.4-careful-memory", "off", []),
    ],
)
def test_gradients_left_on_and_values_asked_for_are_seen(
    name: str, autograd: str, waits: list[str]
) -> None:
    reading = read(recorded(name))
    assert reading.autograd == autograd
    assert [one.name for one in reading.synchronisations] == waits
    assert [one.count for one in reading.synchronisations] == [2] * len(waits)


@pytest.mark.parametrize("name", ["2.15-careless-basic", "2.4-careless-basic"])
def test_the_parts_of_the_window_add_up(name: str) -> None:
    reading = read(recorded(name))
    assert reading.shares is not None
    parts = reading.shares
    assert parts.work + parts.copy + parts.launch + parts.waiting == pytest.approx(1.0)
    assert reading.calls == 2
    assert not reading.on_device
    assert reading.busy_share == parts.work + parts.copy


def test_types_of_operators_tell_the_precision_only_where_shapes_were_recorded() -> None:
    assert read(recorded("2.15-careless-detailed")).precisions == {"fp32": 1.0}
    assert read(recorded("2.15-careless-basic")).precisions == {}


def test_an_empty_trace_means_nothing() -> None:
    empty = Trace([], [], [], [], [], [], [], with_shapes=False, with_memory=False)
    assert read(empty) == Reading(
        window_us=0.0,
        calls=0,
        on_device=False,
        shares=None,
        bound="unknown",
        confidence="low",
        why="the trace holds neither an operator nor a kernel",
    )
