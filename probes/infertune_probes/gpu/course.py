"""What the watch beside a trial's server has seen since it began, and its envelope at any moment.

It must not ask anybody anything, nor know when load is offered: it keeps the course, with the time
of its first moment, and whoever knows the load's times cuts it out. Trade-off: only the last five
minutes of samples are kept; what was found in them stays, worst first, until the end.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from infertune_probes.contract.envelope import Envelope
from infertune_probes.contract.host import host_facts, image, node_name, pod_uid
from infertune_probes.contract.software import software_here
from infertune_probes.gpu.codes import (
    DEVICE_LOST,
    NVML_HUNG,
    PCIE_LINK,
    TRIAL_DEVICE,
    TRIAL_DEVICE_SHARED,
    TRIAL_DEVICES_UNKNOWN,
    WINDOW_CUT,
)
from infertune_probes.gpu.given import errors_of
from infertune_probes.gpu.health import judge_health
from infertune_probes.gpu.presence import uuids_by_address
from infertune_probes.gpu.section import measure, result_section
from infertune_probes.gpu.tenants import proc_owner, tenants
from infertune_probes.gpu.under_load import judge_window
from infertune_probes.gpu.window import Window
from infertune_probes.gpu.xid import KernelLog, judge_xids

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from infertune_probes.contract.codes import Code
    from infertune_probes.contract.envelope import Finding
    from infertune_probes.gpu.reading import Device
    from infertune_probes.gpu.window import DeviceSample
    from infertune_probes.gpu.witnesses import Sight
    from infertune_probes.gpu.xid import Xid

KEPT_SECONDS = 300.0
# Whoever reads an envelope wants to know when a device worked, not how warm it was meanwhile.
_COURSES = ("smPercent", "framebufferUsedBytes")
_INTERVAL_SECONDS = 1.0


class Course:
    """Fed with looks and samples; `envelope` says all of it. Mutable on purpose, like a session."""

    def __init__(self, uuids: tuple[str, ...] | None, started: float) -> None:
        """Begin at this moment of the wall clock; `uuids` None: the gate left none."""
        self._uuids = uuids or ()
        self._started = started
        self._base: float | None = None
        self._sight: Sight | None = None
        self._log = KernelLog(None, "not read yet")
        self._before: Counter[Xid] | None = None
        self._devices: list[Device] | None = None
        self._window = Window(_INTERVAL_SECONDS)
        self._now: list[Finding] = []
        self._kept: dict[tuple[str, str], Finding] = {}

    @property
    def known(self) -> bool:
        """Whether there is a device to watch."""
        return bool(self._devices)

    def looked(self, sight: Sight, log: KernelLog, proc: Path) -> None:
        """Take in a look at the driver and at the kernel's log."""
        mine = {uuid: _listed(sight, uuid) for uuid in self._uuids}
        found = [device for device in mine.values() if device is not None]
        if self._devices is None and found and len(found) == len(mine):
            self._devices = found
        self._sight, self._log = sight, self._new_errors(log)
        self._now = self._driver_findings(sight, mine)
        for device in found if self._devices else []:
            health = judge_health(device)
            self._now += [finding for finding in health if finding.code != PCIE_LINK.name]
            self._now += _strangers(device, proc)
        if self._devices:
            self._now += judge_xids(self._log, uuids_by_address(sight))
        self._keep(finding for finding in self._now if finding.verdict == "fail")
        self._keep(finding for finding in self._now if finding.code.startswith("XID_"))

    def heard(self, now: float, samples: list[DeviceSample]) -> None:
        """Take in one tick of samples."""
        indices = {device.index for device in self._devices or ()}
        mine = [sample for sample in samples if sample.index in indices]
        if not mine:
            return
        window, at = self._window, mine[0].at_seconds
        if self._base is None or (window.samples and at < window.samples[-1].at_seconds):
            # The child was started anew, and so its clock.
            self._base, window.samples = now - at, []
        window.samples += mine
        oldest = at - KEPT_SECONDS
        window.samples = [sample for sample in window.samples if sample.at_seconds > oldest]
        window.ticks = len({sample.at_seconds for sample in window.samples})
        window.seconds = at - window.samples[0].at_seconds

    def cut(self, ended: Window) -> None:
        """Take in why the samples ended."""
        where = f" in {ended.during}" if ended.during else ""
        evidence = f"{', '.join(self._uuids)}: samples ended{where}: {ended.failure}"
        self._keep([WINDOW_CUT.found("fail" if ended.hung else "unknown", evidence)])

    def envelope(self, now: float, ending: Code | None = None) -> Envelope:
        """Return all that was seen, as of this moment."""
        devices = self._devices or []
        window = judge_window(self._window, devices) if devices else []
        self._keep(finding for finding in window if finding.verdict in ("fail", "warn"))
        findings = [*self._now, *window]
        said = {_key(finding) for finding in findings}
        findings += [finding for key, finding in self._kept.items() if key not in said]
        if ending is not None:
            findings.append(ending.passed("the watch was told to stop, as it always is"))
        started = self._started if self._base is None else self._base
        sight = self._seen()
        return Envelope(
            probe="gpu",
            node=node_name(),
            image=image(),
            started_at=_rfc3339(started),
            finished_at=_rfc3339(max(now, started)),
            host=host_facts(),
            findings=tuple(findings),
            measurements=() if sight is None else tuple(measure(sight, None)),
            artifacts=(),
            partial=False,
            result=None if sight is None else self._section(sight),
            pod=pod_uid(),
            software=software_here(),
        )

    def _seen(self) -> Sight | None:
        """Return the last look, at the watched devices alone."""
        if self._sight is None:
            return None
        mine = [each for each in map(self._latest, self._uuids) if each is not None]
        nvml = replace(self._sight.nvml, devices=tuple(mine), count=len(mine))
        return replace(self._sight, nvml=nvml)

    def _latest(self, uuid: str) -> Device | None:
        return None if self._sight is None else _listed(self._sight, uuid)

    def _section(self, sight: Sight) -> dict[str, object]:
        window = self._window if self._window.samples else None
        section = result_section(sight, self._log, window, {})
        told = section["window"]
        for device in told["devices"] if isinstance(told, dict) else ():
            courses = device["courses"]
            device["courses"] = {name: courses[name] for name in _COURSES if name in courses}
        return section

    def _new_errors(self, log: KernelLog) -> KernelLog:
        """Return the log with the errors of our devices alone that came since the first look."""
        if log.events is None:
            return log
        ours = tuple(errors_of(self._devices or (), log))
        if self._before is None:
            self._before = Counter(ours)
        known, fresh = Counter(self._before), []
        for event in ours:
            if known[event]:
                known[event] -= 1
            else:
                fresh.append(event)
        return KernelLog(tuple(fresh))

    def _driver_findings(self, sight: Sight, mine: dict[str, Device | None]) -> list[Finding]:
        nvml = sight.nvml
        if nvml.hung:
            evidence = f"in {nvml.during or 'its start'}: {nvml.failure}; {', '.join(mine)}"
            return [NVML_HUNG.found("fail" if self._devices else "unknown", evidence)]
        missing = [uuid for uuid, device in mine.items() if device is None]
        if not mine or (missing and self._devices is None):
            wanted = ", ".join(missing) or "no list of the gate"
            return [TRIAL_DEVICES_UNKNOWN.unknown(f"{wanted}; here {sight.nvml.source.describe()}")]
        told = [TRIAL_DEVICE.passed(uuid) for uuid in mine]
        if nvml.count is None or nvml.failure is not None:
            # A library that cannot be asked now says nothing about the device.
            return told
        lost = "NVML listed it before and lists it no more"
        return [*told, *(DEVICE_LOST.failed(f"device ({uuid}): {lost}") for uuid in missing)]

    def _keep(self, findings: Iterable[Finding]) -> None:
        for finding in findings:
            self._kept[_key(finding)] = finding


def _listed(sight: Sight, uuid: str) -> Device | None:
    found = [device for device in sight.nvml.devices if device.words("uuid") == uuid]
    return found[0] if found else None


def _strangers(device: Device, proc: Path) -> list[Finding]:
    """Return the processes that are seen to be another pod's; of a number alone nobody can tell."""
    found = tenants(device.rows("users") or [], [], proc_owner(proc, os.getpid()))
    foreign = [f"pid {each.pid} ({each.name})" for each in found if each.ours is False]
    if not foreign:
        return []
    return [TRIAL_DEVICE_SHARED.failed(f"{device.who}: under load, also {', '.join(foreign[:5])}")]


def _key(finding: Finding) -> tuple[str, str]:
    return finding.code, finding.evidence.partition(":")[0]


def _rfc3339(moment: float) -> str:
    at = datetime.fromtimestamp(moment, timezone.utc)  # noqa: UP017  # datetime.UTC is Python 3.11
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
