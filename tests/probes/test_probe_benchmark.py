"""The benchmark probe: its clockwork on a fake clock, and the real thing for a moment."""

from __future__ import annotations

import math
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from infertune_probes.benchmark import judgement, plan
from infertune_probes.benchmark.timing import agree, time_operation
from infertune_probes.contract.host import cpu_limit, memory_limit_bytes, usable_cores
from infertune_probes.contract.load import parse_envelope
from infertune_probes.contract.load_result import BenchmarkResult
from tests.probes.running import run_probe, until_it_handles

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Clock:
    """A clock that moves only when an operation takes its time."""

    def __init__(self, durations: Iterator[float]) -> None:
        self.now = 0.0
        self._durations = durations

    def __call__(self) -> float:
        return self.now

    def operate(self) -> None:
        self.now += next(self._durations)


def repeat(*first: float, then: float) -> Iterator[float]:
    yield from first
    while True:
        yield then


def test_warm_up_is_dropped_and_the_median_is_of_settled_times() -> None:
    """Three slow groups of three, then 0.1 s each: the median is 0.1 and it had settled."""
    clock = Clock(repeat(*[0.9] * 3, *[0.5] * 3, *[0.2] * 3, then=0.1))
    timing = time_operation(clock.operate, clock, warmup_seconds=60.0, measure_seconds=1.0)
    figures = (timing.q1_seconds, timing.median_seconds, timing.q3_seconds, timing.mean_seconds)
    assert figures == pytest.approx((0.1, 0.1, 0.1, 0.1))
    assert timing.settled
    assert timing.repeats in (10, 11)


def test_a_device_that_counts_its_own_time_is_believed() -> None:
    """The clock sees a second a call, launch and flush included; the device counts 0.25 s."""
    clock = Clock(repeat(then=1.0))

    def operate() -> float:
        clock.operate()
        return 0.25

    timing = time_operation(operate, clock, warmup_seconds=60.0, measure_seconds=10.0)
    assert (timing.median_seconds, timing.repeats) == (0.25, 10)


def test_what_never_settles_says_so() -> None:
    def growing() -> Iterator[float]:
        step = 0.1
        while True:
            yield step
            step *= 1.05

    clock = Clock(growing())
    timing = time_operation(clock.operate, clock, warmup_seconds=3.0, measure_seconds=0.1)
    assert (timing.settled, timing.repeats) == (False, 5)


def test_three_medians_within_one_percent_agree() -> None:
    assert agree([1.000, 1.009, 1.002])
    assert not agree([1.000, 1.011, 1.002])
    assert not agree([1.0, 1.0])


def a_point(size: int = 512, seconds: float = 0.001, error: float = 1e-7) -> plan.Point:
    return plan.Point(size, "fp32", 268.4, 9, (seconds, seconds, seconds), True, error)


def test_a_size_that_cannot_fit_is_left_out() -> None:
    """1 ms at 512 predicts 8 ms at 1024; 14 products are 112 ms: a share of 60 fits, 50 not."""
    assert plan.fits(a_point(), 1024, 0.060)
    assert not plan.fits(a_point(), 1024, 0.050)
    assert plan.fits(None, 8192, 0.001)


@pytest.mark.parametrize("error", [0.5, math.nan, math.inf])
def test_a_wrong_product_is_a_failure_even_when_it_is_not_a_number(error: float) -> None:
    findings = judgement.findings_of([a_point(), a_point(1024, error=error)], [])
    assert [(f.code, f.verdict) for f in findings] == [("RESULT_WRONG", "fail")]
    wire = a_point(error=error).to_json()["maxRelativeError"]
    assert wire == (error if math.isfinite(error) else None)


def test_nothing_measured_is_not_zero() -> None:
    (measurement,) = judgement.measurements_of([])
    assert (measurement.value, measurement.reason) == (None, "no size was measured")


