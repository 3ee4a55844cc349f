"""What a limit, a start and an image cost: by hand, and a real quota where one can be set."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from infertune_probes.benchmark import overhead, sandbox
from infertune_probes.benchmark.overhead import Loss
from infertune_probes.contract.benchmark_result import BenchmarkOverhead
from infertune_probes.contract.start_up import startup_split
from tests.probes.running import Ran, run_probe

if TYPE_CHECKING:
    from pathlib import Path

DEVEL = "nvidia/cuda:12.6.0-cudnn-devel-ubuntu22.04"


def test_the_loss_of_pairs_is_their_median() -> None:
    """10 %, 20 % and 12 % of the free run beside it: 12 %; free runs 2 % apart."""
    loss = overhead.paired_loss([100.0, 101.0, 99.0], [90.0, 80.8, 87.12], 0.5)
    assert loss is not None
    assert (loss.percent, loss.throttled_share, loss.pairs) == (pytest.approx(12.0), 0.5, 3)
    assert loss.noise_percent == pytest.approx(2.0)
    assert overhead.paired_loss([], [], None) is None


def test_the_loss_by_the_kernels_count() -> None:
    """8 s used and 2 s stopped of 10 wanted."""
    loss = overhead.throttled_loss(8.0, 2.0, 0.4)
    assert loss == Loss("throttledTime", 20.0, 0.4, 1)
    assert overhead.throttled_loss(0.0, 0.0, None) is None


@pytest.mark.parametrize(
    ("percent", "noise", "code", "verdict"),
    [
        (2.9, 1.0, "OVERHEAD", "pass"),
        (3.1, 1.0, "OVERHEAD", "warn"),
        (15.1, 1.0, "OVERHEAD", "fail"),
        (-4.0, 1.0, "OVERHEAD", "pass"),
        (2.0, 8.0, "OVERHEAD_UNKNOWN", "unknown"),
        (-40.0, 60.0, "OVERHEAD_UNKNOWN", "unknown"),
        (50.0, 20.0, "OVERHEAD", "fail"),
    ],
)
def test_verdict_of_a_loss(percent: float, noise: float, code: str, verdict: str) -> None:
    finding = overhead.judge_loss(Loss("paired", percent, 0.1, 3, noise), 1.5)
    assert (finding.code, finding.verdict) == (code, verdict)


def test_a_fraction_of_a_processor_is_advised_up_to_a_whole_one() -> None:
    assert '"2"' in overhead.judge_loss(Loss("paired", 20.0, 0.1, 3), 1.5).fix


def test_the_way_to_the_first_answer_by_phase() -> None:
    times = {"scheduled": 100.0, "pulled": 130.0, "started": 131.0, "ready": 190.0, "answered": 191}
    phases = startup_split(times)
    assert phases == {"pull": 30.0, "start": 1.0, "load": 59.0, "first_answer": 1.0}
    finding = overhead.judge_startup(phases, 5_000_000_000)
    assert (finding.verdict, finding.evidence) == (
        "pass",
        "pull 30.0 s, start 1.0 s, load 59.0 s, first answer 1.0 s; image 5.00 GB",
    )


def test_a_phase_without_both_times_or_backwards_is_not_known() -> None:
    phases = startup_split({"scheduled": 10.0, "pulled": 9.0, "started": 12.0})
    assert phases == {"pull": None, "start": 3.0, "load": None, "first_answer": None}
    assert overhead.judge_startup(phases, None).verdict == "unknown"


@pytest.mark.parametrize(
    ("reference", "labels", "found"),
    [
        (DEVEL, {}, True),
        ("registry.example:5000/pytorch/pytorch:2.7.0-cuda12.6-cudnn9-devel", {}, True),
        ("example/server:1", {"org.opencontainers.image.base.name": DEVEL}, True),
        ("nvidia/cuda:12.6.0-cudnn-runtime-ubuntu22.04", {}, False),
        ("registry.example:5000/devel/server:1.2", {}, False),
        ("example/server:develop", {}, False),
    ],
)
def test_a_devel_base_is_told_by_tag_or_label(
    reference: str, labels: dict[str, str], found: bool
) -> None:
    findings = overhead.judge_image(reference, labels)
    assert [f.code for f in findings] == (["IMAGE_DEVEL"] if found else [])
    if found:
        assert "-runtime" in findings[0].fix


def test_our_own_group_in_both_versions(tmp_path: Path) -> None:
    self_v2, self_v1 = tmp_path / "self2", tmp_path / "self1"
    self_v2.write_text("0::/kubepods/box\n", encoding="utf-8")
    self_v1.write_text("4:cpu,cpuacct:/kubepods/box\n0::/\n", encoding="utf-8")
    v2, v1 = tmp_path / "v2", tmp_path / "v1"
    (v2 / "kubepods" / "box").mkdir(parents=True)
    (v2 / "cgroup.controllers").write_text("cpu\n", encoding="utf-8")
    (v1 / "cpu,cpuacct").mkdir(parents=True)
    assert sandbox.own_folder(v2, self_v2) == v2 / "kubepods" / "box"
    # The host's path is not visible here: the top is our own part of the tree.
    assert sandbox.own_folder(v1, self_v1) == v1 / "cpu,cpuacct"
    assert sandbox.own_folder(v1, tmp_path / "absent") is None


def test_counters_of_both_versions_in_seconds(tmp_path: Path) -> None:
    stat = tmp_path / "cpu.stat"
    stat.write_text("nr_periods 10\nnr_throttled 4\nthrottled_time 2500000000\n", encoding="utf-8")
    assert sandbox.read_counters(tmp_path) == sandbox.Counted(10, 4, 2.5, None)
    stat.write_text(
        "usage_usec 3000000\nnr_periods 10\nnr_throttled 4\nthrottled_usec 500000\n",
        encoding="utf-8",
    )
    assert sandbox.read_counters(tmp_path) == sandbox.Counted(10, 4, 0.5, 3.0)
    stat.write_text("usage_usec 3000000\n", encoding="utf-8")
    assert sandbox.read_counters(tmp_path) is None


def test_the_group_is_made_beside_ours_and_is_gone_afterwards(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.write_text("0::/pod/box\n", encoding="utf-8")
    root = tmp_path / "root"
    (root / "pod" / "box").mkdir(parents=True)
    (root / "cgroup.controllers").write_text("cpu\n", encoding="utf-8")
    with sandbox.own_group(root, own) as group:
        assert group.parent == root / "pod"
        assert group.is_dir()
    assert [path.name for path in (root / "pod").iterdir()] == ["box"]


def test_where_no_group_can_be_made_the_reason_names_the_folder(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.write_text("0::/\n", encoding="utf-8")
    (tmp_path / "cgroup.controllers").write_text("cpu\n", encoding="utf-8")
    taken = tmp_path / f"infertune-overhead-{os.getpid()}"
    taken.write_text("", encoding="utf-8")
    with (
        pytest.raises(sandbox.CannotLimit, match="File exists"),
        sandbox.own_group(tmp_path, own),
    ):
        pytest.fail("it was made")


def test_a_group_without_the_controller_cannot_be_limited(tmp_path: Path) -> None:
    with pytest.raises(sandbox.CannotLimit, match="no CPU controller"):
        sandbox.limit(tmp_path, 0.5)


def run_overhead(directory: Path, *flags: str) -> Ran:
    return run_probe(directory, "benchmark", "overhead", *flags)


def test_a_quota_of_a_quarter_costs_most_of_the_work(tmp_path: Path) -> None:
    """Where a group can be made (root on cgroup v1 or v2); elsewhere it says so, and why."""
    flags = ("--cpu-limit", "0.25", "--seconds", "1", "--pairs", "1", "--size", "128")
    ran = run_overhead(tmp_path, *flags)
    result = ran.envelope.result
    assert isinstance(result, BenchmarkOverhead)
    (finding,) = ran.envelope.findings
    if finding.code == "OVERHEAD_UNKNOWN":
        assert "infertune-overhead" in finding.evidence or "controller" in finding.evidence
        assert (ran.exit_code, result.lost_percent) == (0, None)
        return
    assert (ran.exit_code, finding.code, finding.verdict) == (1, "OVERHEAD", "fail")
    assert result.lost_percent is not None
    assert 30.0 < result.lost_percent < 95.0
    assert (result.throttled_share or 0.0) > 0.2


def test_facts_of_the_pod_come_from_the_caller(tmp_path: Path) -> None:
    times = json.dumps({"scheduled": 0, "pulled": 30, "started": 31, "ready": 90, "answered": 92})
    flags = ("--image", DEVEL, "--image-bytes", "9000000000", "--times", times)
    quick = ("--cpu-limit", "1", "--seconds", "0.1", "--pairs", "1", "--size", "32")
    ran = run_overhead(tmp_path, *flags, *quick)
    result = ran.envelope.result
    assert isinstance(result, BenchmarkOverhead)
    assert ran.codes[:2] == ["IMAGE_DEVEL", "STARTUP_SPLIT"]
    assert result.start_up is not None
    assert result.start_up.model_dump() == {
        "pull": 30.0,
        "start": 1.0,
        "load": 59.0,
        "first_answer": 2.0,
    }
    assert result.image_bytes == 9_000_000_000


@pytest.mark.parametrize(
    "flags",
    [
        ("--times", "{"),
        ("--times", '{"created": 1}'),
        ("--times", '{"ready": NaN}'),
        ("--cpu-limit", "0"),
        ("--pairs", "0"),
    ],
)
def test_a_bad_flag_is_refused_with_its_value(flags: tuple[str, str]) -> None:
    command = [sys.executable, "-m", "infertune_probes.benchmark", "overhead", *flags]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, repr(flags[1]) in done.stderr) == (2, True)
