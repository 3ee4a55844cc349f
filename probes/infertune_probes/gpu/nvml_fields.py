"""Which fields of a device are read, and by which NVML call: one table for facts, one for samples.

It runs in the child and must not judge. A name with a dot is a field of a group. Trade-off: every
field has its own call, so that one that is missing costs only itself and can be named with the
driver's own reason; a group of calls that NVML could answer at once is therefore asked in parts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    Reader = Callable[[Any, Any], object]

# A module and a ctypes pointer, both without types.
Nvml = Any
Handle = Any

# Field values by number, since an older nvidia-ml-py lacks their names.
FIELD_RECOVERY_ACTION = 230
FIELD_LINK_COUNT = 91
FIELD_MEMORY_TEMPERATURE = 82
FIELD_VIOLATIONS = {"power": 74, "thermal": 75, "reliability": 79, "boardLimit": 77}
_POLICIES = {"power": 0, "thermal": 1, "reliability": 5, "boardLimit": 3}
_SHUTDOWN, _SLOWDOWN, _GPU_MAX = 0, 1, 3
_GRAPHICS, _SM, _MEMORY = 0, 1, 2
_CORRECTED, _UNCORRECTED, _VOLATILE, _AGGREGATE = 0, 1, 0, 1
_TX, _RX = 0, 1
_SINGLE, _DOUBLE = 0, 1
_MOST_LINKS = 36
_FUNCTION_NOT_FOUND = 13
_ARCHITECTURES = {
    2: "Kepler",
    3: "Maxwell",
    4: "Pascal",
    5: "Volta",
    6: "Turing",
    7: "Ampere",
    8: "Ada",
    9: "Hopper",
    10: "Blackwell",
    13: "Rubin",
}
_KINDS = (
    ("compute", "nvmlDeviceGetComputeRunningProcesses"),
    ("graphics", "nvmlDeviceGetGraphicsRunningProcesses"),
    ("mps", "nvmlDeviceGetMPSComputeRunningProcesses"),
)


def text(value: object) -> str:
    """Return what NVML gave as text; an older nvidia-ml-py gives bytes."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def field_value(nvml: Nvml, handle: Handle, field: int) -> int:
    """Return one field value that is an integer.

    Raises:
        NVMLError: NVML does not tell this field of this device.
    """
    answer = nvml.nvmlDeviceGetFieldValues(handle, [field])[0]
    if answer.nvmlReturn != 0:
        raise nvml.NVMLError(answer.nvmlReturn)
    # All integer members of the union start at the same byte; the type says how many count.
    wide = answer.valueType in (2, 3, 4)
    return int(answer.value.ullVal if wide else answer.value.uiVal)


def event_reasons(nvml: Nvml, handle: Handle) -> int:
    """Return the clock event reasons; drivers before 535 call them throttle reasons."""
    try:
        return int(nvml.nvmlDeviceGetCurrentClocksEventReasons(handle))
    except (AttributeError, nvml.NVMLError_FunctionNotFound):
        return int(nvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle))


def violation(kind: str) -> Reader:
    """Return the reader of how long, in ns since the driver started, clocks were held back."""

    def read(nvml: Nvml, handle: Handle) -> int:
        try:
            status = nvml.nvmlDeviceGetViolationStatus(handle, _POLICIES[kind])
        except nvml.NVMLError_NotSupported:
            return field_value(nvml, handle, FIELD_VIOLATIONS[kind])
        return int(status.violationTime)

    return read


def processes(nvml: Nvml, handle: Handle) -> list[dict[str, object]]:
    """Return who has a context on the device, by kind; a pid may appear once per kind.

    Raises:
        NVMLError: not even the compute processes can be listed.
    """
    found: list[dict[str, object]] = []
    for kind, call in _KINDS:
        try:
            listed = _listed(nvml, handle, call)
        except (AttributeError, nvml.NVMLError):
            if kind == "compute":
                raise
            continue
        found += [
            {"pid": int(each.pid), "kind": kind, "usedMemoryBytes": each.usedGpuMemory}
            for each in listed
        ]
    return found


def _listed(nvml: Nvml, handle: Handle, call: str) -> list[Any]:
    # The name without a version raises an error that is no NVMLError on drivers before 510.
    for version in ("_v3", "_v2"):
        try:
            return list(getattr(nvml, call + version)(handle))
        except (AttributeError, nvml.NVMLError_FunctionNotFound):
            continue
    raise nvml.NVMLError(_FUNCTION_NOT_FOUND)


