"""What a trace of a GPU means. Each story is small enough to be added up by hand."""

from pathlib import Path

import pytest

from infertune_probes.profiler.reading import Reading, Shares, Waiting, read
from tests.probes.profiler.cuda_traces import GEMM, POINTWISE, Script

HALF = {"Input type": ["c10::BFloat16", "c10::BFloat16"]}


def shares(reading: Reading) -> Shares:
    assert reading.shares is not None
    parts = reading.shares
    return Shares(
        *(round(part, 6) for part in (parts.work, parts.copy, parts.launch, parts.waiting))
    )


def test_short_kernels_between_long_preparations_are_launch_bound(tmp_path: Path) -> None:
    script = Script()
    script.inference(0, 100)
    for at in (10, 30, 50, 70):
        script.launch(at, (GEMM, at + 4, at + 9))
    reading = read(script.trace(tmp_path))
    # Four kernels of 5 us in 100 us; all other time the host is inside the marked call.
    assert (reading.bound, reading.confidence) == ("launch", "high")
    assert shares(reading) == Shares(0.2, 0.0, 0.8, 0.0)
    assert (reading.kernel_median_us, reading.launches_per_call) == (5.0, 4.0)


def test_time_between_calls_is_idle_and_not_the_hosts_fault(tmp_path: Path) -> None:
    script = Script()
    for at in (0, 900):
        script.inference(at, at + 20)
        script.launch(at + 2, (GEMM, at + 10, at + 60))
    reading = read(script.trace(tmp_path))
    # The window ends with the last kernel, at 960: 100 us of kernels, 2 x 10 us before them.
    assert reading.bound == "idle"
    assert shares(reading) == Shares(
        round(100 / 960, 6), 0.0, round(20 / 960, 6), round(840 / 960, 6)
    )


def test_copies_that_no_kernel_hides_are_copy_bound(tmp_path: Path) -> None:
    script = Script()
    script.inference(0, 100)
    script.launch(
        0, ("Memcpy HtoD (Pageable -> Device)", 5, 75), "aten::copy_", category="gpu_memcpy"
    )
    script.launch(10, (GEMM, 65, 95))
    reading = read(script.trace(tmp_path))
    # 70 us of copying, of which 10 stand beside the kernel of 30.
    assert reading.bound == "copy"
    assert shares(reading) == Shares(0.3, 0.6, 0.1, 0.0)


@pytest.mark.parametrize(
    ("dims", "bound", "confidence"),
    [
        # 2*8*4096*4096 / (2 * (8*4096 + 4096*4096 + 8*4096)) = 8 FLOP per byte: weights are read.
        ([[8, 4096], [4096, 4096]], "memory", "high"),
        # 4096/3 = 1365 FLOP per byte, above the ridge of every device in the table.
        ([[4096, 4096], [4096, 4096]], "compute", "high"),
        # 300*4096/(300+300+4096) = 262: above the ridge of an A100, below that of an H100.
        ([[300, 4096], [4096, 4096]], "compute", "low"),
    ],
    ids=["thin product", "full product", "between the ridges"],
)
def test_shapes_tell_a_thin_product_from_a_full_one(
    tmp_path: Path, dims: list[list[int]], bound: str, confidence: str
) -> None:
    script = Script()
    script.inference(0, 10)
    script.launch(0, (GEMM, 4, 100), **HALF, **{"Input Dims": dims})
    reading = read(script.trace(tmp_path))
    assert (reading.bound, reading.confidence) == (bound, confidence)
    assert reading.precisions == {"bf16": 1.0}


def test_without_shapes_a_product_counts_as_compute_with_low_confidence(tmp_path: Path) -> None:
    script = Script()
    script.inference(0, 10)
    script.launch(0, (GEMM, 4, 100))
    reading = read(script.trace(tmp_path))
    assert (reading.bound, reading.confidence) == ("compute", "low")
    assert "--mode detailed" in reading.why


def test_element_wise_kernels_are_memory_bound(tmp_path: Path) -> None:
    script = Script()
    script.inference(0, 10)
    script.launch(0, (POINTWISE, 4, 84), "aten::gelu")
    script.launch(5, (GEMM, 84, 104))
    reading = read(script.trace(tmp_path))
    assert (reading.bound, reading.confidence) == ("memory", "high")
    assert reading.kinds == {"gemm": 0.2, "pointwise": 0.8}


def test_waits_inside_the_call_are_told_and_the_profilers_own_is_not(tmp_path: Path) -> None:
    script = Script()
    script.inference(0, 60)
    script.launch(0, (GEMM, 4, 50))
    script.host("cpu_op", "aten::item", 6, 56)
    script.host("cuda_runtime", "cudaStreamSynchronize", 8, 52)
    script.host("cuda_runtime", "cudaDeviceSynchronize", 61, 62)
    reading = read(script.trace(tmp_path))
    assert reading.synchronisations == (
        Waiting("aten::item", 1, 50.0),
        Waiting("cudaStreamSynchronize", 1, 44.0),
    )


def test_a_data_loader_is_a_wait_and_not_a_late_host(tmp_path: Path) -> None:
    script = Script()
    script.inference(0, 100)
    script.host(
        "user_annotation", "enumerate(DataLoader)#_SingleProcessDataLoaderIter.__next__", 0, 80
    )
    script.launch(80, (GEMM, 84, 100))
    reading = read(script.trace(tmp_path))
    assert (reading.bound, reading.data_wait_share) == ("idle", 0.8)


def test_of_two_devices_the_busier_one_is_read(tmp_path: Path) -> None:
    script = Script()
    script.inference(0, 100)
    script.launch(0, (POINTWISE, 5, 15), "aten::gelu")
    script.launch(10, (GEMM, 20, 100))
    script.events[-1]["pid"] = 1
    assert shares(read(script.trace(tmp_path))).work == 0.8


def test_traffic_between_devices_that_fills_the_time_is_copying(tmp_path: Path) -> None:
    script = Script()
    script.inference(0, 10)
    script.launch(0, ("ncclDevKernel_AllReduce_Sum_bf16_RING_LL", 4, 90), "c10d::allreduce_")
    script.launch(4, (GEMM, 90, 100))
    assert read(script.trace(tmp_path)).bound == "copy"
