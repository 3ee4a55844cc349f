"""Asks everything that knows a version, and writes down what each one said, or why it could not.

It must not compare or judge. Trade-off: once NVML hangs, nothing else that talks to the driver is
asked: another voice would hang as well, and cost its own deadline.
"""

from __future__ import annotations

import json
import os
import re
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from infertune_probes.contract.child import Heard, ask

if TYPE_CHECKING:
    from collections.abc import Mapping

MODULE_VERSION = Path("proc/driver/nvidia/version")
TOOLKIT = Path("usr/local/cuda")
SMI = "nvidia-smi"
_SMI_FIELDS = ("driver_version", "index", "uuid", "name")
_AT_NAME = 3
_KERNEL_MODULE = re.compile(r"Kernel Module.*?\s(\d+\.\d+(?:\.\d+)?)\s")
_NVCC_RELEASE = re.compile(r"release (\d+\.\d+), V(\S+)")
# What a container says about itself; nothing else of the environment leaves it.
HINTS = (
    "CUDA_VERSION",
    "CUDA_VISIBLE_DEVICES",
    "NVIDIA_VISIBLE_DEVICES",
    "NVIDIA_DRIVER_CAPABILITIES",
    "NVIDIA_REQUIRE_CUDA",
    "NVIDIA_DISABLE_REQUIRE",
    "PYTORCH_VERSION",
    "NV_CUDNN_VERSION",
    "NCCL_VERSION",
    "NV_CUDA_COMPAT_PACKAGE",
)
_LONGEST_HINT = 4096
# An idle device holds some hundred megabytes of its own, up to 3 % on the smallest in use today.
_IDLE_SHARE = 0.1


@dataclass(frozen=True)
class Told:
    """One version by one witness, or None and the reason."""

    name: str
    version: str | None
    reason: str | None = None

    def to_json(self) -> dict[str, object]:
        """Return it as a JSON object."""
        return {"name": self.name, "version": self.version, "reason": self.reason}

    def describe(self) -> str:
        """Return it in a few words, for evidence."""
        return f"{self.name}: {self.version or self.reason}"


@dataclass(frozen=True)
class Launches:
    """What became of the kernels: lines of the child, and why there are no more of them.

    `spared` are the indices of devices that somebody else uses.
    """

    done: tuple[dict[str, object], ...] = ()
    reason: str | None = None
    hung: bool = False
    asked: bool = True
    spared: tuple[object, ...] = ()


@dataclass(frozen=True)
class Sight:
    """Everything that was told; `host_only` until the image's own software was asked for."""

    drivers: tuple[Told, ...]
    hung: str | None
    cuda: str | None
    devices: tuple[dict[str, object], ...]
    libraries: tuple[Told, ...] = ()
    torch: dict[str, object] | None = None
    torch_reason: str | None = "not asked"
    hints: Mapping[str, str] = field(default_factory=dict)
    launches: Launches = field(default_factory=lambda: Launches(asked=False))
    host_only: bool = True

    @property
    def driver(self) -> str | None:
        """The driver's version, by the first witness that knows it."""
        return next((told.version for told in self.drivers if told.version), None)


def look_at_host(root: Path, deadline_seconds: float) -> Sight:
    """Ask for driver and devices, one witness after another, each with the deadline."""
    module = see_module(root)
    heard = ask(_reader("nvml"), deadline_seconds)
    seen = _last(heard)
    nvml = Told("nvml", _text(seen.get("driver")), _why(heard, seen))
    smi = Told(SMI, None, "not asked, because NVML hung")
    listed: tuple[dict[str, object], ...] = ()
    if not heard.hung:
        smi, listed = see_smi(deadline_seconds)
    devices = seen.get("devices")
    return Sight(
        drivers=(module, nvml, smi),
        hung=heard.reason if heard.hung else None,
        cuda=_text(seen.get("cuda")),
        devices=tuple(d for d in devices if isinstance(d, dict))
        if isinstance(devices, list)
        else listed,
    )


def look_at_image(host: Sight, root: Path, deadline_seconds: float, launch: str) -> Sight:
    """Return the same sight with the software of this image, and kernels that it launched.

    `launch`: on "idle" devices, on "all", or on "none".
    """
    libraries = see_libraries(deadline_seconds) if host.hung is None else ()
    heard = ask(_reader("torch"), deadline_seconds)
    torch = _last(heard)
    known = "version" in torch
    return replace(
        host,
        host_only=False,
        libraries=(*libraries, see_nvcc(root, deadline_seconds), see_toolkit(root)),
        torch=torch if known else None,
        torch_reason=None if known else _why(heard, torch),
        hints=hints(os.environ),
        launches=_launches(torch, host, deadline_seconds, launch),
    )


def _launches(
    torch: dict[str, object], host: Sight, deadline_seconds: float, launch: str
) -> Launches:
    if launch == "none":
        return Launches(asked=False)
    if host.hung is not None:
        return Launches(reason="not tried, because NVML hung")
    if "version" not in torch:
        return Launches(reason=str(torch.get("error", "torch could not be asked")))
    devices = host.devices
    busy = [d for d in devices if in_use(d)] if launch == "idle" else []
    if not busy:
        return _launched(_reader("launch"), deadline_seconds)
    spared = tuple(device.get("index") for device in busy)
    idle = [d for d in devices if d not in busy and d.get("uuid")]
    if not idle or "CUDA_VISIBLE_DEVICES" in os.environ:
        return Launches(spared=spared)
    told = _launched([*_reader("launch"), ",".join(str(d["uuid"]) for d in idle)], deadline_seconds)
    # The child counts the devices that it was given.
    done = tuple({**one, "device": idle[int(str(one["device"]))]["index"]} for one in told.done)
    return Launches(done, told.reason, told.hung, spared=spared)