def nvlinks(nvml: Nvml, handle: Handle) -> list[dict[str, object]]:
    """Return the links that the device has, each with its state and its error counters."""
    count = min(field_value(nvml, handle, FIELD_LINK_COUNT), _MOST_LINKS)
    return [_link(nvml, handle, link) for link in range(count)]


def _link(nvml: Nvml, handle: Handle, link: int) -> dict[str, object]:
    state: dict[str, object] = {"link": link, "active": None}
    try:
        state["active"] = bool(nvml.nvmlDeviceGetNvLinkState(handle, link))
    except nvml.NVMLError:
        return state
    for counter, name in enumerate(("replays", "recoveries", "crcFlits", "crcData")):
        try:
            state[name] = int(nvml.nvmlDeviceGetNvLinkErrorCounter(handle, link, counter))
        except nvml.NVMLError:
            state[name] = None
    return state


def mig_instances(nvml: Nvml, handle: Handle) -> list[dict[str, object]]:
    """Return the MIG devices of a GPU; an index without one is left out."""
    found: list[dict[str, object]] = []
    for index in range(nvml.nvmlDeviceGetMaxMigDeviceCount(handle)):
        try:
            instance = nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, index)
        except nvml.NVMLError_NotFound:
            continue
        values: dict[str, object] = {"index": index}
        for name, read in _INSTANCE.items():
            try:
                values[name] = read(nvml, instance)
            except nvml.NVMLError:
                values[name] = None
        found.append(values)
    return found


def inforom(nvml: Nvml, handle: Handle) -> bool:
    """Return whether the checksum of the device's own memory of itself is right."""
    try:
        nvml.nvmlDeviceValidateInforom(handle)
    except nvml.NVMLError_CorruptedInforom:
        return False
    return True


def _capability(nvml: Nvml, handle: Handle) -> str:
    major, minor = nvml.nvmlDeviceGetCudaComputeCapability(handle)
    return f"{major}.{minor}"


def _architecture(nvml: Nvml, handle: Handle) -> str:
    number = int(nvml.nvmlDeviceGetArchitecture(handle))
    return _ARCHITECTURES.get(number, f"architecture {number}")


def _ecc(kind: int, counter: int) -> Reader:
    return lambda n, h: int(n.nvmlDeviceGetTotalEccErrors(h, kind, counter))


_INSTANCE: dict[str, Reader] = {
    "uuid": lambda n, h: text(n.nvmlDeviceGetUUID(h)),
    "name": lambda n, h: text(n.nvmlDeviceGetName(h)),
    "gpuInstance": lambda n, h: int(n.nvmlDeviceGetGpuInstanceId(h)),
    "computeInstance": lambda n, h: int(n.nvmlDeviceGetComputeInstanceId(h)),
    "memoryTotalBytes": lambda n, h: int(n.nvmlDeviceGetMemoryInfo(h).total),
    "memoryUsedBytes": lambda n, h: int(n.nvmlDeviceGetMemoryInfo(h).used),
}

