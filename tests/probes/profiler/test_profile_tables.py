"""Rankings and the memory timeline, from recorded and from written traces."""

from pathlib import Path

import pytest

from infertune_probes.profiler.tables import Ranking, Row, rank
from infertune_probes.profiler.timeline import timeline
from tests.probes.profiler.cuda_traces import GEMM, POINTWISE, Script
from tests.probes.profiler.test_reading_cpu import recorded


def tables(name: str) -> dict[tuple[str, str], Ranking]:
    return {(one.name, one.ranked_by): one for one in rank(recorded(name))}


def test_a_kernel_is_put_down_to_the_operator_that_launched_it(tmp_path: Path) -> None:
    script = Script()
    script.launch(0, (GEMM, 4, 34))
    script.launch(10, (GEMM, 34, 64))
    script.launch(20, (POINTWISE, 64, 84), "aten::gelu")
    kernels, operators, *_ = rank(script.trace(tmp_path))
    assert kernels.rows == (
        Row(GEMM, 2, 60.0, 0.0, 0, 0.75),
        Row(POINTWISE, 1, 20.0, 0.0, 0, 0.25),
    )
    assert operators.rows == (
        Row("aten::mm", 2, 60.0, 8.0, 0, 0.75),
        Row("aten::gelu", 1, 20.0, 4.0, 0, 0.25),
    )


def test_what_was_not_recorded_is_empty_and_says_how_to_record_it() -> None:
    found = tables("2.15-careful-basic")
    assert {key: one.reason for key, one in found.items() if not one.rows} == {
        ("kernels", "deviceTime"): "nothing ran on a device",
        ("operators", "deviceTime"): "nothing ran on a device",
        ("memory", "size"): "not recorded; --mode memory records it",
        ("modules", "cpuTime"): "not recorded; --mode detailed records stacks and modules",
        ("stacks", "cpuTime"): "not recorded; --mode detailed records stacks and modules",
    }
    assert sum(row.share for row in found["operators", "cpuTime"].rows) <= 1.000001


def test_a_detailed_trace_ranks_modules_and_the_users_own_lines() -> None:
    found = tables("2.15-careless-detailed")
    modules = {row.name: round(row.share, 3) for row in found["modules", "cpuTime"].rows}
    assert modules["Block_0"] == 1.0
    assert {"MultiheadAttention_0", "Sequential_0", "LayerNorm_0"} < set(modules)
    stacks = [row.name for row in found["stacks", "cpuTime"].rows]
    assert all("torch/" not in name for name in stacks)
    assert any(name.startswith("tiny_model.py(") for name in stacks)


def test_a_memory_trace_ranks_operators_by_what_they_allocate() -> None:
    rows = tables("2.15-careless-memory")["memory", "size"].rows
    assert rows[0].size >= rows[-1].size > 0
    assert "(no operator)" not in [row.name for row in rows[:3]]


def test_more_names_than_rows_are_counted(tmp_path: Path) -> None:
    script = Script()
    for number in range(25):
        script.launch(10 * number, (f"kernel_{number:02}", 10 * number, 10 * number + 1 + number))
    kernels = rank(script.trace(tmp_path))[0]
    assert (len(kernels.rows), kernels.left_out) == (20, 5)
    assert kernels.rows[0].name == "kernel_24"


def test_a_timeline_keeps_each_peak(tmp_path: Path) -> None:
    script = Script()
    script.launch(0, (GEMM, 4, 34))
    for at in range(1000):
        script.allocation(float(at), 1, 10_000 if at == 517 else 100, 20_000)
    points = timeline(script.trace(tmp_path), 10)
    assert len(points) == 10
    assert max(points, key=lambda point: point[1]) == (0.517, 10_000, 20_000)


@pytest.mark.parametrize("name", ["2.15-careless-memory", "2.4-careful-memory"])
def test_a_recorded_timeline_goes_up_from_the_start(name: str) -> None:
    points = timeline(recorded(name))
    assert points[0][0] >= 0.0
    assert max(held for _, held, _ in points) > 0
    assert len(points) <= 200


def test_a_trace_without_memory_has_no_timeline() -> None:
    assert timeline(recorded("2.15-careful-basic")) == []
