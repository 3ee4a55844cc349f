"""Is each device well? What can be said without watching it.

Pure. A sign that could not be read is named and never called good. Trade-off: thresholds are few
and said in the evidence; everything else is yes or no in the driver's own words (a failed remap, a
recovery action), because a number that is bad on one model is normal on another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from infertune_probes.gpu.codes import (
    CLOCKS_LOCKED,
    COMPUTE_EXCLUSIVE,
    COMPUTE_PROHIBITED,
    DEVICE_HEALTHY,
    DEVICE_LOST,
    ECC_HISTORY,
    ECC_OFF,
    ECC_UNCORRECTED,
    HEALTH_PARTLY_UNKNOWN,
    HW_SLOWDOWN,
    INFOROM_CORRUPT,
    MIG_EMPTY,
    MIG_ENABLED,
    MIG_PENDING,
    NVLINK_DOWN,
    NVLINK_ERRORS,
    PAGES_PENDING,
    PCIE_LINK,
    PERSISTENCE_OFF,
    POWER_LIMIT_LOWERED,
    RECOVERY_NEEDED,
    ROW_REMAP_FAILED,
    ROW_REMAP_PENDING,
    SW_THERMAL_SLOWDOWN,
    TEMPERATURE_HIGH,
)

if TYPE_CHECKING:
    from infertune_probes.contract.envelope import Finding
    from infertune_probes.gpu.reading import Device

# NVML's clock event reasons. The hardware's own mean that it protects itself.
HARDWARE_REASONS = {
    0x08: "hardware slowdown",
    0x40: "hardware thermal slowdown",
    0x80: "power brake",
}
SOFTWARE_REASONS = {
    0x01: "idle",
    0x02: "application or locked clocks",
    0x04: "software power cap",
    0x10: "sync boost",
    0x20: "software thermal slowdown",
    0x100: "display clock",
}
REASONS = {**HARDWARE_REASONS, **SOFTWARE_REASONS}
_LOCKED_REASON = 0x02
_THERMAL_REASON = 0x20
_RECOVERY = {
    1: "reset the GPU",
    2: "reboot the node",
    3: "drain the GPUs that talk to it",
    4: "drain, then reset the GPU",
    5: "recover the IMEX domain",
    6: "reset the bus",
    7: "reboot the system",
}
_EXCLUSIVE, _PROHIBITED, _EXCLUSIVE_PROCESS = 1, 2, 3
# Our own line: a card this close to its slowdown has no room for a longer load or a warmer aisle.
_MARGIN_CELSIUS = 5
# The enforced limit is rounded by some drivers.
_POWER_TOLERANCE_WATTS = 1.0
# Without these a device is not called healthy; a card that lacks the feature says "Not Supported".
_VITAL = ("temperatureCelsius", "eccUncorrected", "eventReasons")
# A device replaces bad memory by rows (Ampere and later) or by pages (before), never by both.
_REPAIR = ("rows.failure", "pages.pending")
_LINK_ERRORS = ("recoveries", "replays", "crcFlits", "crcData")


def reasons_named(bits: int | None) -> list[str]:
    """Return the clock event reasons in words, the hardware's own first."""
    return [words for bit, words in REASONS.items() if bits is not None and bits & bit]


def judge_health(device: Device) -> list[Finding]:
    """Return the findings about one device at rest; at least one."""
    if device.error is not None:
        return [DEVICE_LOST.failed(f"{device.who}: {device.error}")]
    findings = [
        *_memory(device),
        *_driver_words(device),
        *_slowdown(device),
        *_limits(device),
        *_modes(device),
        *_links(device),
    ]
    if any(finding.verdict == "fail" for finding in findings):
        return findings
    return [_overall(device, findings), *findings]