FACTS: dict[str, Reader] = {
    "uuid": lambda n, h: text(n.nvmlDeviceGetUUID(h)),
    "name": lambda n, h: text(n.nvmlDeviceGetName(h)),
    "pciBusId": lambda n, h: text(n.nvmlDeviceGetPciInfo(h).busId).lower(),
    "serial": lambda n, h: text(n.nvmlDeviceGetSerial(h)),
    "vbios": lambda n, h: text(n.nvmlDeviceGetVbiosVersion(h)),
    "minorNumber": lambda n, h: int(n.nvmlDeviceGetMinorNumber(h)),
    "architecture": _architecture,
    "computeCapability": _capability,
    "inforomValid": inforom,
    "memoryTotalBytes": lambda n, h: int(n.nvmlDeviceGetMemoryInfo(h).total),
    "memoryUsedBytes": lambda n, h: int(n.nvmlDeviceGetMemoryInfo(h).used),
    "memoryFreeBytes": lambda n, h: int(n.nvmlDeviceGetMemoryInfo(h).free),
    "bar1TotalBytes": lambda n, h: int(n.nvmlDeviceGetBAR1MemoryInfo(h).bar1Total),
    "bar1UsedBytes": lambda n, h: int(n.nvmlDeviceGetBAR1MemoryInfo(h).bar1Used),
    "utilisationPercent": lambda n, h: float(n.nvmlDeviceGetUtilizationRates(h).gpu),
    "memoryUtilisationPercent": lambda n, h: float(n.nvmlDeviceGetUtilizationRates(h).memory),
    "temperatureCelsius": lambda n, h: float(n.nvmlDeviceGetTemperature(h, 0)),
    "thermal.slowdownCelsius": lambda n, h: int(n.nvmlDeviceGetTemperatureThreshold(h, _SLOWDOWN)),
    "thermal.shutdownCelsius": lambda n, h: int(n.nvmlDeviceGetTemperatureThreshold(h, _SHUTDOWN)),
    "thermal.maxOperatingCelsius": lambda n, h: int(
        n.nvmlDeviceGetTemperatureThreshold(h, _GPU_MAX)
    ),
    "thermal.marginCelsius": lambda n, h: int(n.nvmlDeviceGetMarginTemperature(h)),
    "thermal.memoryCelsius": lambda n, h: field_value(n, h, FIELD_MEMORY_TEMPERATURE),
    "powerWatts": lambda n, h: n.nvmlDeviceGetPowerUsage(h) / 1000.0,
    "powerLimitWatts": lambda n, h: n.nvmlDeviceGetEnforcedPowerLimit(h) / 1000.0,
    "power.defaultLimitWatts": lambda n, h: n.nvmlDeviceGetPowerManagementDefaultLimit(h) / 1000.0,
    "power.minLimitWatts": lambda n, h: (
        n.nvmlDeviceGetPowerManagementLimitConstraints(h)[0] / 1000.0
    ),
    "power.maxLimitWatts": lambda n, h: (
        n.nvmlDeviceGetPowerManagementLimitConstraints(h)[1] / 1000.0
    ),
    # Volatile: since the driver was loaded. Old aggregate errors may long be repaired.
    "eccUncorrected": _ecc(_UNCORRECTED, _VOLATILE),
    "ecc.corrected": _ecc(_CORRECTED, _VOLATILE),
    "ecc.aggregateCorrected": _ecc(_CORRECTED, _AGGREGATE),
    "ecc.aggregateUncorrected": _ecc(_UNCORRECTED, _AGGREGATE),
    "ecc.enabled": lambda n, h: bool(n.nvmlDeviceGetEccMode(h)[0]),
    "ecc.enabledAfterReset": lambda n, h: bool(n.nvmlDeviceGetEccMode(h)[1]),
    "rows.remappedCorrectable": lambda n, h: int(n.nvmlDeviceGetRemappedRows(h)[0]),
    "rows.remappedUncorrectable": lambda n, h: int(n.nvmlDeviceGetRemappedRows(h)[1]),
    "rows.pending": lambda n, h: bool(n.nvmlDeviceGetRemappedRows(h)[2]),
    "rows.failure": lambda n, h: bool(n.nvmlDeviceGetRemappedRows(h)[3]),
    "pages.retiredSingleBit": lambda n, h: len(n.nvmlDeviceGetRetiredPages(h, _SINGLE)),
    "pages.retiredDoubleBit": lambda n, h: len(n.nvmlDeviceGetRetiredPages(h, _DOUBLE)),
    "pages.pending": lambda n, h: bool(n.nvmlDeviceGetRetiredPagesPendingStatus(h)),
    "eventReasons": event_reasons,
    "violations.powerNanoseconds": violation("power"),
    "violations.thermalNanoseconds": violation("thermal"),
    "violations.reliabilityNanoseconds": violation("reliability"),
    "violations.boardLimitNanoseconds": violation("boardLimit"),
    "pcie.generation": lambda n, h: int(n.nvmlDeviceGetCurrPcieLinkGeneration(h)),
    "pcie.maxGeneration": lambda n, h: int(n.nvmlDeviceGetMaxPcieLinkGeneration(h)),
    "pcie.deviceMaxGeneration": lambda n, h: int(n.nvmlDeviceGetGpuMaxPcieLinkGeneration(h)),
    "pcie.width": lambda n, h: int(n.nvmlDeviceGetCurrPcieLinkWidth(h)),
    "pcie.maxWidth": lambda n, h: int(n.nvmlDeviceGetMaxPcieLinkWidth(h)),
    "pcie.replays": lambda n, h: int(n.nvmlDeviceGetPcieReplayCounter(h)),
    "clocks.graphicsMegahertz": lambda n, h: int(n.nvmlDeviceGetClockInfo(h, _GRAPHICS)),
    "clocks.smMegahertz": lambda n, h: int(n.nvmlDeviceGetClockInfo(h, _SM)),
    "clocks.memoryMegahertz": lambda n, h: int(n.nvmlDeviceGetClockInfo(h, _MEMORY)),
    "clocks.maxSmMegahertz": lambda n, h: int(n.nvmlDeviceGetMaxClockInfo(h, _SM)),
    "clocks.maxMemoryMegahertz": lambda n, h: int(n.nvmlDeviceGetMaxClockInfo(h, _MEMORY)),
    "clocks.applicationGraphicsMegahertz": lambda n, h: int(
        n.nvmlDeviceGetApplicationsClock(h, _GRAPHICS)
    ),
    "clocks.applicationMemoryMegahertz": lambda n, h: int(
        n.nvmlDeviceGetApplicationsClock(h, _MEMORY)
    ),
    "clocks.defaultApplicationGraphicsMegahertz": lambda n, h: int(
        n.nvmlDeviceGetDefaultApplicationsClock(h, _GRAPHICS)
    ),
    "performanceState": lambda n, h: int(n.nvmlDeviceGetPerformanceState(h)),
    "persistenceMode": lambda n, h: bool(n.nvmlDeviceGetPersistenceMode(h)),
    "computeMode": lambda n, h: int(n.nvmlDeviceGetComputeMode(h)),
    "mig.enabled": lambda n, h: bool(n.nvmlDeviceGetMigMode(h)[0]),
    "mig.enabledAfterReset": lambda n, h: bool(n.nvmlDeviceGetMigMode(h)[1]),
    "mig.instances": mig_instances,
    "nvlinks": nvlinks,
    "recoveryAction": lambda n, h: field_value(n, h, FIELD_RECOVERY_ACTION),
    "users": processes,
}