def in_use(device: dict[str, object]) -> bool:
    """Return whether somebody else uses a device, by its processes or by its memory.

    NVML in a container often shows no process of another one; memory it shows always.
    """
    processes, share = device.get("processes"), device.get("memoryShare")
    seen = isinstance(processes, int) and processes > 0
    return seen or (isinstance(share, float) and share > _IDLE_SHARE)


def _launched(command: list[str], deadline_seconds: float) -> Launches:
    heard = ask(command, deadline_seconds)
    lines = _lines(heard.text if heard.text is not None else heard.so_far)
    done = tuple(line for line in lines if "device" in line)
    refused = next((str(line["error"]) for line in lines if "error" in line), None)
    return Launches(done, refused or heard.reason, heard.hung)


def see_module(root: Path) -> Told:
    """Return the version of the loaded kernel module."""
    name = "kernel module"
    try:
        text = (root / MODULE_VERSION).read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        return Told(name, None, f"/{MODULE_VERSION} cannot be read: {error.strerror}")
    found = _KERNEL_MODULE.search(text)
    if found is None:
        return Told(name, None, f"/{MODULE_VERSION} names no version")
    return Told(name, found.group(1))


def see_smi(deadline_seconds: float) -> tuple[Told, tuple[dict[str, object], ...]]:
    """Return the driver's version by nvidia-smi, and the devices as far as it tells of them.

    Where there is no NVML for Python it is the only one that knows compute capabilities; an older
    one does not know that field and is asked for the rest again.
    """
    heard = ask(_smi(*_SMI_FIELDS, "compute_cap"), deadline_seconds)
    if heard.text is None and not heard.hung and heard.reason != "not installed":
        heard = ask(_smi(*_SMI_FIELDS), deadline_seconds)
    if heard.text is None:
        return Told(SMI, None, heard.reason), ()
    lines = [line.strip() for line in heard.text.splitlines() if line.strip()]
    rows = [[cell.strip() for cell in line.split(",")] for line in lines]
    rows = [row for row in rows if re.match(r"^\d+\.\d+", row[0])]
    if not rows:
        return Told(SMI, None, (lines or ["said nothing"])[0]), ()
    return Told(SMI, rows[0][0]), tuple(_smi_device(row) for row in rows if len(row) > _AT_NAME)


def _smi(*fields: str) -> list[str]:
    return [SMI, f"--query-gpu={','.join(fields)}", "--format=csv,noheader"]


def _smi_device(row: list[str]) -> dict[str, object]:
    capability = row[-1] if len(row) > len(_SMI_FIELDS) else ""
    return {
        "index": int(row[1]) if row[1].isdigit() else 0,
        "uuid": row[2],
        "name": row[_AT_NAME],
        "computeCapability": capability if re.match(r"^\d+\.\d+$", capability) else None,
    }


def see_libraries(deadline_seconds: float) -> tuple[Told, ...]:
    """Return what the CUDA libraries of this image say of themselves."""
    heard = ask(_reader("libraries"), deadline_seconds)
    seen = _last(heard)
    told = []
    for name in ("cuda", "cudart", "cudnn", "nccl"):
        answer = seen.get(name)
        if isinstance(answer, dict):
            told.append(Told(name, _text(answer.get("version")), _text(answer.get("reason"))))
        else:
            told.append(Told(name, None, heard.reason or "said nothing readable"))
    return tuple(told)


def see_nvcc(root: Path, deadline_seconds: float) -> Told:
    """Return the release of the compiler, from the path or the toolkit's own folder."""
    own = root / TOOLKIT / "bin" / "nvcc"
    heard = ask(["nvcc", "--version"], deadline_seconds)
    if heard.text is None and own.exists():
        heard = ask([str(own), "--version"], deadline_seconds)
    if heard.text is None:
        return Told("nvcc", None, heard.reason)
    found = _NVCC_RELEASE.search(heard.text)
    return Told("nvcc", found.group(2) if found else None, None if found else "names no release")


def see_toolkit(root: Path) -> Told:
    """Return the release that the toolkit's version.json names."""
    path = root / TOOLKIT / "version.json"
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return Told("toolkit", str(document["cuda"]["version"]))
    except OSError as error:
        return Told("toolkit", None, f"/{TOOLKIT}/version.json cannot be read: {error.strerror}")
    except (ValueError, KeyError, TypeError):
        return Told("toolkit", None, f"/{TOOLKIT}/version.json names no release")


def hints(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables by which an image or a runtime speaks of CUDA."""
    return {name: environment[name][:_LONGEST_HINT] for name in HINTS if name in environment}


def _reader(witness: str) -> list[str]:
    return [sys.executable, "-m", "infertune_probes.versions.reader", witness]


def _lines(text: str) -> list[dict[str, object]]:
    """Return the lines that are JSON objects; libraries may print between them."""
    found = []
    for line in text.splitlines():
        try:
            document = json.loads(line)
        except ValueError:
            continue
        if isinstance(document, dict):
            found.append(document)
    return found


def _last(heard: Heard) -> dict[str, object]:
    lines = _lines(heard.text or "")
    return lines[-1] if lines else {}


def _why(heard: Heard, seen: dict[str, object]) -> str | None:
    if heard.text is None:
        return heard.reason
    if "error" in seen:
        return str(seen["error"])
    return None if seen else "said nothing readable"


def _text(value: object) -> str | None:
    return None if value is None else str(value)
