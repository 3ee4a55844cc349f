"""GPU_NOT_USED: does the server's own device work while load is offered, and if not, why?

Pure, and the one place of this judgement: the probe's `--expect-busy` calls it, and so may whoever
has a window of the device. Nothing seen is unknown and never "not used". Trade-off: two fixed lines
(mean and peak of the SM utilisation) instead of a model of what the server ought to need; a small
model at a low rate is above them, a server that computes on the CPU is far below.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from infertune_probes.gpu.codes import GPU_BUSY, GPU_NOT_USED, GPU_USE_UNKNOWN
from infertune_probes.gpu.window import statistics_of, values_of

if TYPE_CHECKING:
    from infertune_probes.contract.envelope import Finding
    from infertune_probes.gpu.window import Statistics, Window
    from infertune_probes.gpu.witnesses import Sight

# Next to nothing: below both. NVML's figure is the share of time with any kernel running, so even
# one small request in each second shows in the peak.
IDLE_MEAN_PERCENT = 2.0
IDLE_PEAK_PERCENT = 10.0
FEWEST_SAMPLES = 5
# A CUDA context with a loaded library takes some hundred megabytes.
_CONTEXT_BYTES = 200_000_000

_NO_DEVICE_FIX = (
    "request the device (`resources.limits: {nvidia.com/gpu: 1}`) with the nvidia runtimeClass"
)
_CPU_BUILD_FIX = "use an image with a CUDA build of the framework"
_DRIVER_FIX = "update the node's driver, or use an image built for an older CUDA"
_NOT_LOADED_FIX = "tell the server to use the device (`--device cuda`), and read its start-up log"
_LOADED_FIX = "see that requests reach this replica, and that inputs and model are on the device"


@dataclass(frozen=True)
class DeviceUse:
    """How much one device of the server worked; `sm_percent` None: it was not told."""

    who: str
    sm_percent: Statistics | None
    framebuffer_used_bytes: Statistics | None


@dataclass(frozen=True)
class Surmise:
    """What is known about the framework that should have used the device.

    Attributes:
        framework: its name and version, `torch 2.8.0`; None when it could not be asked.
        built_for_cuda: whether it is a CUDA build; None when unknown.
        sees_devices: how many devices it sees; None when unknown.
        complaint: what the driver told it.
        device_files: whether the container has the device's file; None when unknown.
    """

    framework: str | None = None
    built_for_cuda: bool | None = None
    sees_devices: int | None = None
    complaint: str | None = None
    device_files: bool | None = None


def uses_of(window: Window, sight: Sight) -> list[DeviceUse]:
    """Return the use of every device in the window."""
    return [
        DeviceUse(
            device.who,
            statistics_of(values_of(window.of(device.index), "smPercent")),
            statistics_of(values_of(window.of(device.index), "framebufferUsedBytes")),
        )
        for device in sight.nvml.devices
    ]


def surmise_of(sight: Sight) -> Surmise:
    """Return what the witnesses know of the framework."""
    torch = sight.torch
    asked = torch.identities is not None
    return Surmise(
        framework=f"torch {torch.words.get('version', '?')}" if asked else None,
        built_for_cuda="cudaOfBuild" in torch.words if asked else None,
        sees_devices=torch.count,
        complaint=torch.words.get("words"),
        # A driver that hung leaves nothing to conclude from.
        device_files=None if sight.nvml.hung else bool(sight.around.device_nodes),
    )


def judge_use(uses: list[DeviceUse], surmise: Surmise) -> list[Finding]:
    """Return one finding per device of the server; one finding when there is no device at all."""
    if not uses:
        if surmise.device_files is None:
            return [GPU_USE_UNKNOWN.unknown("no device was watched")]
        cause, fix = _cause(None, surmise)
        return [GPU_NOT_USED.failed(f"no device was there to watch; {cause}", fix)]
    return [_judge(use, surmise) for use in uses]


def _judge(use: DeviceUse, surmise: Surmise) -> Finding:
    told = use.sm_percent
    if told is None:
        return GPU_USE_UNKNOWN.unknown(f"{use.who}: the driver does not tell its utilisation")
    seen = f"{use.who}: SM mean {told.mean:.1f} %, peak {told.maximum:g} % in {told.n} samples"
    if told.n < FEWEST_SAMPLES:
        return GPU_USE_UNKNOWN.unknown(f"{seen}; {FEWEST_SAMPLES} are needed")
    if told.mean >= IDLE_MEAN_PERCENT or told.maximum >= IDLE_PEAK_PERCENT:
        return GPU_BUSY.passed(seen)
    cause, fix = _cause(use.framebuffer_used_bytes, surmise)
    return GPU_NOT_USED.failed(f"{seen}; {cause}", fix)


def _cause(memory: Statistics | None, surmise: Surmise) -> tuple[str, str]:
    """Return the likely cause and its fix, the surest sign first."""
    name = surmise.framework or "the framework"
    if surmise.built_for_cuda is False:
        return f"{name} is a build without CUDA", _CPU_BUILD_FIX
    if surmise.device_files is False:
        return "no device file is in this container", _NO_DEVICE_FIX
    if surmise.sees_devices == 0 and surmise.complaint:
        return f"{name} cannot use the driver: {surmise.complaint}", _DRIVER_FIX
    if surmise.sees_devices == 0:
        return f"{name} sees no device", _NO_DEVICE_FIX
    return _cause_in_memory(memory)


def _cause_in_memory(memory: Statistics | None) -> tuple[str, str]:
    if memory is None:
        return "the cause is not known", _NOT_LOADED_FIX
    gigabytes = memory.maximum / 1e9
    if memory.maximum < _CONTEXT_BYTES:
        return f"nothing is loaded on it ({gigabytes:.2f} GB in use)", _NOT_LOADED_FIX
    return f"a model is loaded ({gigabytes:.1f} GB) and does not compute there", _LOADED_FIX