# What `nvidia-smi dmon -s pucvmet` shows, under longer names.
SAMPLE: dict[str, Reader] = {
    "powerWatts": lambda n, h: n.nvmlDeviceGetPowerUsage(h) / 1000.0,
    "temperatureCelsius": lambda n, h: float(n.nvmlDeviceGetTemperature(h, 0)),
    "memoryTemperatureCelsius": lambda n, h: float(field_value(n, h, FIELD_MEMORY_TEMPERATURE)),
    "smPercent": lambda n, h: float(n.nvmlDeviceGetUtilizationRates(h).gpu),
    "memoryControllerPercent": lambda n, h: float(n.nvmlDeviceGetUtilizationRates(h).memory),
    "encoderPercent": lambda n, h: float(n.nvmlDeviceGetEncoderUtilization(h)[0]),
    "decoderPercent": lambda n, h: float(n.nvmlDeviceGetDecoderUtilization(h)[0]),
    "jpegPercent": lambda n, h: float(n.nvmlDeviceGetJpgUtilization(h)[0]),
    "opticalFlowPercent": lambda n, h: float(n.nvmlDeviceGetOfaUtilization(h)[0]),
    "memoryClockMegahertz": lambda n, h: float(n.nvmlDeviceGetClockInfo(h, _MEMORY)),
    "smClockMegahertz": lambda n, h: float(n.nvmlDeviceGetClockInfo(h, _SM)),
    "framebufferUsedBytes": lambda n, h: float(n.nvmlDeviceGetMemoryInfo(h).used),
    "bar1UsedBytes": lambda n, h: float(n.nvmlDeviceGetBAR1MemoryInfo(h).bar1Used),
    # NVML says KB/s, over 20 ms within the call; taken as 1,000 bytes.
    "pcieReceivedBytesPerSecond": lambda n, h: 1000.0 * n.nvmlDeviceGetPcieThroughput(h, _RX),
    "pcieSentBytesPerSecond": lambda n, h: 1000.0 * n.nvmlDeviceGetPcieThroughput(h, _TX),
    "pcieGeneration": lambda n, h: float(n.nvmlDeviceGetCurrPcieLinkGeneration(h)),
    "pcieWidth": lambda n, h: float(n.nvmlDeviceGetCurrPcieLinkWidth(h)),
    "performanceState": lambda n, h: float(n.nvmlDeviceGetPerformanceState(h)),
}

# Numbers that only grow; a window tells by how much.
COUNTERS: dict[str, Reader] = {
    "powerViolationNanoseconds": violation("power"),
    "thermalViolationNanoseconds": violation("thermal"),
    "eccCorrected": _ecc(_CORRECTED, _VOLATILE),
    "eccUncorrected": _ecc(_UNCORRECTED, _VOLATILE),
    "pcieReplays": lambda n, h: int(n.nvmlDeviceGetPcieReplayCounter(h)),
}