def test_a_real_run_measures_and_checks_itself(tmp_path: Path) -> None:
    flags = ("--seconds", "1.5", "--sizes", "64,128", "--device", "cpu")
    ran = run_probe(tmp_path, "benchmark", *flags)
    result = ran.envelope.result
    assert isinstance(result, BenchmarkResult)
    assert ran.exit_code == 0
    assert (result.backend, result.device, result.threads) == ("numpy", "cpu", usable_cores())
    for point in result.matmul:
        assert point.max_relative_error is not None
        assert point.max_relative_error < 1e-4
        # 2 n^3 operations per product.
        assert point.gflops == pytest.approx(2 * point.size**3 / point.median_seconds / 1e9)
        assert point.peak_share is None, "no table holds the peak of a CPU"
        assert point.intensity_flops_per_byte == pytest.approx(point.size / 6)
    assert result.best_gflops == {"fp32": max(point.gflops for point in result.matmul)}
    assert {stream.name for stream in result.streams} == {"copy", "triad"}
    assert result.roofline is not None
    assert result.roofline.ridge_flops_per_byte == pytest.approx(
        result.roofline.gflops / (result.copy_gigabytes_per_second or 0.0)
    )
    values = {m.name: (m.value, m.unit) for m in ran.envelope.measurements}
    assert set(values) == {
        "host_copy_bandwidth",
        "host_triad_bandwidth",
        "matmul_64_fp32",
        "matmul_128_fp32",
        "matmul_best",
        "cores_granted",
    }
    assert all(value is not None and value > 0 for value, _ in values.values())


def test_cuda_asked_for_and_not_there_cannot_run(tmp_path: Path) -> None:
    pytest.importorskip("numpy")
    if _torch_sees_cuda():
        pytest.skip("this machine has a CUDA device")
    ran = run_probe(tmp_path, "benchmark", "--device", "cuda", "--sizes", "64")
    assert (ran.exit_code, ran.codes) == (2, ["NO_DEVICE"])


def _torch_sees_cuda() -> bool:
    try:
        import torch
    except ImportError:
        return False
    return bool(torch.cuda.is_available())


@pytest.mark.parametrize(
    ("files", "cpus", "memory"),
    [
        pytest.param({"cpu.max": "150000 100000", "memory.max": "1048576"}, 1.5, 1048576, id="v2"),
        pytest.param({"cpu.max": "max 100000", "memory.max": "max"}, None, None, id="v2-unlimited"),
        pytest.param(
            {
                "cpu/cpu.cfs_quota_us": "50000",
                "cpu/cpu.cfs_period_us": "100000",
                "memory/memory.limit_in_bytes": "9223372036854771712",
            },
            0.5,
            None,
            id="v1",
        ),
        pytest.param({"cpu/cpu.cfs_quota_us": "-1"}, None, None, id="v1-unlimited"),
        pytest.param({"cpu.max": "rubbish"}, None, None, id="unreadable"),
        pytest.param({}, None, None, id="absent"),
    ],
)
def test_cgroup_limits_are_read_or_not_known(
    tmp_path: Path, files: dict[str, str], cpus: float | None, memory: int | None
) -> None:
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert (cpu_limit(tmp_path), memory_limit_bytes(tmp_path)) == (cpus, memory)
    assert usable_cores(tmp_path) >= 1
    if cpus is not None:
        assert usable_cores(tmp_path) == 1


def test_sigterm_gives_a_partial_envelope(tmp_path: Path) -> None:
    output = tmp_path / "envelope.json"
    flags = ("--seconds", "300", "--sizes", "32,64", "--device", "cpu", "--output", str(output))
    command = [sys.executable, "-m", "infertune_probes.benchmark", *flags]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        until_it_handles(signal.SIGTERM, process.pid)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)
    envelope = parse_envelope(output.read_bytes())
    assert (process.returncode, envelope.partial) == (2, True)
    assert "INTERRUPTED" in {finding.code for finding in envelope.findings}


def test_an_envelope_goes_through_a_pipe_into_the_validator() -> None:
    probe = [sys.executable, "-m", "infertune_probes.benchmark", "--device", "cpu"]
    made = subprocess.run(
        [*probe, "--seconds", "0.5", "--sizes", "32,64", "--output", "-"],
        capture_output=True,
        timeout=60,
        check=True,
    )
    validator = [sys.executable, "-m", "infertune_probes.contract", "validate", "-"]
    told = subprocess.run(
        validator, input=made.stdout, capture_output=True, timeout=60, check=True
    ).stdout.decode()
    assert "probe benchmark" in told
