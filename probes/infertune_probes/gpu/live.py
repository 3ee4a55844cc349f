"""`--watch`: the devices as they are, again and again, as a table, CSV or JSON lines.

It must not judge. Trade-off: the table is drawn anew from the top of the screen and not scrolled,
so it needs a terminal; where there is none it is printed block by block, like `watch` piped away.
Ctrl-C is the normal end and no error.
"""

from __future__ import annotations

import csv
import json
import sys
from typing import TYPE_CHECKING

from infertune_probes.contract.host import node_name
from infertune_probes.contract.session import now_rfc3339
from infertune_probes.contract.terminal import Table, number, table
from infertune_probes.gpu.health import reasons_named
from infertune_probes.gpu.window import Window, watch

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TextIO

    from infertune_probes.gpu.reading import Device
    from infertune_probes.gpu.window import DeviceSample

FIELDS = (
    "powerWatts",
    "temperatureCelsius",
    "memoryTemperatureCelsius",
    "smPercent",
    "memoryControllerPercent",
    "encoderPercent",
    "decoderPercent",
    "jpegPercent",
    "opticalFlowPercent",
    "memoryClockMegahertz",
    "smClockMegahertz",
    "framebufferUsedBytes",
    "bar1UsedBytes",
    "pcieReceivedBytesPerSecond",
    "pcieSentBytesPerSecond",
)
COUNTERS = (
    "powerViolationNanoseconds",
    "thermalViolationNanoseconds",
    "eccCorrected",
    "eccUncorrected",
    "pcieReplays",
)
_HEADS = (
    *("gpu", "name", "C", "W", "SM %", "mem %", "enc %", "dec %", "MHz", "GiB", "of"),
    *("rx MB/s", "tx MB/s", "clock events", "processes (GiB)"),
)
_CLEARED = "\033[H\033[2J"
_DONE, _FAILED = 0, 1
_GIBIBYTE = 1 << 30


def run(
    devices: list[Device], interval_seconds: float, count: int, form: str, deadline_seconds: float
) -> int:
    """Show the devices until `count` ticks are over (0: for ever) or Ctrl-C; return 0, else 1."""
    window = Window(interval_seconds)
    known = {device.index: device for device in devices}
    show = _writer(form, known)
    try:
        for at, samples in watch(window, count, deadline_seconds):
            show(at, samples)
    except KeyboardInterrupt:
        return _DONE
    except BrokenPipeError:
        # `| head` has seen enough; nothing may be flushed into the closed pipe at exit.
        sys.stdout = None
        return _DONE
    if window.failure is not None:
        where = f" in {window.during}" if window.during else ""
        sys.stderr.write(f"the watching ended after {window.ticks} samples{where}: ")
        sys.stderr.write(f"{window.failure}\n")
        return _FAILED
    return _DONE


class CsvLines:
    """One row per device and tick, after a row of heads."""

    def __init__(self, out: TextIO, devices: dict[int, Device]) -> None:
        """Keep the stream and the devices, whose names do not change."""
        self._out, self._devices = out, devices
        self._rows = csv.writer(out, lineterminator="\n")
        heads = ("time", "node", "index", "uuid", "name", *FIELDS, *COUNTERS, "eventReasons")
        self._rows.writerow((*heads, "error"))

    def __call__(self, _at: float, samples: list[DeviceSample]) -> None:
        """Write the rows of one tick."""
        moment, node = now_rfc3339(), node_name()
        for sample in samples:
            cells = [_plain(sample.values.get(name)) for name in FIELDS]
            cells += [_plain(sample.counters.get(name)) for name in COUNTERS]
            known = self._devices.get(sample.index)
            who = [known.words("uuid"), known.words("name")] if known else [None, None]
            reasons = "" if sample.reasons is None else "|".join(reasons_named(sample.reasons))
            self._rows.writerow(
                (moment, node, sample.index, *who, *cells, reasons, sample.error or "")
            )
        self._out.flush()


class JsonLines:
    """One object per device and tick."""

    def __init__(self, out: TextIO, devices: dict[int, Device]) -> None:
        """Keep the stream and the devices, whose names do not change."""
        self._out, self._devices = out, devices

    def __call__(self, _at: float, samples: list[DeviceSample]) -> None:
        """Write the objects of one tick."""
        moment, node = now_rfc3339(), node_name()
        for sample in samples:
            known = self._devices.get(sample.index)
            line = {
                "time": moment,
                "node": node,
                "index": sample.index,
                "uuid": known.words("uuid") if known else None,
                "name": known.words("name") if known else None,
                "values": dict(sample.values),
                "counters": dict(sample.counters),
                "eventReasons": None if sample.reasons is None else reasons_named(sample.reasons),
                "processes": [dict(user) for user in sample.users],
                "use": [dict(use) for use in sample.use],
                "error": sample.error,
            }
            self._out.write(json.dumps(line) + "\n")
        self._out.flush()


class Screen:
    """One table per tick; on a terminal each takes the place of the one before."""

    def __init__(self, out: TextIO, devices: dict[int, Device]) -> None:
        """Keep the stream and the devices, whose names do not change."""
        self._out, self._devices = out, devices
        self._screen = out.isatty()

    def __call__(self, at: float, samples: list[DeviceSample]) -> None:
        """Draw the table of one tick."""
        rows = [self._row(sample) for sample in samples]
        title = f"{node_name()}  {now_rfc3339()}  after {at:.1f} s  (Ctrl-C ends)"
        text = table(Table(title, _HEADS, rows)) if rows else f"{title}\nno device answers"
        self._out.write((_CLEARED if self._screen else "") + text + "\n")
        self._out.flush()

    def _row(self, sample: DeviceSample) -> tuple[str, ...]:
        known = self._devices.get(sample.index)
        name = (known.words("name") if known else None) or "?"
        if sample.error is not None:
            return (str(sample.index), name, *[""] * 11, sample.error, "")
        total = known.number("memoryTotalBytes") if known else None
        value = sample.values.get
        reasons = "?" if sample.reasons is None else ", ".join(reasons_named(sample.reasons))
        return (
            str(sample.index),
            name,
            *(_cell(value(field)) for field in ("temperatureCelsius", "powerWatts")),
            *(_cell(value(field)) for field in FIELDS[3:7]),
            _cell(value("smClockMegahertz")),
            _scaled(value("framebufferUsedBytes"), _GIBIBYTE),
            _scaled(total, _GIBIBYTE),
            _scaled(value("pcieReceivedBytesPerSecond"), 1e6),
            _scaled(value("pcieSentBytesPerSecond"), 1e6),
            reasons or "none",
            _users(sample.users),
        )


def _writer(form: str, known: dict[int, Device]) -> CsvLines | JsonLines | Screen:
    if form == "csv":
        return CsvLines(sys.stdout, known)
    return JsonLines(sys.stdout, known) if form == "jsonl" else Screen(sys.stdout, known)


def _users(users: Iterable[object]) -> str:
    told = [user for user in users if isinstance(user, dict)]
    return " ".join(f"{u.get('pid')}({_scaled(u.get('usedMemoryBytes'), _GIBIBYTE)})" for u in told)


def _plain(value: float | None) -> str:
    return "" if value is None else f"{value:.10g}"


def _cell(value: float | None) -> str:
    return "?" if value is None else number(value)


def _scaled(value: object, by: float) -> str:
    return f"{value / by:.1f}" if isinstance(value, (int, float)) else "?"