def _memory(device: Device) -> list[Finding]:
    who, findings = device.who, []
    uncorrected = device.whole("eccUncorrected")
    if uncorrected:
        evidence = f"{who}: {uncorrected} uncorrected ECC errors since the driver was loaded"
        findings.append(ECC_UNCORRECTED.failed(evidence))
    history = device.whole("ecc.aggregateUncorrected")
    if history and not uncorrected:
        evidence = f"{who}: {history} uncorrected ECC errors in its life, none since the driver"
        findings.append(ECC_HISTORY.warned(evidence))
    if device.flag("ecc.enabled") is False:
        after = device.flag("ecc.enabledAfterReset")
        wait = "; it will be on after the next reset" if after else ""
        findings.append(ECC_OFF.warned(f"{who}: ECC is off{wait}"))
    remapped = f"{device.whole('rows.remappedUncorrectable')} rows remapped after such errors"
    if device.flag("rows.failure"):
        findings.append(ROW_REMAP_FAILED.failed(f"{who}: a remap failed; {remapped}"))
    if device.flag("rows.pending"):
        findings.append(ROW_REMAP_PENDING.warned(f"{who}: a remap is pending; {remapped}"))
    if device.flag("pages.pending"):
        double = device.whole("pages.retiredDoubleBit")
        evidence = f"{who}: pages wait to be retired; {double} retired after double-bit errors"
        findings.append(PAGES_PENDING.warned(evidence))
    return findings


def _driver_words(device: Device) -> list[Finding]:
    findings = []
    action = device.whole("recoveryAction")
    if action:
        words = _RECOVERY.get(action, f"recovery action {action}")
        findings.append(RECOVERY_NEEDED.failed(f"{device.who}: the driver asks to {words}"))
    if device.flag("inforomValid") is False:
        findings.append(INFOROM_CORRUPT.failed(f"{device.who}: the infoROM is corrupted"))
    return findings


def _slowdown(device: Device) -> list[Finding]:
    bits, findings = device.whole("eventReasons"), []
    named = [words for bit, words in HARDWARE_REASONS.items() if bits is not None and bits & bit]
    if named:
        # One look is a hint; under load, in a window, it is a proof.
        findings.append(
            HW_SLOWDOWN.warned(f"{device.who}: {', '.join(named)}, in one look without a window")
        )
    if bits is not None and bits & _THERMAL_REASON:
        evidence = f"{device.who}: {_degrees(device)}"
        findings.append(SW_THERMAL_SLOWDOWN.warned(evidence))
    margin = margin_celsius(device)
    if margin is not None and margin <= _MARGIN_CELSIUS:
        evidence = f"{device.who}: {_degrees(device)}, {margin:g} degrees below its slowdown"
        findings.append(TEMPERATURE_HIGH.found("fail" if margin <= 0 else "warn", evidence))
    return findings


def margin_celsius(device: Device) -> float | None:
    """Return how many degrees are left before the device slows itself down."""
    told = device.number("thermal.marginCelsius")
    if told is not None:
        return told
    now, slowdown = device.number("temperatureCelsius"), device.number("thermal.slowdownCelsius")
    return None if now is None or slowdown is None else slowdown - now


def _degrees(device: Device) -> str:
    now = device.number("temperatureCelsius")
    return "temperature unknown" if now is None else f"{now:g} degrees Celsius"


def _limits(device: Device) -> list[Finding]:
    findings = []
    limit, default = device.number("powerLimitWatts"), device.number("power.defaultLimitWatts")
    if limit is not None and default is not None and limit < default - _POWER_TOLERANCE_WATTS:
        evidence = f"{device.who}: limit {limit:g} W, default {default:g} W"
        fix = f"`nvidia-smi -pl {default:g} -i {device.index}`, unless it was lowered on purpose"
        findings.append(POWER_LIMIT_LOWERED.warned(evidence, fix))
    held = device.whole("clocks.applicationGraphicsMegahertz")
    usual = device.whole("clocks.defaultApplicationGraphicsMegahertz")
    bits = device.whole("eventReasons") or 0
    if held is not None and usual is not None and held < usual:
        evidence = f"{device.who}: application clock {held} MHz, default {usual} MHz"
        findings.append(CLOCKS_LOCKED.warned(evidence))
    elif bits & _LOCKED_REASON:
        now = device.whole("clocks.smMegahertz")
        evidence = f"{device.who}: clocks held by a setting, now {now} MHz"
        findings.append(CLOCKS_LOCKED.warned(evidence))
    return findings


