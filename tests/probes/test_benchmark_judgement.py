"""How near to the peak is near enough, and what is left out of a sweep and why."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from infertune_probes.benchmark import judgement, plan
from infertune_probes.benchmark.__main__ import _sweep
from infertune_probes.benchmark.backends import Unsupported
from infertune_probes.benchmark.plan import Point, Stream, Swept
from infertune_probes.contract.emit import Sinks
from infertune_probes.contract.gpu_peaks import peak_of
from infertune_probes.contract.load import parse_envelope
from infertune_probes.contract.load_result import BenchmarkResult
from infertune_probes.contract.session import ProbeSession, Stopped

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

H100 = "NVIDIA H100 80GB HBM3"


def product(
    dtype: str = "bf16", tflops: float = 800.0, size: int = 8192, error: float = 0.0
) -> Point:
    return Point(size, dtype, 1e3 * tflops, 20, (0.0014, 0.0014, 0.0014), True, error, 0.0014)


def copied(rate: float) -> list[Stream]:
    return [Stream("copy", rate, rate, rate, 9)]


def judged(device: str, points: list[Point], copy: float) -> list[tuple[str, str]]:
    peak = peak_of(device)
    shared = judgement.with_shares(points, peak)
    found = judgement.against_peak(device, shared, copied(copy), peak)
    return [(finding.code, finding.verdict) for finding in found]


@pytest.mark.parametrize(
    ("tflops", "copy", "verdicts"),
    [
        # 989 TFLOP/s and 3350 GB/s: 798 is 0.81, 3000 is 0.90.
        pytest.param(798.0, 3000.0, ("pass", "pass"), id="a-healthy-h100"),
        pytest.param(989.0 * 0.70, 3350.0 * 0.80, ("pass", "pass"), id="just-enough"),
        pytest.param(989.0 * 0.69, 3350.0 * 0.79, ("warn", "warn"), id="a-little-less"),
        pytest.param(989.0 * 0.54, 3350.0 * 0.64, ("fail", "fail"), id="far-too-little"),
    ],
)
def test_bands_against_the_published_peak(
    tflops: float, copy: float, verdicts: tuple[str, str]
) -> None:
    found = judged(H100, [product(tflops=tflops)], copy)
    assert found == [("GEMM_SHARE", verdicts[0]), ("COPY_SHARE", verdicts[1])]


def test_a_card_under_a_power_cap_warns_at_the_worst() -> None:
    found = judged("NVIDIA L4", [product(tflops=20.0)], 100.0)
    assert found == [("GEMM_SHARE", "warn"), ("COPY_SHARE", "warn")]


def test_a_device_that_somebody_holds_back_is_slow_and_not_broken() -> None:
    """Far below 55 % of the peak: a failure, unless a setting explains it."""
    peak, setting = peak_of(H100), "its power limit was lowered to 300 of 700 W and held it back"
    points = judgement.with_shares([product(tflops=400.0)], peak)
    (gemm, copy) = judgement.against_peak(H100, points, copied(3000.0), peak, setting)
    assert (gemm.verdict, copy.verdict) == ("warn", "pass")
    assert gemm.evidence.endswith(f"40 % of 989 of the H100-SXM; {setting}")
    assert "nvidia-smi -pl" in (gemm.fix or "")


def test_an_unknown_gpu_is_unknown_and_never_a_pass() -> None:
    assert judged("NVIDIA Q9000", [product()], 9e9) == [("PEAK_UNKNOWN", "unknown")]


def test_small_products_are_no_verdict() -> None:
    """At 1000 a healthy GPU is far below its peak; that says nothing about it."""
    found = judged(H100, [product(tflops=100.0, size=1000)], 3000.0)
    assert found == [("GEMM_SHARE", "unknown"), ("COPY_SHARE", "pass")]


def test_the_tensor_type_is_judged_before_plain_fp32() -> None:
    points = [product("fp32", 10.0), product("int8", 400.0), product("bf16", 800.0)]
    assert judged(H100, points, 3000.0)[0] == ("GEMM_SHARE", "pass")
    shares = [p.peak_share for p in judgement.with_shares(points, peak_of(H100))]
    assert shares == pytest.approx([10 / 67, 400 / 1979, 800 / 989])


@pytest.mark.parametrize(
    ("dtype", "error", "verdict"),
    [
        ("int8", 0.0, "pass"),
        ("int8", 1e-9, "fail"),
        ("fp8", 0.03, "pass"),
        ("tf32", 5e-4, "pass"),
        ("fp32", 2e-3, "fail"),
    ],
)
def test_a_product_is_right_within_the_rounding_of_its_type(
    dtype: str, error: float, verdict: str
) -> None:
    assert judgement.findings_of([product(dtype, error=error)], [])[0].verdict == verdict


@pytest.mark.parametrize(
    ("granted", "promised", "verdict"),
    [(1.85, 2, "pass"), (1.75, 2, "warn"), (None, 2, "unknown")],
)
def test_processors_granted(granted: float | None, promised: int, verdict: str) -> None:
    (finding,) = judgement.cores_finding(granted, promised)
    assert (finding.code, finding.verdict) == ("CORES_GRANTED", verdict)


def test_the_roofline_has_its_ridge_where_both_bounds_meet() -> None:
    """800 TFLOP/s over 3,200 GB/s: at 250 operations a byte."""
    roof = judgement.roofline([product(), product("fp32", 50.0)], copied(3200.0))
    assert roof == {
        "dtype": "bf16",
        "gflops": 800_000.0,
        "gigabytesPerSecond": 3200.0,
        "ridgeFlopsPerByte": 250.0,
    }
    assert judgement.roofline([], copied(1.0)) is None
    assert judgement.roofline([product()], []) is None


def test_intensity_by_the_bytes_of_the_type() -> None:
    """2 n^3 operations over 3 n^2 cells: n/6 at four bytes, n/3 at two, 2n/3 at one."""
    sizes = [
        replace(product(), size=600, dtype=dtype).intensity for dtype in ("fp32", "fp16", "int8")
    ]
    assert sizes == [100.0, 200.0, 400.0]


class SmallMachine:
    """A device with 100 MiB, on which a product takes no time but fp8 does not exist."""

    name, device, dtypes = "numpy", "cpu", ("fp32", "fp8")

    def room_bytes(self) -> int | None:
        return 100 << 20

    def size_for(self, size: int, dtype: str) -> int:
        return size

    def needed_bytes(self, size: int, dtype: str) -> int:
        return 12 * size * size

    def prepare(self, size: int, dtype: str) -> None:
        if dtype == "fp8":
            raise Unsupported("no units for it")

    def multiply(self) -> float | None:
        return 1e-3

    def relative_error(self) -> float:
        return 0.0

    def streams(self, size_bytes: int) -> dict[str, tuple[int, Callable[[], float | None]]]:
        return {"copy": (2 * size_bytes, lambda: 1e-3)}


def test_what_is_left_out_is_named_with_its_reason() -> None:
    """3,000 x 3,000 needs 103 MiB of the 80 that may be taken."""
    swept = Swept()
    plan.sweep(SmallMachine(), (100, 3000), plan.Budget(0.01, time.perf_counter), swept)
    assert [(point.size, point.dtype) for point in swept.points] == [(100, "fp32")]
    assert swept.left_out == [
        "3000 fp32 (memory: needs 102 MiB of 100)",
        "100 fp8 (no units for it)",
        "3000 fp8 (memory: needs 102 MiB of 100)",
    ]
    (finding,) = [
        f for f in judgement.findings_of(swept.points, swept.left_out) if f.verdict == "warn"
    ]
    assert finding.code == "SIZES_LEFT_OUT"


class Interrupted(SmallMachine):
    """The same, told to stop in the second size."""

    def __init__(self) -> None:
        self.size = 0

    def prepare(self, size: int, dtype: str) -> None:
        self.size = size

    def multiply(self) -> float | None:
        if self.size > 100:
            raise Stopped
        return 1e-3


def test_what_was_measured_before_a_stop_is_told(tmp_path: Path) -> None:
    sinks = Sinks(str(tmp_path / "envelope.json"), str(tmp_path / "termination"))
    with ProbeSession("benchmark", sinks) as session:
        session.result = {
            "kind": "benchmark",
            "device": "cpu",
            "backend": "numpy",
            "threads": 1,
            "seed": 1,
        }
        budget = plan.Budget(0.1, time.perf_counter)
        _sweep(Interrupted(), (100, 200), budget, Swept(), session)
    envelope = parse_envelope((tmp_path / "envelope.json").read_bytes())
    assert envelope.partial
    assert isinstance(envelope.result, BenchmarkResult)
    assert [point.size for point in envelope.result.matmul] == [100]
    assert [f.code for f in envelope.findings] == ["BENCHMARK_MEASURED", "INTERRUPTED"]


def test_streams_shrink_with_the_memory() -> None:
    """Four buffers within 80 % of what is free, at most 128 MiB each."""
    assert plan.stream_bytes(None) == 128 << 20
    assert plan.stream_bytes(100 << 20) == 20 << 20
    assert plan.stream_bytes(0) == 1 << 20
    (stream,) = plan.measure_streams(SmallMachine(), plan.Budget(0.01, time.perf_counter))
    assert stream.gigabytes_per_second == pytest.approx(2 * (20 << 20) / 1e-3 / 1e9)
