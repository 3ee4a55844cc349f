"""What is published about CUDA releases, drivers and torch wheels, as tables.

Emit side: standard library only, Python 3.8; the operator's core reads the same tables, so there is
one of each. It must not judge. Trade-off: Python literals instead of data files, so that pure code
reads them without I/O and a bundle of single files carries them; a release that is newer than a
table is judged by its major version, or not at all.
"""

from __future__ import annotations

from typing import NamedTuple


class Wheel(NamedTuple):
    """The default Linux wheel of one torch release and the libraries that it is built with."""

    torch: str
    cuda: str
    cudnn: str
    nccl: str | None
    python: str


# Release of the toolkit, and the driver that the Linux installer of its first release carries: that
# one is native to it. "CUDA Toolkit and Corresponding Driver Versions" of NVIDIA's CUDA release
# notes; checked against the installer names of 12.4, 12.9 and 13.1.
TOOLKITS = (
    ("13.1", "590.44.01"),
    ("13.0", "580.65.06"),
    ("12.9", "575.51.03"),
    ("12.8", "570.26"),
    ("12.6", "560.28.03"),
    ("12.5", "555.42"),
    ("12.4", "550.54.14"),
    ("12.3", "545.23.06"),
    ("12.2", "535.54.03"),
    ("12.1", "530.30.02"),
    ("12.0", "525.60.13"),
    ("11.8", "520.61.05"),
    ("11.7", "515.43.04"),
    ("11.6", "510.39.01"),
    ("11.5", "495.29.05"),
    ("11.4", "470.42.01"),
    ("11.3", "465.19.01"),
    ("11.2", "460.27.03"),
    ("11.1", "455.23"),
    ("11.0", "450.36.06"),
)

# Oldest driver on which every release of a major version runs. NVIDIA, "CUDA Compatibility", the
# table of minor version compatibility.
MINOR_VERSION_FLOOR = {13: "580", 12: "525.60.13", 11: "450.80.02"}

# Release of cuda-compat, and the older driver branches on which it may replace the CUDA driver:
# those that NVIDIA_REQUIRE_CUDA of the nvidia/cuda base image of that release admits.
FORWARD_BRANCHES = {
    "13.2": (535, 570, 580, 590),
    "13.0": (535, 550, 565, 570, 575),
    "12.9": (535, 550, 560, 565, 570),
    "12.8": (470, 535, 550, 560, 565),
    "12.6": (470, 535, 550),
    "12.4": (470, 525, 535),
}

# Brands, as NVML names them, on which forward compatibility is not supported.
CONSUMER_BRANDS = frozenset({"geforce", "geforcertx", "titan", "titanrtx"})

# Newest first, the last patch release of each minor: metadata of the default Linux wheels on the
# Python Package Index (CUDA run time, cuDNN, NCCL, requires-python), CPython 3.11, x86-64.
WHEELS = (
    Wheel("2.15.0", "13.2", "9.26.0.51", "2.30.7", ">=3.11"),
    Wheel("2.14.1", "13.0", "9.24.0.43", "2.30.7", ">=3.10"),
    Wheel("2.12.0", "13.0", "9.20.0.48", "2.29.7", ">=3.10"),
    Wheel("2.11.0", "13.0", "9.19.0.56", "2.28.9", ">=3.10"),
    Wheel("2.10.0", "12.8", "9.10.2.21", "2.27.5", ">=3.10"),
    Wheel("2.9.1", "12.8", "9.10.2.21", "2.27.5", ">=3.10"),
    Wheel("2.8.0", "12.8", "9.10.2.21", "2.27.3", ">=3.9"),
    Wheel("2.7.1", "12.6", "9.5.1.17", "2.26.2", ">=3.9"),
    Wheel("2.6.0", "12.4", "9.1.0.70", "2.21.5", ">=3.9"),
    Wheel("2.5.1", "12.4", "9.1.0.70", "2.21.5", ">=3.8"),
    Wheel("2.4.1", "12.1", "9.1.0.70", "2.20.5", ">=3.8"),
    Wheel("2.3.1", "12.1", "8.9.2.26", "2.20.5", ">=3.8"),
    Wheel("2.2.2", "12.1", "8.9.2.26", "2.19.3", ">=3.8"),
    Wheel("2.1.2", "12.1", "8.9.2.26", "2.18.1", ">=3.8"),
    Wheel("2.0.1", "11.7", "8.5.0.96", "2.14.3", ">=3.8"),
    Wheel("1.13.1", "11.7", "8.5.0.96", None, ">=3.7"),
)

# Major version of the toolkit, and the oldest compute capability that it still compiles for: here
# and below "supported architectures" of the CUDA release notes.
OLDEST_CAPABILITY = {13: "7.5", 12: "5.0", 11: "3.5"}

# Compute capability, and the first toolkit that compiles machine code for it.
FIRST_TOOLKIT = {
    "8.0": "11.0",
    "8.6": "11.1",
    "8.7": "11.4",
    "8.9": "11.8",
    "9.0": "11.8",
    "10.0": "12.8",
    "10.3": "12.9",
    "12.0": "12.8",
    "12.1": "12.9",
}
