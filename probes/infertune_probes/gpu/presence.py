"""Is there a GPU, and do the witnesses agree? Where they do not: why, and what to do.

Pure; it must not ask anybody anything. What could not be read is `unknown`, never `pass`.
Trade-off: fewer devices in NVML than on the bus is a fact and no fault where this container was
given only some of them, because a pod with one of eight GPUs looks exactly like that.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from infertune_probes.contract.codes import NO_DEVICE
from infertune_probes.gpu.codes import (
    FEWER_THAN_HOST,
    GPU_NOT_USABLE,
    GPU_OFF_BUS,
    GPU_PRESENT,
    GPU_UNKNOWN,
    INTEGRATED_GPU,
    NVML_CRASHED,
    NVML_HUNG,
    ON_BUS_NOT_IN_NVML,
    SOURCES_DISAGREE,
    TENSORFLOW_SEES_NONE,
    TORCH_CPU_BUILD,
    TORCH_DEVICES_HIDDEN,
    TORCH_DISAGREES,
    TORCH_DRIVER_TOO_OLD,
    TORCH_NO_DEVICE_NODE,
    TORCH_SEES_NONE,
)

if TYPE_CHECKING:
    from infertune_probes.contract.codes import Code
    from infertune_probes.contract.envelope import Finding, Verdict
    from infertune_probes.gpu.surroundings import BusDevice
    from infertune_probes.gpu.witnesses import Sight

_ADDRESS = re.compile(r"^0*([0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-9a-f])$")
_TOO_OLD = re.compile(r"driver .*too old|driver version is insufficient", re.IGNORECASE)
_NO_DRIVER = re.compile(r"no nvidia driver|operation not supported|unable to init", re.IGNORECASE)


def judge_presence(sight: Sight, *, required: bool) -> list[Finding]:
    """Return what there is; `required` turns the absence of a usable device into a failure."""
    findings = _ending(sight, required=required)
    if sight.around.jetson is not None:
        evidence = f"{sight.around.jetson}; {sight.describe()}"
        findings.append(INTEGRATED_GPU.passed(evidence))
    if sight.nvml.count:
        findings.append(GPU_PRESENT.passed(sight.describe()))
    elif not findings or sight.around.jetson is not None:
        findings.append(_absence(sight, required=required))
    return findings + _bus_findings(sight)


def _ending(sight: Sight, *, required: bool) -> list[Finding]:
    """Return the finding about a driver that hung or died while it was asked."""
    nvml = sight.nvml
    where = f"in {nvml.during}" if nvml.during else "at its start"
    evidence = f"{where}: {nvml.failure}; {sight.describe()}"
    seen = bool(nvml.count or sight.bus.count or sight.around.jetson)
    verdict: Verdict = "fail" if seen or required else "unknown"
    if nvml.hung:
        return [NVML_HUNG.found(verdict, evidence)]
    if nvml.killed_by is not None:
        return [NVML_CRASHED.found(verdict, evidence)]
    return []


def _absence(sight: Sight, *, required: bool) -> Finding:
    evidence = sight.describe()
    absent: Verdict = "fail" if required else "unknown"
    if sight.torch.count:
        return GPU_PRESENT.passed(evidence)
    if sight.bus.count:
        return GPU_NOT_USABLE.found(absent, evidence)
    if sight.bus.count is None or sight.around.jetson is not None:
        return GPU_UNKNOWN.found(absent, evidence)
    return NO_DEVICE.found(absent, evidence, None if required else "")


def _bus_findings(sight: Sight) -> list[Finding]:
    """Return what is on the bus and not in NVML, with the reason where one can be seen."""
    bus = sight.around.bus or ()
    findings = [
        GPU_OFF_BUS.failed(f"{each.address} reads as all ones") for each in bus if each.dead
    ]
    if not sight.nvml.count:
        return findings
    known = {address_of(device.words("pciBusId")) for device in sight.nvml.devices}
    if None in known or len(known) < sight.nvml.count:
        # A device without its address cannot be told from a missing one.
        missing = [each for each in bus if not each.dead][sight.nvml.count :]
    else:
        missing = [each for each in bus if not each.dead and each.address not in known]
    if not missing:
        return findings
    return [*findings, _missing(sight, missing)]


def address_of(bus_id: str | None) -> str | None:
    """Return NVML's bus id as the kernel writes it: `00000000:3B:00.0` is `0000:3b:00.0`."""
    found = _ADDRESS.match((bus_id or "").lower())
    return found.group(1) if found else None


