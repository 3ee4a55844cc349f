"""Were the devices of a trial well, its own, and used? What gate and watch said, as an ending.

Role: from the two looks at a trial's GPUs to why its figures do not count, or to a note beside
them. Must not know: logs. Trade-off: a device that is sick or shared voids a trial whatever the
figures say, since nobody can tell what they would have been; what nobody could look at voids
nothing, unless the spec requires a healthy device to be shown.

A device that did next to nothing makes the trial no evidence about that device. Where the promise
was kept all the same, that stands: it was kept. Where it was not, the server may be slow only for
want of the device, so that the trial is void and never "a slow configuration".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from infertune.api.device_status import TrialDevices
from infertune.api.spec import TuningSpec
from infertune.api.status import TrialRecord
from infertune.core.snapshot import JobView, ProbeFailure
from infertune.core.trial_result import Ending, ended
from infertune_probes.contract.gpu_result import GpuDeviceWindow, GpuResult
from infertune_probes.contract.load import Envelope, Finding, Summary, SummaryFinding
from infertune_probes.gpu.use import DeviceUse, Surmise, judge_use
from infertune_probes.gpu.window import statistics_of

UNHEALTHY = "DeviceUnhealthy"
SHARED = "DeviceShared"
UNPROVEN = "DeviceUnproven"
NOT_USED = "GpuNotUsed"
GATE_FAILED = "GateFailed"
NOT_USED_CODE = "GPU_NOT_USED"
# Patience for the look that comes after the load has ended: one comes every ten seconds.
LAST_LOOK_SECONDS = 30.0
_SHARING = frozenset({"TRIAL_DEVICE_SHARED", "FOREIGN_PROCESS"})
# Warnings elsewhere; while a trial is measured they mean that something else was measured too.
_VOIDING = frozenset({"ECC_GROWING", "XID_APPLICATION", "XID_OTHER"})
_COOLING = "software thermal slowdown"
# A device that the driver cools for a tenth of the time is not the device of the other trials.
_COOLED_SHARE = 0.1
# What a pod without rights cannot read, and what says nothing against the health of a device.
BESIDE_HEALTH = frozenset({"XID_UNKNOWN", "HIDDEN_USE", "PCIE_LINK"})
_MOST_UUIDS = 16
_LONGEST_NOTE = 512

AnyFinding = Finding | SummaryFinding


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the looks mean: an ending where the figures do not count, and what is told anyway."""

    devices: TrialDevices
    ending: Ending | None = None
    not_used: str = ""


def held_back(server: JobView, spec: TuningSpec) -> Ending | None:
    """Return why the gate did not let the server start, or what a required check could not show."""
    look = server.devices
    if look is None:
        return None
    if isinstance(look.gate, Summary):
        found = _against(look.gate.findings) or _unproven(look.gate.findings, spec)
        if found is not None:
            return found
    elif look.gate is not None and spec.probes.gpu_check == "Required":
        return Ending("Invalid", UNPROVEN, f"{look.gate.reason}: {look.gate.message}")
    if look.blocked:
        return Ending("Invalid", GATE_FAILED, look.blocked)
    return None


def awaits_last_look(
    server: JobView | None,
    watch: Envelope | ProbeFailure | None,
    load: Envelope | ProbeFailure,
    now: datetime,
) -> bool:
    """Return whether the look that follows the end of the load is still to come.

    For a short while only, by the clock of the load's node; where clocks differ nobody waits.
    """
    if server is None or server.devices is None or not isinstance(load, Envelope):
        return False
    if not isinstance(watch, Envelope):
        return False
    waited = (now - load.finished_at).total_seconds()
    return watch.finished_at < load.finished_at and 0 <= waited < LAST_LOOK_SECONDS


def looked_at(record: TrialRecord, server: JobView | None) -> TrialRecord:
    """Return the record with the devices that the gate saw; what it noted before stays."""
    look = server.devices if server else None
    if look is None or look.gate is None or record.devices is not None:
        return record
    return record.model_copy(update={"devices": _before(look.gate)})


def judge_devices(
    server: JobView | None,
    watch: Envelope | ProbeFailure | None,
    load: Envelope | ProbeFailure,
    spec: TuningSpec,
) -> Verdict | None:
    """Return what gate and watch mean for a trial whose load has ended; None: nobody looked."""
    look = server.devices if server else None
    if look is None:
        return None
    before = TrialDevices(note="before: not known") if look.gate is None else _before(look.gate)
    if not isinstance(watch, Envelope):
        why = "no log of the watch" if watch is None else f"{watch.reason}: {watch.message}"
        return _unknown(before, why, spec)
    if not isinstance(watch.result, GpuResult) or not watch.result.devices:
        return _unknown(before, _unread(watch.findings) or "no device was watched", spec)
    ending = _against(watch.findings) or _cooled(watch.result) or _unproven(watch.findings, spec)
    used, told = _use(watch, watch.result, load)
    during = ending.message if ending else "; ".join(filter(None, (told, _unread(watch.findings))))
    devices = _noted(before, used, f"during: {during or 'well'}")
    return Verdict(devices, ending, told if used == "No" else "")


