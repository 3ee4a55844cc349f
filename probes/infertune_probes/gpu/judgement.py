"""From what the witnesses said to findings: presence, agreement, health.

Pure; it must not ask anybody anything. What could not be read is `unknown`, never `pass`.
Trade-off: more devices on the bus than in NVML is only a warning when NVML sees at least one,
because a pod that was given one of eight GPUs looks exactly like that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from infertune_probes.contract.envelope import Finding, Measurement, Verdict, measured, unmeasured

if TYPE_CHECKING:
    from infertune_probes.gpu.witnesses import Sight

# NVML clock event reasons that mean hardware protects itself; software caps are normal.
HARDWARE_REASONS = {
    0x08: "hardware slowdown",
    0x40: "hardware thermal slowdown",
    0x80: "power brake",
}
_HEALTH_FIELDS = ("eccUncorrected", "eventReasons", "recoveryAction")
_DEVICE_FIELDS = (
    "uuid",
    "name",
    "pciBusId",
    "memoryTotalBytes",
    "memoryUsedBytes",
    "memoryFreeBytes",
    "utilisationPercent",
    "temperatureCelsius",
    "powerWatts",
    "powerLimitWatts",
    "eccUncorrected",
    "eventReasons",
    "processes",
)


def judge(sight: Sight, *, required: bool) -> list[Finding]:
    """Return all findings; `required` turns the absence of a usable device into a failure."""
    findings = [_presence(sight, required=required)]
    if sight.nvml.count:
        findings += _agreement(sight)
        for device in sight.devices:
            findings += _health(device)
    return findings


def _presence(sight: Sight, *, required: bool) -> Finding:
    evidence = sight.describe()
    on_bus = sight.pci.count
    absent: Verdict = "fail" if required else "unknown"
    if sight.nvml.count:
        return Finding("GPU_PRESENT", "pass", evidence)
    if sight.nvml.hung:
        fix = "drain the node and reset or replace the GPU; see its XID errors in the kernel log"
        hung: Verdict = "fail" if on_bus or required else "unknown"
        return Finding("NVML_HUNG", hung, evidence, fix)
    if on_bus:
        fix = (
            "load the NVIDIA driver; in a pod, set the nvidia runtimeClass and "
            "NVIDIA_DRIVER_CAPABILITIES=utility"
        )
        return Finding("GPU_NOT_USABLE", absent, evidence, fix)
    if on_bus is None:
        fix = "mount /sys read-only, or set the nvidia runtimeClass"
        return Finding("GPU_UNKNOWN", absent, evidence, fix)
    fix = "schedule on a node with a GPU, or set gpuCheck to WhenPresent" if required else ""
    return Finding("NO_DEVICE", absent, evidence, fix)


def _agreement(sight: Sight) -> list[Finding]:
    findings = []
    nvml = sight.nvml.count
    if sight.pci.count not in (None, nvml):
        fix = "normal when this pod was given only some of the node's devices; else see the driver"
        findings.append(Finding("BUS_DISAGREES", "warn", sight.describe(), fix))
    if sight.smi.count not in (None, nvml):
        fix = "driver library and nvidia-smi differ: reinstall the driver or reboot the node"
        findings.append(Finding("SOURCES_DISAGREE", "fail", sight.describe(), fix))
    if sight.torch.count == 0:
        fix = "install a CUDA build of torch that this driver supports"
        findings.append(Finding("TORCH_SEES_NONE", "fail", sight.describe(), fix))
    elif sight.torch.count not in (None, nvml):
        fix = "check CUDA_VISIBLE_DEVICES"
        findings.append(Finding("TORCH_DISAGREES", "warn", sight.describe(), fix))
    return findings


def _health(device: dict[str, object]) -> list[Finding]:
    who = f"device {device['index']} ({device.get('uuid') or 'no UUID'})"
    if "error" in device:
        fix = "drain the node and reset the GPU"
        return [Finding("DEVICE_LOST", "fail", f"{who}: {device['error']}", fix)]
    findings = []
    ecc = device.get("eccUncorrected")
    if isinstance(ecc, int) and ecc > 0:
        evidence = f"{who}: {ecc} uncorrected ECC errors since the driver was loaded"
        fix = "drain the node, reset the GPU; replace it when they come back"
        findings.append(Finding("ECC_UNCORRECTED", "fail", evidence, fix))
    reasons = device.get("eventReasons")
    named = [text for bit, text in HARDWARE_REASONS.items() if _has(reasons, bit)]
    if named:
        # At rest this is a hint; only under load is it a proof.
        evidence = f"{who}: {', '.join(named)}"
        findings.append(Finding("HW_SLOWDOWN", "warn", evidence, "check cooling and power"))
    action = device.get("recoveryAction")
    if isinstance(action, int) and action > 0:
        evidence = f"{who}: the driver asks for recovery action {action}"
        findings.append(Finding("RECOVERY_NEEDED", "fail", evidence, "reset the GPU or the node"))
    return findings or [_well(who, device)]


def _well(who: str, device: dict[str, object]) -> Finding:
    unread = [name for name in _HEALTH_FIELDS if device.get(name) is None]
    if unread:
        evidence = f"{who}: cannot be read: {', '.join(unread)}"
        return Finding("HEALTH_PARTLY_UNKNOWN", "unknown", evidence)
    return Finding("DEVICE_HEALTHY", "pass", f"{who}: no ECC errors, no hardware slowdown")


def _has(reasons: object, bit: int) -> bool:
    return isinstance(reasons, int) and bool(reasons & bit)


def measure(sight: Sight) -> list[Measurement]:
    """Return the device count and, per device, temperature and memory in use."""
    count = sight.nvml.count
    if count is None:
        return [unmeasured("gpu_count", "1", f"NVML: {sight.nvml.reason}")]
    measurements = [measured("gpu_count", "1", count, 1)]
    for device in sight.devices:
        for field, unit in (("temperatureCelsius", "Cel"), ("memoryUsedBytes", "By")):
            value = device.get(field)
            name = f"gpu{device['index']}_{field}"
            measurements.append(
                measured(name, unit, float(value), 1)
                if isinstance(value, (int, float))
                else unmeasured(name, unit, "NVML does not tell")
            )
    return measurements


def result_section(sight: Sight) -> dict[str, object]:
    """Return the gpu section of the envelope."""
    return {
        "kind": "gpu",
        "driverVersion": sight.driver,
        "cudaDriverVersion": sight.cuda,
        "sources": [source.to_json() for source in sight.sources],
        "devices": [
            {"index": device["index"], **{name: device.get(name) for name in _DEVICE_FIELDS}}
            for device in sight.devices
        ],
    }