def uuids_by_address(sight: Sight) -> dict[str, str]:
    """Return the UUIDs of the devices by their address as the kernel writes it."""
    found = {}
    for device in sight.nvml.devices:
        address, uuid = address_of(device.words("pciBusId")), device.words("uuid")
        if address is not None and uuid is not None:
            found[address] = uuid
    return found


def _missing(sight: Sight, missing: list[BusDevice]) -> Finding:
    around = sight.around
    evidence = f"{', '.join(each.address for each in missing)}; {sight.describe()}"
    others = {each.driver or "nvidia" for each in missing} - {"nvidia"}
    elsewhere = ", ".join(sorted(others))
    if elsewhere:
        fix = f"unbind it from {elsewhere} to give it to the NVIDIA driver"
        return ON_BUS_NOT_IN_NVML.warned(f"bound to {elsewhere}: {evidence}", fix)
    visible = around.hints.get("NVIDIA_VISIBLE_DEVICES", "all")
    fewer_nodes = 0 < len(around.device_nodes) < len(around.bus or ())
    if visible not in ("all", "") or (around.container and fewer_nodes):
        given = f"NVIDIA_VISIBLE_DEVICES={visible}, {len(around.device_nodes)} device files"
        return FEWER_THAN_HOST.passed(f"{given}; {evidence}")
    return ON_BUS_NOT_IN_NVML.warned(evidence)


def judge_agreement(sight: Sight) -> list[Finding]:
    """Return where the programs that use the driver see something else than NVML."""
    nvml = sight.nvml
    if not nvml.count:
        return []
    findings = []
    uuids = set(nvml.source.identities or ())
    seen = {uuid for uuid in sight.smi.identities or () if uuid.startswith("GPU-")}
    if sight.smi.identities is not None and nvml.failure is None and seen != uuids:
        only = ", ".join(sorted(uuids ^ seen))
        findings.append(SOURCES_DISAGREE.failed(f"{sight.describe()}; in one only: {only}"))
    findings += _torch(sight)
    if sight.tensorflow.count == 0:
        built = sight.tensorflow.words.get("cudaOfBuild", "none")
        evidence = f"{sight.describe()}; built for CUDA {built}"
        findings.append(TENSORFLOW_SEES_NONE.warned(evidence))
    return findings


def _torch(sight: Sight) -> list[Finding]:
    torch = sight.torch
    if torch.count is None:
        return []
    words = torch.words
    build = f"torch {words.get('version', '?')}, built for CUDA {words.get('cudaOfBuild', 'none')}"
    evidence = f"{build}; {sight.describe()}"
    if torch.count == 0:
        complaint = words.get("words")
        told = f"{complaint}; {evidence}" if complaint else evidence
        return [why_torch_sees_none(sight).failed(told)]
    # A process sees one MIG instance, however many there are.
    divided = any(device.flag("mig.enabled") for device in sight.nvml.devices)
    if torch.count != sight.nvml.count and not divided:
        visible = sight.around.hints.get("CUDA_VISIBLE_DEVICES")
        hint = f"CUDA_VISIBLE_DEVICES={visible}; " if visible is not None else ""
        return [TORCH_DISAGREES.warned(f"{hint}{evidence}")]
    return []


def why_torch_sees_none(sight: Sight) -> Code:
    """Return the code of the likely cause, the surest sign first."""
    words, around = sight.torch.words, sight.around
    complaint = words.get("words", "")
    if "cudaOfBuild" not in words:
        return TORCH_CPU_BUILD
    if _TOO_OLD.search(complaint):
        return TORCH_DRIVER_TOO_OLD
    visible = around.hints.get("CUDA_VISIBLE_DEVICES")
    none_named = visible is not None and not re.match(r"^\s*(\d|GPU-|MIG-)", visible)
    if none_named or (visible is not None and "No CUDA GPUs" in complaint):
        return TORCH_DEVICES_HIDDEN
    if not around.device_nodes or "nvidia-uvm" not in around.nodes or _NO_DRIVER.search(complaint):
        return TORCH_NO_DEVICE_NODE
    return TORCH_SEES_NONE