def with_devices(record: TrialRecord, verdict: Verdict | None) -> TrialRecord:
    """Return an ended trial's record with what its devices mean for it.

    A sick or shared device voids every figure; one that was not used, those that failed.
    """
    if verdict is None:
        return record
    record = record.model_copy(update={"devices": verdict.devices})
    if verdict.ending is not None:
        return ended(record, verdict.ending)
    if verdict.not_used and record.phase == "Completed" and record.knee_rate is None:
        return ended(record, Ending("Invalid", NOT_USED, f"{NOT_USED_CODE}: {verdict.not_used}"))
    return record


def _against(findings: Sequence[AnyFinding]) -> Ending | None:
    """Return what speaks against the devices, sharing first: it explains much else."""
    bad = [f for f in findings if f.verdict == "fail" or _voids(f)]
    bad.sort(key=lambda finding: finding.code not in _SHARING)
    if not bad:
        return None
    reason = SHARED if bad[0].code in _SHARING else UNHEALTHY
    return Ending("Invalid", reason, "; ".join(f"{f.code}: {f.evidence}" for f in bad))


def _voids(finding: AnyFinding) -> bool:
    return finding.verdict == "warn" and finding.code in _VOIDING


def _cooled(result: GpuResult) -> Ending | None:
    """Return that the driver cooled a device for much of the watch, or None."""
    names = {device.index: device.uuid for device in result.devices}
    for window in result.window.devices if result.window else ():
        share = window.reason_shares.get(_COOLING, 0.0)
        if share >= _COOLED_SHARE:
            words = f"device {window.index} ({names.get(window.index)}): {_COOLING} in"
            told = f"SW_THERMAL_SLOWDOWN: {words} {100 * share:.0f} % of the samples"
            return Ending("Invalid", UNHEALTHY, told)
    return None


def _unproven(findings: Sequence[AnyFinding], spec: TuningSpec) -> Ending | None:
    """Return what could not be shown, where the spec requires that it is."""
    if spec.probes.gpu_check != "Required":
        return None
    missing = _unread(findings)
    return Ending("Invalid", UNPROVEN, missing) if missing else None


def _unread(findings: Sequence[AnyFinding]) -> str:
    """Return what could not be looked at, but for what a pod without rights never sees."""
    missing = [f for f in findings if f.verdict == "unknown" and f.code not in BESIDE_HEALTH]
    return "; ".join(f"{f.code}: {f.evidence}" for f in missing)


def _before(gate: Summary | ProbeFailure) -> TrialDevices:
    if isinstance(gate, ProbeFailure):
        return TrialDevices(note=f"before: {gate.reason}: {gate.message}"[:_LONGEST_NOTE])
    uuids = tuple(f.evidence for f in gate.findings if f.code == "TRIAL_DEVICE")[:_MOST_UUIDS]
    against = _against(gate.findings)
    told = against.message if against else _unread(gate.findings) or "well"
    hidden = sorted({f.code for f in gate.findings if f.verdict == "unknown"} & BESIDE_HEALTH)
    unseen = f" (not seen: {', '.join(hidden)})" if hidden else ""
    return TrialDevices(uuids=uuids, note=f"before: {told}{unseen}"[:_LONGEST_NOTE])


def _noted(before: TrialDevices, used: str, words: str) -> TrialDevices:
    half = _LONGEST_NOTE // 2
    note = f"{before.note[: half - 2]}; {words}"[:_LONGEST_NOTE]
    return before.model_copy(update={"used": used, "note": note})


def _unknown(before: TrialDevices, why: str, spec: TuningSpec) -> Verdict:
    """Nothing measured is not zero: nothing is said against a device that nobody could see."""
    required = spec.probes.gpu_check == "Required"
    ending = Ending("Invalid", UNPROVEN, why) if required else None
    return Verdict(_noted(before, "Unknown", f"during: unknown: {why}"), ending)


def _use(watch: Envelope, result: GpuResult, load: Envelope | ProbeFailure) -> tuple[str, str]:
    """Return whether the devices worked under load, and the sentence where they did not."""
    if not isinstance(load, Envelope) or load.load is None or result.window is None:
        return "Unknown", "use: no course of the load"
    levels = [level for level in load.load.levels if level.state != "skipped"]
    seconds = sum(level.warmup_seconds + level.window_seconds for level in levels)
    begin = load.finished_at - timedelta(seconds=seconds)
    names = {device.index: f"device {device.index} ({device.uuid})" for device in result.devices}
    uses = [
        _under_load(window, names.get(window.index, "?"), watch.started_at, begin, load.finished_at)
        for window in result.window.devices
    ]
    findings = judge_use(uses, Surmise()) if uses else []
    idle = [finding for finding in findings if finding.code == NOT_USED_CODE]
    if idle:
        return "No", "; ".join(f"{finding.evidence}; {finding.fix}" for finding in idle)
    unknown = [finding for finding in findings if finding.verdict == "unknown"]
    if unknown or not findings:
        return "Unknown", "; ".join(f.evidence for f in unknown) or "use: no sample"
    return "Yes", ""


def _under_load(
    window: GpuDeviceWindow, who: str, base: datetime, begin: datetime, end: datetime
) -> DeviceUse:
    """Return the use of one device between two moments, by the clock of the watch's node."""
    first, last = (begin - base).total_seconds(), (end - base).total_seconds()

    def during(name: str) -> list[float]:
        return [value for at, value in window.courses.get(name, ()) if first <= at <= last]

    return DeviceUse(
        who, statistics_of(during("smPercent")), statistics_of(during("framebufferUsedBytes"))
    )
