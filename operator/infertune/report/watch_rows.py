"""Lines of ``--watch`` from many nodes, as rows of one table, CSV or JSON lines.

Role: read one line of a probe's own JSON stream, and lay rows of many nodes side by side. Must not
know: how the lines came here. Trade-off: the screen shows the few columns that fit a terminal; CSV
and JSON lines hold everything. A line is a foreign pod's word: what is no row is nobody's row, and
no character of it can steer the terminal.
"""

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from infertune_probes.contract.terminal import Table, number, table

WATCHABLE = ("gpu", "system")
LONGEST_LINE = 65536
_LONGEST_CELL = 160
_GPU_VALUES = (
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
_GPU_COUNTERS = (
    "powerViolationNanoseconds",
    "thermalViolationNanoseconds",
    "eccCorrected",
    "eccUncorrected",
    "pcieReplays",
)
_GIBIBYTE = float(1 << 30)
GPU_CSV = ("time", "node", "index", "uuid", "name", *_GPU_VALUES, *_GPU_COUNTERS)
GPU_CSV_HEADS = (*GPU_CSV, "eventReasons", "error")


@dataclass(frozen=True, slots=True)
class WatchRow:
    """What one line said of one node, and of which of its devices."""

    node: str
    device: int | None
    said: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Column:
    head: str
    name: str
    by: float = 1.0


_GPU = (
    _Column("C", "temperatureCelsius"),
    _Column("W", "powerWatts"),
    _Column("SM %", "smPercent"),
    _Column("mem %", "memoryControllerPercent"),
    _Column("MHz", "smClockMegahertz"),
    _Column("GiB", "framebufferUsedBytes", _GIBIBYTE),
    _Column("rx MB/s", "pcieReceivedBytesPerSecond", 1e6),
    _Column("tx MB/s", "pcieSentBytesPerSecond", 1e6),
)
_SYSTEM = (
    _Column("user %", "cpu_user_percent"),
    _Column("system %", "cpu_system_percent"),
    _Column("iowait %", "cpu_iowait_percent"),
    _Column("steal %", "cpu_steal_percent"),
    _Column("running", "running"),
    _Column("free GiB", "memory_available_bytes", _GIBIBYTE),
    _Column("of", "memory_total_bytes", _GIBIBYTE),
    _Column("PSI cpu", "pressure_cpu_some_percent"),
    _Column("PSI mem", "pressure_memory_some_percent"),
    _Column("PSI io", "pressure_io_some_percent"),
    _Column("disk MB/s", "disk_read_bytes_per_second", 1e6),
    _Column("written", "disk_written_bytes_per_second", 1e6),
    _Column("net rx MB/s", "network_received_bytes_per_second", 1e6),
    _Column("tx", "network_sent_bytes_per_second", 1e6),
)


def parse_row(probe: str, node: str, line: str) -> WatchRow | None:
    """Return the row that the line is; None for anything else, like a warning of a library.

    The node is where the line was read, whatever the line says of itself.
    """
    try:
        said = json.loads(line, parse_constant=_no_number)
    except (ValueError, RecursionError):
        return None
    if not isinstance(said, dict) or "time" not in said:
        return None
    said["node"] = node
    if probe != "gpu":
        return WatchRow(node, None, said)
    index = said.get("index")
    if not isinstance(index, int) or isinstance(index, bool):
        return None
    return WatchRow(node, index, said)


def plain(text: object) -> str:
    """Return the text without anything that a terminal obeys, and not too long."""
    words = "".join(c if c.isprintable() else "?" for c in str(text))
    return words if len(words) <= _LONGEST_CELL else words[: _LONGEST_CELL - 3] + "..."


def screen(
    probe: str, title: str, rows: Sequence[WatchRow], problems: Mapping[str, str], *, wide: int
) -> str:
    """Return one table over all nodes: a row for each device, or for a node that has none.

    ``problems`` says of a node why it is not as it should be; it stands in the last column. Lines
    are cut at ``wide`` characters, so that each row stays one line of the terminal.
    """
    columns = _GPU if probe == "gpu" else _SYSTEM
    own = ("gpu", "name") if probe == "gpu" else ()
    tail = ("clock events", "processes") if probe == "gpu" else ()
    lines = [_line(probe, row, columns, problems.get(row.node, "")) for row in rows]
    there = {row.node for row in rows}
    blank = [""] * (len(own) + len(columns) + len(tail))
    lines += [(node, *blank, plain(why)) for node, why in problems.items() if node not in there]
    heads = ("node", *own, *(column.head for column in columns), *tail, "state")
    text = table(Table(title, heads, sorted(lines, key=lambda cells: cells[0])))
    return "\n".join(line[:wide] for line in text.splitlines())


def as_csv(probe: str, row: WatchRow, *, first: bool) -> str:
    """Return the row as CSV, the heads before the first; what is not known is empty."""
    said = row.said
    if probe == "gpu":
        values, counters = _object(said.get("values")), _object(said.get("counters"))
        reasons = said.get("eventReasons")
        cells = [said.get(name) for name in GPU_CSV[:5]]
        cells += [values.get(name) for name in _GPU_VALUES]
        cells += [counters.get(name) for name in _GPU_COUNTERS]
        cells += ["|".join(map(str, reasons)) if isinstance(reasons, list) else None]
        cells += [said.get("error")]
        heads: Sequence[str] = GPU_CSV_HEADS
    else:
        heads, cells = list(said), list(said.values())
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    if first:
        writer.writerow(heads)
    writer.writerow([_csv_cell(cell) for cell in cells])
    return out.getvalue()


def as_json_line(row: WatchRow) -> str:
    """Return the row as the probe wrote it, with the node where it was read."""
    return json.dumps(row.said) + "\n"


def _line(probe: str, row: WatchRow, columns: Sequence[_Column], problem: str) -> tuple[str, ...]:
    said = row.said
    values = _object(said.get("values")) if probe == "gpu" else said
    cells = [_cell(values.get(column.name), column.by) for column in columns]
    if probe != "gpu":
        return (row.node, *cells, plain(problem))
    reasons = said.get("eventReasons")
    told = ", ".join(map(str, reasons)) if isinstance(reasons, list) else "?"
    users = said.get("processes")
    count = str(len(users)) if isinstance(users, list) else "?"
    state = problem or said.get("error") or ""
    name = plain(said.get("name") or "?")
    return (row.node, str(row.device), name, *cells, plain(told or "none"), count, plain(state))


def _cell(value: object, by: float) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "?"
    return number(round(value / by, 1))


def _csv_cell(cell: object) -> str:
    if cell is None:
        return ""
    return (
        f"{cell:.10g}"
        if isinstance(cell, float)
        else "".join(c if c.isprintable() else "?" for c in str(cell))
    )


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _no_number(word: str) -> Callable[[], None]:
    raise ValueError(word)
