"""The published peaks, by the names that drivers give."""

from __future__ import annotations

import pytest

from infertune_probes.contract.gpu_peaks import DTYPES, peak_of


@pytest.mark.parametrize(
    ("name", "sku"),
    [
        ("Tesla T4", "T4"),
        ("Tesla V100-SXM2-32GB", "V100-SXM2"),
        ("NVIDIA A10", "A10"),
        ("NVIDIA A10G", "A10G"),
        ("NVIDIA A100-SXM4-40GB", "A100-40"),
        ("NVIDIA A100 80GB PCIe", "A100-80-PCIe"),
        ("NVIDIA L4", "L4"),
        ("NVIDIA L40S", "L40S"),
        ("NVIDIA H100 80GB HBM3", "H100-SXM"),
        ("NVIDIA H100 NVL", "H100-NVL"),
        ("NVIDIA H200", "H200-SXM"),
    ],
)
def test_a_device_is_known_by_its_whole_name(name: str, sku: str) -> None:
    peak = peak_of(name)
    assert peak is not None
    assert peak.sku == sku


@pytest.mark.parametrize(
    "name",
    [
        "NVIDIA A100-SXM4-40GB MIG 1g.5gb",
        "NVIDIA GeForce RTX 4090 Laptop GPU",
        "NVIDIA H200 NVL",
        "NVIDIA L40",
        "cpu",
        "",
    ],
)
def test_a_name_that_is_only_alike_is_not_guessed(name: str) -> None:
    assert peak_of(name) is None


def test_the_row_of_an_h100_is_the_datasheets_without_sparsity() -> None:
    peak = peak_of("NVIDIA H100 80GB HBM3")
    assert peak is not None
    assert {dtype: peak.tflops(dtype) for dtype in DTYPES} == {
        "fp32": 67.0,
        "tf32": 495.0,
        "bf16": 989.0,
        "fp16": 989.0,
        "int8": 1979.0,
        "fp8": 1979.0,
    }
    assert (peak.memory_gb, peak.memory_gb_per_second, peak.power_capped) == (80.0, 3350.0, False)
    assert peak.tflops("fp4") is None


def test_a_type_without_units_has_no_peak() -> None:
    peak = peak_of("Tesla T4")
    assert peak is not None
    assert (peak.tflops("bf16"), peak.tflops("fp16"), peak.power_capped) == (None, 65.0, True)
