"""What the machine itself shows of GPUs, without any driver call: bus, device files, chip, hints.

It must not compare or judge. Every path is below one root, so that a node's file system mounted
elsewhere, or a recorded tree, can be read. Trade-off: the PCI bus in a container is the host's, so
it can show devices that this pod was not given; the judgement treats it as the widest view.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

NVIDIA = "0x10de"
DISPLAY_CLASS = "0x03"
_PCI = "sys/bus/pci/devices"
_CONTAINER_MARKS = (".dockerenv", "run/.containerenv")
_HINTS = ("NVIDIA_VISIBLE_DEVICES", "NVIDIA_DRIVER_CAPABILITIES", "CUDA_VISIBLE_DEVICES")
# A function that no longer answers reads as all ones.
_DEAD = b"\xff\xff"


@dataclass(frozen=True)
class BusDevice:
    """One NVIDIA display function: its address, its kernel driver, and whether it answers."""

    address: str
    driver: str | None
    dead: bool


@dataclass(frozen=True)
class Surroundings:
    """What is there to see without asking the driver.

    Attributes:
        bus: the NVIDIA display functions; None when the bus cannot be read.
        bus_reason: why the bus cannot be read.
        jetson: the model's name when this is a Jetson.
        nodes: the device files that are there, `nvidia0`, `nvidiactl`, `nvidia-uvm` and so on.
        kernel_driver: the first line of /proc/driver/nvidia/version.
        container: whether this is a container.
        hints: what the environment says about which devices are visible.
    """

    bus: tuple[BusDevice, ...] | None
    bus_reason: str | None
    jetson: str | None
    nodes: tuple[str, ...]
    kernel_driver: str | None
    container: bool
    hints: Mapping[str, str]

    @property
    def device_nodes(self) -> tuple[str, ...]:
        """The files of single devices: `nvidia0`, `nvidia1`."""
        return tuple(node for node in self.nodes if node[len("nvidia") :].isdigit())


def survey(root: Path, environment: Mapping[str, str]) -> Surroundings:
    """Read what is below `root`; nothing here can hang in a driver."""
    bus, reason = _bus(root / _PCI)
    marked = any((root / mark).exists() for mark in _CONTAINER_MARKS)
    return Surroundings(
        bus=bus,
        bus_reason=reason,
        jetson=_jetson(root),
        nodes=_nodes(root / "dev"),
        kernel_driver=_first_line(root / "proc/driver/nvidia/version"),
        container=marked or "KUBERNETES_SERVICE_HOST" in environment,
        hints={name: environment[name] for name in _HINTS if name in environment},
    )


def _bus(folder: Path) -> tuple[tuple[BusDevice, ...] | None, str | None]:
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        return None, f"cannot be read: {error.strerror}"
    found = tuple(
        BusDevice(entry.name.lower(), _driver(entry), _is_dead(entry / "config"))
        for entry in entries
        if _word(entry / "vendor") == NVIDIA and _word(entry / "class").startswith(DISPLAY_CLASS)
    )
    return found, None


def _driver(function: Path) -> str | None:
    try:
        return os.path.basename(os.readlink(str(function / "driver")))  # noqa: PTH115, PTH119
    except OSError:
        return None


def _is_dead(config: Path) -> bool:
    try:
        with config.open("rb") as stream:
            return stream.read(len(_DEAD)) == _DEAD
    except OSError:
        return False


def _nodes(folder: Path) -> tuple[str, ...]:
    try:
        return tuple(sorted(entry.name for entry in folder.glob("nvidia*") if not entry.is_dir()))
    except OSError:
        return ()


def _jetson(root: Path) -> str | None:
    model = (_first_line(root / "proc/device-tree/model") or "").strip("\0 ")
    release = _first_line(root / "etc/nv_tegra_release")
    if release is not None:
        return model or release[:120]
    return model if "Jetson" in model else None


def _first_line(path: Path) -> str | None:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return text.splitlines()[0].strip() if text.strip() else None


def _word(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip().lower()
    except OSError:
        return ""
