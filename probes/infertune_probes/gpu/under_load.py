"""What a window shows that a look at rest cannot: links, clocks and counters of a working device.

Pure. A device that did not work in the window is not judged by it. Trade-off: the link's state is
the best of the loaded samples, because a link may take a moment to come up; a fault that shows only
now and then is left to the counters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from infertune_probes.gpu.codes import (
    DEVICE_LOST,
    ECC_GROWING,
    ECC_UNCORRECTED,
    HW_SLOWDOWN,
    PCIE_REPLAYS,
    PCIE_UNDER_LOAD,
    PERFORMANCE_STATE_LOW,
    POWER_CAPPED,
    SW_THERMAL_SLOWDOWN,
    WINDOW_CUT,
    WINDOW_SAMPLED,
)
from infertune_probes.gpu.health import HARDWARE_REASONS
from infertune_probes.gpu.window import (
    LOADED_PERCENT,
    growth,
    held_back_percent,
    loaded,
    reason_shares,
    values_of,
)

if TYPE_CHECKING:
    from infertune_probes.contract.envelope import Finding
    from infertune_probes.gpu.reading import Device
    from infertune_probes.gpu.window import DeviceSample, Window

# P0 to P2 are the states of work (P2 is where consumer cards compute).
_WORKING_STATE = 2
_POWER_CAP, _THERMAL = "software power cap", "software thermal slowdown"


def judge_window(window: Window, devices: list[Device]) -> list[Finding]:
    """Return what the window showed, for all devices."""
    findings = []
    if window.failure is not None:
        where = f" in {window.during}" if window.during else ""
        evidence = f"after {window.seconds:g} s, {window.ticks} samples{where}: {window.failure}"
        findings.append(WINDOW_CUT.found("fail" if window.hung else "unknown", evidence))
    elif window.ticks:
        evidence = f"{window.ticks} samples in {window.seconds:g} s of {len(devices)} devices"
        findings.append(WINDOW_SAMPLED.passed(evidence))
    for device in devices:
        findings += _device(device, window)
    return findings


def _device(device: Device, window: Window) -> list[Finding]:
    lost = [s for s in window.samples if s.index == device.index and s.error is not None]
    if lost and device.error is None:
        evidence = f"{device.who}: {lost[0].error}, {lost[0].at_seconds:g} s into the window"
        return [DEVICE_LOST.failed(evidence)]
    samples = window.of(device.index)
    return [*_counters(device, samples), *_clocks(device, samples), *_link(device, samples)]


def _counters(device: Device, samples: list[DeviceSample]) -> list[Finding]:
    findings = []
    for name, code in (("eccUncorrected", ECC_UNCORRECTED), ("eccCorrected", ECC_GROWING)):
        grown = growth(samples, name)
        if grown:
            kind = "uncorrected" if code is ECC_UNCORRECTED else "corrected"
            verdict = code.failed if code is ECC_UNCORRECTED else code.warned
            findings.append(verdict(f"{device.who}: {grown} {kind} ECC errors in the window"))
    replays = growth(samples, "pcieReplays")
    if replays:
        findings.append(PCIE_REPLAYS.warned(f"{device.who}: {replays} replays in the window"))
    return findings


def _clocks(device: Device, samples: list[DeviceSample]) -> list[Finding]:
    working = loaded(samples)
    if not working:
        return []
    findings, shares = [], reason_shares(working)
    hardware = [words for words in HARDWARE_REASONS.values() if shares.get(words)]
    if hardware:
        told = ", ".join(f"{words} in {100 * shares[words]:.0f} %" for words in hardware)
        evidence = f"{device.who}: under load, {told} of {len(working)} samples"
        findings.append(HW_SLOWDOWN.failed(evidence))
    if shares.get(_THERMAL):
        held = held_back_percent(samples, "thermalViolationNanoseconds")
        counted = "" if held is None else f", clocks held back {held:.0f} % of the time"
        evidence = f"{device.who}: under load, in {100 * shares[_THERMAL]:.0f} % of samples"
        findings.append(SW_THERMAL_SLOWDOWN.warned(evidence + counted))
    if shares.get(_POWER_CAP):
        share = 100 * shares[_POWER_CAP]
        limit = device.number("powerLimitWatts")
        told = "limit not told" if limit is None else f"limit {limit:g} W"
        evidence = f"{device.who}: in {share:.0f} % of the loaded samples, {told}"
        findings.append(POWER_CAPPED.passed(evidence))
    states = values_of(working, "performanceState")
    if states and min(states) > _WORKING_STATE:
        evidence = f"{device.who}: never better than P{min(states):.0f} while it worked"
        findings.append(PERFORMANCE_STATE_LOW.warned(evidence))
    return findings


def _link(device: Device, samples: list[DeviceSample]) -> list[Finding]:
    working = loaded(samples)
    generations, widths = values_of(working, "pcieGeneration"), values_of(working, "pcieWidth")
    most = device.number("pcie.maxGeneration"), device.number("pcie.maxWidth")
    if not generations or not widths or None in most:
        return []
    seen = max(generations), max(widths)
    evidence = (
        f"{device.who}: generation {seen[0]:g} of {most[0]:g}, width {seen[1]:g} of {most[1]:g} "
        f"in {len(working)} samples with at least {LOADED_PERCENT:g} % use"
    )
    slower = seen[0] < most[0] or seen[1] < most[1]  # type: ignore[operator]
    return [PCIE_UNDER_LOAD.warned(evidence) if slower else PCIE_UNDER_LOAD.passed(evidence)]
