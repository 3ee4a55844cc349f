"""Devices for the scripted NVML library, as their models describe themselves.

Values of the H100 and the T4 are written after NVIDIA's data sheets and `nvidia-smi -q`; they were
not recorded on a device.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Value = int | str
GIB = 1 << 30
LOST = "!15"
NO_PERMISSION = "!4"
NOT_SUPPORTED = "!3"


def h100(index: int = 0, **changes: Value | None) -> dict[str, Value]:
    """A healthy H100 SXM at rest; a change to None leaves the field out (Not Supported)."""
    device: dict[str, Value] = {
        **_known("NVIDIA H100 80GB HBM3", index),
        "architecture": 9,
        "capability_major": 9,
        "capability_minor": 0,
        "inforom": 0,
        "memory_total": 80 * GIB,
        "memory_used": GIB // 2,
        "bar1_total": 128 * GIB,
        "temperature": 31,
        "slowdown": 89,
        "shutdown": 94,
        "gpu_max": 87,
        "field82": 42,
        "power": 70_500,
        "power_limit": 700_000,
        "power_default": 700_000,
        "power_min": 200_000,
        "power_max": 700_000,
        "ecc_mode": 1,
        "ecc_pending": 1,
        "field230": 0,
        "rows_corrected": 0,
        "rows_uncorrected": 0,
        "rows_pending": 0,
        "rows_failure": 0,
        "pcie_generation": 5,
        "pcie_max_generation": 5,
        "pcie_device_generation": 5,
        "pcie_width": 16,
        "pcie_max_width": 16,
        "mig_mode": 0,
        "mig_pending": 0,
        "graphics_clock": 345,
        "sm_clock": 345,
        "memory_clock": 2619,
        "max_sm": 1980,
        "max_memory": 2619,
        "jpeg": 0,
        "ofa": 0,
        "field91": 18,
    }
    for link in range(18):
        device[f"link{link}"] = 1
        device |= {f"link{link}_{name}": 0 for name in ("replay", "recovery", "crc_flit")}
        device[f"link{link}_crc_data"] = 0
    return _changed(device, changes)


def t4(index: int = 0, **changes: Value | None) -> dict[str, Value]:
    """A healthy T4 at rest: pages instead of rows, no NVLink, no MIG, a link that rests at 1."""
    device: dict[str, Value] = {
        **_known("Tesla T4", index),
        "architecture": 6,
        "capability_major": 7,
        "capability_minor": 5,
        "inforom": 0,
        "memory_total": 15 * GIB,
        "memory_used": GIB // 4,
        "bar1_total": GIB // 4,
        "temperature": 44,
        "slowdown": 93,
        "shutdown": 96,
        "gpu_max": 85,
        "power": 10_200,
        "power_limit": 70_000,
        "power_default": 70_000,
        "power_min": 60_000,
        "power_max": 70_000,
        "ecc_mode": 1,
        "ecc_pending": 1,
        "field230": 0,
        "pstate": 8,
        "retired_single": 0,
        "retired_double": 0,
        "retired_pending": 0,
        "pcie_generation": 1,
        "pcie_max_generation": 3,
        "pcie_device_generation": 3,
        "pcie_width": 16,
        "pcie_max_width": 16,
        "graphics_clock": 300,
        "sm_clock": 300,
        "memory_clock": 405,
        "max_sm": 1590,
        "max_memory": 5001,
        "app_graphics": 585,
        "app_memory": 5001,
        "app_default_graphics": 585,
    }
    return _changed(device, changes)


def orin(**changes: Value | None) -> dict[str, Value]:
    """The GPU of a Jetson Orin, of which NVML tells next to nothing."""
    uuid = "GPU-0e01d000-0000-4000-8000-000000000000"
    device: dict[str, Value] = {"uuid": uuid, "name": "Orin (nvgpu)", "architecture": 7}
    return _changed(device | {"capability_major": 8, "capability_minor": 7}, changes)


def _known(name: str, index: int) -> dict[str, Value]:
    return {
        "name": name,
        "uuid": uuid_of(index),
        "bus": f"00000000:{0x3B + index:02X}:00.0",
        "serial": f"132092{index:04d}",
        "vbios": "96.00.74.00.01",
        "minor": index,
        "persistence": 1,
        "compute_mode": 0,
        "pstate": 0,
        "reasons": 1,
        "sm": 0,
        "memory_controller": 0,
        "encoder": 0,
        "decoder": 0,
        "bar1_used": 1 << 20,
        "ecc_corrected": 0,
        "ecc_uncorrected": 0,
        "pcie_replays": 0,
        "ecc_corrected_aggregate": 0,
        "ecc_uncorrected_aggregate": 0,
        **{f"violation{policy}": 0 for policy in (0, 1, 3, 5)},
        "pcie_tx": 0,
        "pcie_rx": 0,
        "compute": "-",
        "graphics": "-",
        "mps": "-",
    }


def uuid_of(index: int) -> str:
    return f"GPU-{index:08x}-1111-4222-8333-444444444444"


def _changed(device: dict[str, Value], changes: Mapping[str, Value | None]) -> dict[str, Value]:
    kept = {name: value for name, value in device.items() if name not in changes}
    return kept | {name: value for name, value in changes.items() if value is not None}


def scenario(devices: Sequence[Mapping[str, Value]], **system: Value) -> str:
    """Return the text of a scenario file."""
    lines = {"driver": "580.65.06", "cuda": 13000, "nvml": "13.580.65.06", "count": len(devices)}
    whole = {**lines, **system}
    for index, device in enumerate(devices):
        whole |= {f"{index}.{name.replace('__', '.')}": value for name, value in device.items()}
    return "".join(f"{key} {value}\n" for key, value in whole.items())
