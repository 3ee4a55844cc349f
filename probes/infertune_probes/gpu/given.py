"""Which devices a trial's server was given, and who else is on them.

The gate (an init container with the server's own devices) finds them and writes their UUIDs down;
the watch (beside the server, without a device of its own) reads them. Pure but for that file.
Trade-off: where more devices are visible than were asked for, none is called the server's: to judge
a trial by a neighbour's device would be worse than not to judge it.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from infertune_probes.gpu.codes import HIDDEN_USE, TRIAL_DEVICE_SHARED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from infertune_probes.contract.envelope import Finding
    from infertune_probes.gpu.reading import Device
    from infertune_probes.gpu.xid import KernelLog, Xid

# A driver without any program keeps less than this for itself.
RESERVED_BYTES = 1_500_000_000
_NAMED = re.compile(r"(?:GPU|MIG)-[0-9a-fA-F-]{8,}")
# CPU and GPU share a memory there, so the kernel's own pages may lie on the device.
_ONE_MEMORY = re.compile(r"\bG[HB]\d|Orin|Xavier|Thor")
_ADDRESS = re.compile(r"^0*([0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2})")


def given_devices(
    devices: Sequence[Device], hints: Mapping[str, str], asked: int
) -> list[Device] | None:
    """Return the devices that the container was given; None when it cannot be told.

    The device plugin names them in NVIDIA_VISIBLE_DEVICES; where it does not, everything that is
    visible was given, unless that is more than was asked for.
    """
    named = set(_NAMED.findall(hints.get("NVIDIA_VISIBLE_DEVICES", "")))
    if named:
        found = [device for device in devices if _names(device) & named]
        return found or None
    if not devices or (asked and len(devices) > asked):
        return None
    return list(devices)


def _names(device: Device) -> set[str]:
    instances = device.rows("mig.instances") or []
    names = {device.words("uuid"), *(str(each.get("uuid")) for each in instances)}
    return {name for name in names if name}


def write_down(path: Path, devices: Sequence[Device]) -> None:
    """Keep the UUIDs for the watch; a folder that cannot be written leaves it without."""
    uuids = [device.words("uuid") for device in devices if device.words("uuid")]
    try:
        path.write_text(json.dumps(uuids), encoding="utf-8")
    except OSError:
        return


def read_again(path: Path) -> tuple[str, ...] | None:
    """Return the UUIDs that the gate wrote down; None when there are none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(found, list) or not found:
        return None
    return tuple(str(uuid) for uuid in found)


def strangers(device: Device) -> list[str]:
    """Return what shows that somebody uses a device on which the server has not started yet."""
    users = device.rows("users") or []
    told = [f"pid {user.get('pid')} ({user.get('kind')})" for user in users[:5]]
    if told:
        return [f"in use by {', '.join(told)}"]
    used = device.whole("memoryUsedBytes")
    if used is None or used <= RESERVED_BYTES or _one_memory(device):
        return []
    return [f"{used / 1e9:.1f} GB of its memory are in use"]


def judge_strangers(device: Device) -> list[Finding]:
    """Return what else uses the device before the server starts; unknown where nobody can tell."""
    seen = strangers(device)
    if seen:
        evidence = f"{device.who}: {'; '.join(seen)} before the trial's server has started"
        return [TRIAL_DEVICE_SHARED.failed(evidence)]
    unread = device.rows("users") is None
    if unread and (device.whole("memoryUsedBytes") is None or _one_memory(device)):
        why = device.why_unread("users")
        return [HIDDEN_USE.unknown(f"{device.who}: who uses it cannot be read: {why}")]
    return []


def _one_memory(device: Device) -> bool:
    return bool(_ONE_MEMORY.search(device.words("name") or ""))


def errors_of(devices: Sequence[Device], log: KernelLog) -> list[Xid]:
    """Return the XID errors of these devices, by their place on the PCI bus."""
    places = {_place(device.words("pciBusId") or "") for device in devices}
    return [event for event in log.events or () if _place(event.address) in places]


def _place(address: str) -> str:
    found = _ADDRESS.match(address.lower())
    return found.group(1) if found else address.lower()
