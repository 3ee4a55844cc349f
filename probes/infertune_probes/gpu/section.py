"""The `result` section, the measurements and the tables for eyes, from what was seen.

It must not judge. Trade-off: a device goes into the section as the child described it, group by
group; the shape is checked on the load side, where pydantic is at hand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from infertune_probes.contract.envelope import Measurement, measured, unmeasured
from infertune_probes.contract.terminal import Table, number
from infertune_probes.gpu.health import reasons_named
from infertune_probes.gpu.window import COURSES, device_window

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infertune_probes.gpu.reading import Device
    from infertune_probes.gpu.tenants import Tenant
    from infertune_probes.gpu.window import Window
    from infertune_probes.gpu.witnesses import Sight
    from infertune_probes.gpu.xid import KernelLog

_GIBIBYTE = 1 << 30
_FEW_DEVICES = 2
# Always there, null when not read; everything else is left out when it was not.
_ALWAYS = (
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
)
_FIGURES = (("temperatureCelsius", "Cel"), ("memoryUsedBytes", "By"))
_WINDOW_FIGURES = (
    ("smPercent", "%"),
    ("memoryControllerPercent", "%"),
    ("powerWatts", "W"),
    ("pcieReceivedBytesPerSecond", "By/s"),
    ("pcieSentBytesPerSecond", "By/s"),
)


def result_section(
    sight: Sight, log: KernelLog, window: Window | None, users: Mapping[int, list[Tenant]]
) -> dict[str, object]:
    """Return the gpu section of the envelope."""
    around, nvml = sight.around, sight.nvml
    return {
        "kind": "gpu",
        "driverVersion": nvml.version,
        "cudaDriverVersion": nvml.cuda,
        "sources": [source.to_json() for source in sight.sources],
        "devices": [_device(device, users.get(device.index, [])) for device in nvml.devices],
        "deviceCount": nvml.count,
        "integrated": around.jetson,
        "kernelDriver": around.kernel_driver,
        "deviceFiles": list(around.nodes),
        "hints": dict(around.hints),
        "xids": None if log.events is None else [event.to_json() for event in log.events],
        "window": None if window is None else _window(window),
    }


def _device(device: Device, found: list[Tenant]) -> dict[str, object]:
    told = {name: device.facts.get(name) for name in _ALWAYS}
    users = device.rows("users")
    left_out = ("index", "users", *_ALWAYS)
    return {
        "index": device.index,
        **told,
        "processes": None if users is None else len(users),
        **{name: value for name, value in device.facts.items() if name not in left_out},
        "tenants": [tenant.to_json() for tenant in found],
    }


def _window(window: Window) -> dict[str, object]:
    return {
        "seconds": window.seconds,
        "intervalSeconds": window.interval_seconds,
        "ticks": window.ticks,
        "failure": window.failure,
        "devices": [device_window(window, index) for index in window.indices],
    }


def measure(sight: Sight, window: Window | None) -> list[Measurement]:
    """Return the device count and, per device, a few figures with the number of samples."""
    count = sight.nvml.count
    if count is None:
        return [unmeasured("gpu_count", "1", f"NVML: {sight.nvml.failure}")]
    measurements = [measured("gpu_count", "1", count, 1)]
    for device in sight.nvml.devices:
        for name, unit in _FIGURES:
            value = device.number(name)
            label = f"gpu{device.index}_{name}"
            why = f"NVML: {device.why_unread(name)}"
            missing = unmeasured(label, unit, why)
            measurements.append(missing if value is None else measured(label, unit, value, 1))
        if window is not None:
            measurements += _means(device, window)
    return measurements


def _means(device: Device, window: Window) -> list[Measurement]:
    fields = device_window(window, device.index)["fields"]
    found = []
    for name, unit in _WINDOW_FIGURES:
        label = f"gpu{device.index}_window_{name}_mean"
        told = fields.get(name) if isinstance(fields, dict) else None
        if told is None:
            found.append(unmeasured(label, unit, "NVML did not tell it in the window"))
        else:
            found.append(measured(label, unit, told["mean"], told["n"]))
    return found


def tables(sight: Sight, window: Window | None, users: Mapping[int, list[Tenant]]) -> list[Table]:
    """Return the tables for a terminal: devices, processes, and the window."""
    devices = Table(
        "devices",
        ("", "name", "C", "W", "of", "use %", "GiB", "of", "clock events"),
        [_row(device) for device in sight.nvml.devices],
    )
    rows = [
        (
            str(index),
            str(tenant.pid),
            tenant.name or "?",
            tenant.kind,
            {True: "ours", False: "foreign", None: "not known"}[tenant.ours],
            _gibibytes(tenant.used_memory_bytes),
            _cell(tenant.use.get("smPercent")),
        )
        for index, found in sorted(users.items())
        for tenant in found
    ]
    heads = ("", "pid", "name", "kind", "whose", "GiB", "SM %")
    found = [devices, Table("processes", heads, rows)]
    return found if window is None else [*found, _window_table(window)]


def _row(device: Device) -> tuple[str, ...]:
    reasons = device.whole("eventReasons")
    return (
        str(device.index),
        # The UUID stands in the findings; with it a line is wider than a terminal.
        (device.words("name") or "?").replace("NVIDIA ", "", 1),
        _cell(device.number("temperatureCelsius")),
        _cell(device.number("powerWatts")),
        _cell(device.number("powerLimitWatts")),
        _cell(device.number("utilisationPercent")),
        _gibibytes(device.number("memoryUsedBytes")),
        _gibibytes(device.number("memoryTotalBytes")),
        "?" if reasons is None else ", ".join(reasons_named(reasons)) or "none",
    )


def _window_table(window: Window) -> Table:
    # All fields of many devices nobody reads on a terminal; the envelope has them.
    few, rows = len(window.indices) <= _FEW_DEVICES, []
    for index in window.indices:
        fields = device_window(window, index)["fields"]
        for name, told in fields.items() if isinstance(fields, dict) else ():
            if few or name in COURSES:
                rows.append(_window_row(index, name, told))
    title = f"window of {window.seconds:g} s"
    return Table(title, ("", "field", "minimum", "mean", "maximum", "n"), rows)


def _window_row(index: int, name: str, told: Mapping[str, float]) -> tuple[str, ...]:
    figures = [number(told[key]) for key in ("minimum", "mean", "maximum")]
    return (str(index), name, *figures, str(told["n"]))


def _cell(value: float | None) -> str:
    return "?" if value is None else number(value)


def _gibibytes(value: float | None) -> str:
    return "?" if value is None else f"{value / _GIBIBYTE:.1f}"
