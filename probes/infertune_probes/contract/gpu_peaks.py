"""What NVIDIA publishes as the peak of a GPU, by the name that its driver gives it.

Emit side: standard library only, Python 3.8; the operator's core reads the same table. Dense rates
in TFLOP/s (int8: TOP/s), memory in GB and GB/s, from NVIDIA's datasheets and whitepapers; where a
sheet prints only the rate with sparsity, half of it. It must not guess: a name that is not exactly
known, a MIG slice or a laptop part has no row, and the judgement then says unknown. Trade-off:
figures that sheets contradict each other about (fp32 and tf32 of the B200) are left out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

DTYPES = ("fp32", "tf32", "bf16", "fp16", "int8", "fp8")


@dataclass(frozen=True)
class Peak:
    """The dense peaks of one product; None: not published, or not supported.

    `power_capped`: cards whose power limit, not their units, bounds a long product.
    """

    sku: str
    fp32: float | None
    tf32: float | None
    bf16: float | None
    fp16: float | None
    int8: float | None
    fp8: float | None
    memory_gb: float
    memory_gb_per_second: float
    power_capped: bool = False

    def tflops(self, dtype: str) -> float | None:
        """Return the peak of a number type of `DTYPES`; None when there is none."""
        rates = (self.fp32, self.tf32, self.bf16, self.fp16, self.int8, self.fp8)
        return dict(zip(DTYPES, rates)).get(dtype)  # noqa: B905  # strict is Python 3.10


_H100 = (67.0, 495.0, 989.0, 989.0, 1979.0, 1979.0)
_A100 = (19.5, 156.0, 312.0, 312.0, 624.0, None)
_V100_SXM2 = (15.7, None, None, 125.0, None, None)
_V100_PCIE = (14.0, None, None, 112.0, None, None)
_L4 = (30.3, 60.0, 121.0, 121.0, 242.0, 242.0)
_L40S = (91.6, 183.0, 362.0, 362.0, 733.0, 733.0)
# Pattern of the driver's whole name, and the row.
_TABLE = (
    (
        r"(Tesla|NVIDIA) T4",
        Peak("T4", 8.1, None, None, 65.0, 130.0, None, 16.0, 300.0, power_capped=True),
    ),
    (r"Tesla V100-SXM2-16GB", Peak("V100-SXM2", *_V100_SXM2, 16.0, 900.0)),
    (r"Tesla V100-SXM2-32GB", Peak("V100-SXM2", *_V100_SXM2, 32.0, 900.0)),
    (r"Tesla V100-PCIE-16GB", Peak("V100-PCIe", *_V100_PCIE, 16.0, 900.0)),
    (r"Tesla V100-PCIE-32GB", Peak("V100-PCIe", *_V100_PCIE, 32.0, 900.0)),
    (
        # 150 W, as little for its units as the L4 has.
        r"NVIDIA A10",
        Peak("A10", 31.2, 62.5, 125.0, 125.0, 250.0, None, 24.0, 600.0, power_capped=True),
    ),
    (r"NVIDIA A10G", Peak("A10G", 31.2, 35.0, 70.0, 70.0, 140.0, None, 24.0, 600.0)),
    (r"NVIDIA A30", Peak("A30", 10.3, 82.0, 165.0, 165.0, 330.0, None, 24.0, 933.0)),
    (r"(NVIDIA )?A100-(SXM4|PCIE)-40GB", Peak("A100-40", *_A100, 40.0, 1555.0)),
    (r"NVIDIA A100 80GB PCIe", Peak("A100-80-PCIe", *_A100, 80.0, 1935.0)),
    (r"NVIDIA A100-SXM4-80GB", Peak("A100-80-SXM", *_A100, 80.0, 2039.0)),
    (r"NVIDIA L4", Peak("L4", *_L4, 24.0, 300.0, power_capped=True)),
    (r"NVIDIA L40S", Peak("L40S", *_L40S, 48.0, 864.0, power_capped=True)),
    (
        r"NVIDIA H100 PCIe",
        Peak("H100-PCIe", 51.0, 378.0, 756.5, 756.5, 1513.0, 1513.0, 80.0, 2000.0),
    ),
    (
        r"NVIDIA H100 NVL",
        Peak("H100-NVL", 60.0, 418.0, 835.0, 835.0, 1671.0, 1671.0, 94.0, 3900.0),
    ),
    (r"NVIDIA H100 80GB HBM3", Peak("H100-SXM", *_H100, 80.0, 3350.0)),
    (r"NVIDIA H200", Peak("H200-SXM", *_H100, 141.0, 4800.0)),
    (
        r"NVIDIA B200",
        Peak("B200-SXM", None, None, 2250.0, 2250.0, 4500.0, 4500.0, 180.0, 7700.0),
    ),
    (
        r"NVIDIA GeForce RTX 4090",
        Peak("RTX-4090", 82.6, 82.6, 165.2, 165.2, 660.6, 330.3, 24.0, 1008.0),
    ),
    (
        r"NVIDIA RTX PRO 6000 Blackwell Server Edition",
        Peak("RTX-PRO-6000-SE", None, None, 467.8, 467.8, 935.6, 935.6, 96.0, 1792.0),
    ),
)


def peak_of(device_name: str) -> Peak | None:
    """Return the row of a device; None for a name that the table does not know exactly."""
    for pattern, peak in _TABLE:
        if re.fullmatch(pattern, device_name.strip()):
            return peak
    return None


def every_peak() -> tuple[Peak, ...]:
    """Return each product once, in the order of the table."""
    return tuple({peak.sku: peak for _, peak in _TABLE}.values())
