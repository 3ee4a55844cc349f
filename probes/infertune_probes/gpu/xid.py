"""XID errors in the kernel log: which devices had them, and is hardware or a program to blame?

It reads a log and classifies; it must not touch a driver. The lists are NVIDIA's ("XID Errors",
which errors are hardware's and which an application's). Trade-off: the log goes back to the boot at
most and may have been overwritten, so no entry is no proof for a device's whole life.
"""

from __future__ import annotations

import errno
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from infertune_probes.gpu.codes import (
    XID_APPLICATION,
    XID_HARDWARE,
    XID_NONE,
    XID_OTHER,
    XID_UNKNOWN,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from infertune_probes.contract.envelope import Finding

# 63 records that bad memory was put out of use: what the device was made to do. Whether a reset is
# still due, the rows and pages tell.
REPAIRED = 63
HARDWARE = frozenset({48, 63, 64, 74, 79, 92, 94, 95, 119, 120})
APPLICATION = frozenset({13, 31, 43, 45})
# `NVRM: Xid (PCI:0000:3b:00): 79, pid=..., GPU has fallen off the bus.`
_XID = re.compile(r"NVRM: Xid \((?:PCI:)?([0-9a-fA-F:.]+)\): (\d+)(?:, *(.*))?")
_RECORD_BYTES = 8192
_MOST_BYTES = 16 * 1024 * 1024
_MOST_EVENTS = 200
_TOLD = 120
_REPAIRED_FIX = "see `nvidia-smi -q -d ROW_REMAPPER,PAGE_RETIREMENT`; reset when one is pending"


@dataclass(frozen=True)
class Xid:
    """One XID error: the device's address as the log has it, the number, and the driver's words."""

    address: str
    number: int
    words: str

    def to_json(self) -> dict[str, object]:
        """Return the error as a JSON object."""
        return {"address": self.address, "number": self.number, "words": self.words}


@dataclass(frozen=True)
class KernelLog:
    """The XID errors of the log, newest last; or None and why it cannot be read."""

    events: tuple[Xid, ...] | None
    reason: str | None = None


def read_kernel_log(path: Path) -> KernelLog:
    """Return what the log holds; `path` is /dev/kmsg or a file with the kernel's messages."""
    try:
        descriptor = os.open(str(path), os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        return KernelLog(None, f"{path}: {error.strerror}")
    try:
        text = _drain(descriptor)
    except OSError as error:
        return KernelLog(None, f"{path}: {error.strerror}")
    finally:
        os.close(descriptor)
    return KernelLog(tuple(events_in(text))[-_MOST_EVENTS:])


def _drain(descriptor: int) -> str:
    """Return all that can be read now; /dev/kmsg gives one record per read and then would block."""
    parts, size = [], 0
    while size < _MOST_BYTES:
        try:
            part = os.read(descriptor, _RECORD_BYTES)
        except OSError as error:
            if error.errno == errno.EAGAIN:
                break
            if error.errno == errno.EPIPE:
                # The record was overwritten while we read; the next one is whole.
                continue
            raise
        if not part:
            break
        parts.append(part)
        size += len(part)
    return b"".join(parts).decode("utf-8", "replace")


def events_in(text: str) -> list[Xid]:
    """Return the XID errors in the text, in its order."""
    found = []
    for line in text.splitlines():
        match = _XID.search(line)
        if match is not None:
            words = (match.group(3) or "").strip()[:_TOLD]
            found.append(Xid(match.group(1).lower(), int(match.group(2)), words))
    return found


def judge_xids(log: KernelLog, uuids: Mapping[str, str]) -> list[Finding]:
    """Return one finding per class of errors; one that says there are none, or that none knows.

    `uuids` names the devices by their PCI address, which the log writes without the function.
    """
    if log.events is None:
        return [XID_UNKNOWN.unknown(f"the kernel log cannot be read: {log.reason}")]
    if not log.events:
        return [XID_NONE.passed("no XID error in the kernel log")]
    hardware = [event for event in log.events if event.number in HARDWARE]
    application = [event for event in log.events if event.number in APPLICATION]
    other = [event for event in log.events if event.number not in HARDWARE | APPLICATION]
    findings = []
    if hardware:
        repaired = all(event.number == REPAIRED for event in hardware)
        verdict = XID_HARDWARE.warned if repaired else XID_HARDWARE.failed
        findings.append(verdict(_told(hardware, uuids), _REPAIRED_FIX if repaired else None))
    if application:
        findings.append(XID_APPLICATION.warned(_told(application, uuids)))
    if other:
        findings.append(XID_OTHER.warned(_told(other, uuids)))
    return findings


def _told(events: list[Xid], uuids: Mapping[str, str]) -> str:
    known = {address.partition(".")[0]: uuid for address, uuid in uuids.items()}
    counts: dict[tuple[str, int], int] = {}
    for event in events:
        counts[event.address, event.number] = counts.get((event.address, event.number), 0) + 1
    told = ", ".join(
        f"XID {number} on {known.get(address.partition('.')[0], address)} ({times}x)"
        for (address, number), times in counts.items()
    )
    return f"{told}; last: {events[-1].words or 'no words'}"
