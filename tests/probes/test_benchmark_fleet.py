"""Nodes and devices side by side: stragglers by hand, and `compare` on real files."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from infertune_probes.benchmark import clocks, fleet
from infertune_probes.benchmark.fleet import Member, Ranked
from infertune_probes.benchmark.neighbours import Speed, ranked
from infertune_probes.contract.benchmark_result import BenchmarkComparison
from infertune_probes.contract.load import Envelope, parse_envelope
from tests.probes.running import run_probe

if TYPE_CHECKING:
    from pathlib import Path


def figure(*values: float, **first: Any) -> Ranked:
    members = tuple(
        Member(f"n{at}", value, **(first if not at else {})) for at, value in enumerate(values)
    )
    return Ranked("NVIDIA L4", "matmul_8192_bf16", "GFLOP/s", members)


def codes(*figures: Ranked) -> list[str]:
    return [finding.code for finding in fleet.judge(figures)]


def test_a_straggler_by_the_spread_of_its_fleet() -> None:
    """Median 100, MAD 1, so 3 sigma reach to 95.55 and noise to 95: 80 is below both."""
    one = figure(80.0, 100.0, 100.0, 101.0, 99.0)
    assert (one.median, one.mad, one.bound) == (100.0, 1.0, 95.0)
    assert [member.where for member in one.stragglers] == ["n0"]


def test_a_wide_fleet_has_a_wide_bound() -> None:
    """80, 90, 100, 110, 120: median 100, MAD 10, bound 55.5; nobody is a straggler."""
    wide = figure(80.0, 90.0, 100.0, 110.0, 120.0)
    assert wide.bound == pytest.approx(100 - 3 * 1.4826 * 10)
    assert wide.stragglers == ()


def test_differences_within_five_percent_are_noise() -> None:
    """All but one are equal, so the MAD is zero: 96 is no straggler, 94 is."""
    assert figure(96.0, 100.0, 100.0, 100.0).stragglers == ()
    assert len(figure(94.0, 100.0, 100.0, 100.0).stragglers) == 1


def test_two_members_are_measured_by_the_faster() -> None:
    assert figure(91.0, 100.0).stragglers == ()
    assert len(figure(89.0, 100.0).stragglers) == 1
    assert figure(89.0, 100.0).to_json()["mad"] is None


def test_balance_is_mean_over_fastest() -> None:
    """(70 + 100 + 100 + 100) / 4 / 100 = 0.925 is even; with two slow ones 0.85 is not."""
    assert figure(70.0, 100.0, 100.0, 100.0).balance == 0.925
    uneven = figure(70.0, 70.0, 100.0, 100.0)
    assert uneven.balance == 0.85
    assert "BALANCE" in codes(uneven)


def test_a_fleet_without_trouble_passes_and_one_member_is_unknown() -> None:
    assert codes(figure(99.0, 100.0)) == ["FLEET_EVEN"]
    assert codes(figure(99.0)) == ["NOTHING_TO_COMPARE"]
    assert codes() == ["NOTHING_TO_COMPARE"]


@pytest.mark.parametrize(
    ("slow", "cause"),
    [
        ({"clock_mhz": 900.0, "temperature_celsius": 91.0}, "900 MHz at 91 C, the others at 1500"),
        ({"clock_mhz": 1500.0, "settled": False}, "another process shares the device"),
        ({"clock_mhz": 1500.0}, "its clock explains nothing"),
    ],
    ids=["hot-and-slow", "shared", "neither"],
)
def test_the_likeliest_cause_is_named(slow: dict[str, Any], cause: str) -> None:
    members = (
        Member("slow", 50.0, **slow),
        *(Member(f"n{at}", 100.0, clock_mhz=1500.0) for at in range(3)),
    )
    (straggler, *_) = fleet.judge([Ranked("NVIDIA L4", "copy", "GB/s", members)])
    assert straggler.code == "STRAGGLER"
    assert straggler.evidence.startswith("slow: 50 GB/s copy")
    assert cause in straggler.evidence


def test_the_gpus_of_a_node_are_compared_by_kind() -> None:
    speeds = [
        Speed(0, "NVIDIA L4", 8192, "bf16", 100.0, 250.0, True),
        Speed(1, "NVIDIA L4", 8192, "bf16", 50.0, 250.0, True),
        Speed(2, "NVIDIA T4", 8192, "bf16", 10.0, 200.0, True),
    ]
    product, copy = ranked(speeds)
    assert [member.where for member in product.stragglers] == ["gpu 1"]
    assert copy.stragglers == ()


SMI = """\
0, 1980, 690.5, 65, 0x0000000000000004, 700.00, 700.00
1, [N/A], 70.00, 40, 0x0000000000000040, [N/A], [N/A]
Failed to read the rest
"""


def test_clocks_are_noted_under_work_and_reasons_are_gathered() -> None:
    """The reading at rest (70 of 690 W) is left out; what the driver does not tell is None."""
    readings = clocks.parse(SMI) + clocks.parse(
        "0, 1200, 70.0, 40, 0x1, 700, 700\n0, 1900, 650, 67, 0x8, 700, 700"
    )
    first, second = clocks.note(readings)
    assert first == clocks.Noted(0, 1940.0, 670.25, 66.0, 0xC, 2, 700.0, 700.0)
    assert (second.clock_mhz, second.power_watts, second.event_reasons) == (None, 70.0, 0x40)


@pytest.mark.parametrize(
    ("lines", "setting"),
    [
        # The second device draws more: it is the one that works, whatever torch calls it.
        (
            ["0, 300, 60, 30, 0x4, 300, 700", "1, 1200, 300, 50, 0x4, 300, 700"],
            "its power limit was lowered to 300 of 700 W and held it back",
        ),
        (["0, 900, 400, 50, 0x2, 700, 700"], "application or locked clocks held it back"),
        # At its default limit a device under heavy products is capped too: that is no setting.
        (["0, 1500, 699, 60, 0x4, 700, 700"], None),
        (["0, 1980, 300, 60, 0x0, 300, 700"], None),
        (["0, 1980, [N/A], 60, 0x2, [N/A], [N/A]"], None),
        ([], None),
    ],
)
def test_what_somebody_set_is_told_from_a_defect(lines: list[str], setting: str | None) -> None:
    assert clocks.setting_of_busiest(clocks.parse("\n".join(lines))) == setting


def results(directory: Path, rates: dict[str, float]) -> list[Path]:
    """One real result, copied for nodes that are so much faster or slower."""
    flags = ("--seconds", "0.5", "--sizes", "64", "--device", "cpu")
    run_probe(directory, "benchmark", *flags)
    original = json.loads((directory / "envelope.json").read_text(encoding="utf-8"))
    original["result"]["matmul"][0]["settled"] = True
    paths = []
    for node, factor in rates.items():
        copy = json.loads(json.dumps(original))
        copy["node"] = node
        copy["result"]["matmul"][0]["gflops"] *= factor
        paths.append(directory / f"{node}.json")
        paths[-1].write_text(json.dumps(copy), encoding="utf-8")
    return paths


def compared(directory: Path, *paths: Path) -> tuple[int, Envelope]:
    output = directory / "compared.json"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "infertune_probes.benchmark", "compare"),
            *map(str, paths),
            *("--output", str(output)),
        ],
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert output.exists(), done.stderr.decode()
    return done.returncode, parse_envelope(output.read_bytes())


def test_results_of_five_nodes_are_compared_and_the_slow_one_is_named(tmp_path: Path) -> None:
    rates = {"a": 1.0, "b": 1.01, "c": 0.99, "d": 1.0, "slow": 0.6}
    code, envelope = compared(tmp_path, *results(tmp_path, rates))
    comparison = envelope.result
    assert isinstance(comparison, BenchmarkComparison)
    assert (code, [f.code for f in envelope.findings]) == (0, ["STRAGGLER"])
    assert envelope.findings[0].evidence.startswith("slow: ")
    names = [one.figure for one in comparison.figures]
    assert names == ["matmul_64_fp32", "copy"]
    stragglers = [m.where for m in comparison.figures[0].members if m.straggler]
    assert stragglers == ["slow"]


def test_a_file_of_another_probe_is_refused_by_name(tmp_path: Path) -> None:
    run_probe(tmp_path, "system", "--window", "0.1")
    path = (tmp_path / "envelope.json").rename(tmp_path / "system.json")
    code, envelope = compared(tmp_path, path)
    assert (code, envelope.verdict) == (2, "unknown")
    assert envelope.findings[0].evidence == (
        f"{path}: no benchmark of one node, but of probe 'system'"
    )


def test_a_file_that_is_no_envelope_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "rubbish.json"
    path.write_text("{", encoding="utf-8")
    code, envelope = compared(tmp_path, path, tmp_path / "absent.json")
    assert (code, str(path) in envelope.findings[0].evidence) == (2, True)