def _modes(device: Device) -> list[Finding]:
    who, findings = device.who, []
    if device.flag("persistenceMode") is False:
        findings.append(PERSISTENCE_OFF.warned(f"{who}: persistence mode is off"))
    mode = device.whole("computeMode")
    if mode == _PROHIBITED:
        findings.append(COMPUTE_PROHIBITED.failed(f"{who}: compute mode is Prohibited"))
    elif mode in (_EXCLUSIVE, _EXCLUSIVE_PROCESS):
        findings.append(COMPUTE_EXCLUSIVE.warned(f"{who}: compute mode is Exclusive Process"))
    enabled, after = device.flag("mig.enabled"), device.flag("mig.enabledAfterReset")
    instances = device.rows("mig.instances")
    if enabled and instances:
        names = ", ".join(str(each.get("name") or each.get("uuid")) for each in instances)
        findings.append(MIG_ENABLED.passed(f"{who}: {len(instances)} instances: {names}"))
    elif enabled:
        findings.append(MIG_EMPTY.warned(f"{who}: MIG is on, no instance is visible"))
    if enabled is not None and after is not None and enabled != after:
        findings.append(MIG_PENDING.warned(f"{who}: MIG will be {'on' if after else 'off'}"))
    return findings


def _links(device: Device) -> list[Finding]:
    findings = []
    at = [device.whole(f"pcie.{name}") for name in ("generation", "maxGeneration")]
    wide = [device.whole(f"pcie.{name}") for name in ("width", "maxWidth")]
    if None not in at + wide:
        evidence = f"{device.who}: generation {at[0]} of {at[1]}, width {wide[0]} of {wide[1]}"
        # Only the generation is lowered to save power; a narrow link at rest proves nothing yet.
        full = wide[0] == wide[1]
        rest = f"{evidence}, at rest: not judged under load"
        findings.append(PCIE_LINK.passed(rest) if full else PCIE_LINK.unknown(rest))
    links = device.rows("nvlinks") or []
    down = [link for link in links if link.get("active") is False]
    if down and len(down) < len(links):
        names = ", ".join(str(link.get("link")) for link in down)
        evidence = f"{device.who}: {len(down)} of {len(links)} links are down: {names}"
        # NVML does not tell a fault from a link that leads nowhere: a bridge that is not fitted, or
        # a neighbour that belongs to another virtual machine. XID 74 does.
        findings.append(NVLINK_DOWN.warned(evidence))
    findings += _link_errors(device, links)
    return findings


def _link_errors(device: Device, links: list[dict[str, object]]) -> list[Finding]:
    counts = {name: sum(_count(link.get(name)) for link in links) for name in _LINK_ERRORS}
    told = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    return [NVLINK_ERRORS.warned(f"{device.who}: {told}")] if told else []


def _overall(device: Device, findings: list[Finding]) -> Finding:
    unread = {name: device.why_unread(name) for name in _VITAL if device.look(name) is None}
    if all(device.look(name) is None for name in _REPAIR):
        unread[_REPAIR[0]] = device.why_unread(_REPAIR[0])
    if unread:
        told = ", ".join(f"{name} ({reason})" for name, reason in unread.items())
        return HEALTH_PARTLY_UNKNOWN.unknown(f"{device.who}: cannot be read: {told}")
    noted = sum(finding.verdict == "warn" for finding in findings)
    also = f"; {noted} warnings" if noted else ""
    return DEVICE_HEALTHY.passed(f"{device.who}: no sign of a defect{also}")


def _count(value: object) -> int:
    return value if isinstance(value, int) else 0
