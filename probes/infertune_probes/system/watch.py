"""`--watch SECONDS`: the machine again and again, as a table, CSV or JSON lines.

It must not judge. Each line is the window since the one before. Trade-off: fewer figures than
the envelope, so that a row fits a terminal; in CSV and JSON what is not known is empty or null,
never zero.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import signal
import sys
import time
from typing import TYPE_CHECKING

from infertune_probes.contract.host import node_name
from infertune_probes.contract.session import now_rfc3339
from infertune_probes.contract.terminal import Table, number, table
from infertune_probes.system import window as windows
from infertune_probes.system.advised import mebibytes
from infertune_probes.system.look import sample, tick, units
from infertune_probes.system.window import Window

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import TextIO

    from infertune_probes.system.files import Files

_CLEAR = "\033[H\033[2J"
_ROWS = 8


class _Ended(BaseException):
    """SIGTERM or SIGINT arrived."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of watching."""
    group = parser.add_argument_group("watching instead of judging")
    group.add_argument(
        "--watch", "--interval", type=_seconds, metavar="SECONDS", help="show the machine so often"
    )
    group.add_argument("--count", type=_count, metavar="N", help="stop after so many (default: no)")
    group.add_argument("--format", choices=("table", "csv", "jsonl"), default="table")


def run(arguments: argparse.Namespace, files: Files, clock: Callable[[], float]) -> int:
    """Print until the count is reached or somebody stops us; both are a good end."""
    for caught in (signal.SIGTERM, signal.SIGINT):
        signal.signal(caught, _end)
    show = {"table": _show_table, "csv": _show_csv, "jsonl": _show_json}[arguments.format]
    before, shown = sample(files, arguments.pid, clock()), 0
    try:
        while arguments.count is None or shown < arguments.count:
            time.sleep(max(0.0, before.at + arguments.watch - clock()))
            gauges = tick(files)
            after = sample(files, arguments.pid, clock())
            show(Window(before, after, [gauges], *units()), shown, sys.stdout)
            sys.stdout.flush()
            before, shown = after, shown + 1
    except (_Ended, BrokenPipeError):
        # Whoever read us has gone, or told us to go; Python must not complain at its own end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def row_of(window: Window) -> dict[str, float | None]:
    """Return the figures of one line; None: not known."""
    use, disks = windows.all_cpus(window), windows.disks(window)
    nics = [use for use in windows.interfaces(window) if use.name != "lo"]
    memory, gauges = window.last.counters.memory or {}, window.ticks[-1]
    has_disks, has_nics = window.last.counters.disks, window.last.counters.nics
    swapped = [windows.vm_growth(window, name) for name in ("pswpin", "pswpout")]
    row: dict[str, float | None] = {
        f"cpu_{name}_percent": None if use is None else getattr(use, name)
        for name in ("user", "system", "iowait", "irq", "steal")
    }
    row["running"] = gauges.running
    row["memory_available_bytes"] = gauges.available_bytes
    row["memory_total_bytes"] = memory.get("MemTotal")
    row["swapped_pages"] = None if None in swapped else sum(pages or 0 for pages in swapped)
    for name in ("cpu.some", "memory.some", "io.some"):
        row[f"pressure_{name.replace('.', '_')}_percent"] = windows.stalled_percent(window, name)
    for name, field in (("disk_read", "read_bytes"), ("disk_written", "written_bytes")):
        total = sum(getattr(disk, f"{field}_per_second") for disk in disks)
        row[f"{name}_bytes_per_second"] = None if has_disks is None else total
    for name, field in (("received", "rx_bytes"), ("sent", "tx_bytes")):
        total = sum(getattr(nic, f"{field}_per_second") for nic in nics)
        row[f"network_{name}_bytes_per_second"] = None if has_nics is None else total
    row["tcp_retransmitted"] = windows.tcp_growth(window, "Tcp.RetransSegs")
    return row


def _labelled(window: Window) -> dict[str, object]:
    return {"time": now_rfc3339(), "node": node_name(), **row_of(window)}


def _show_json(window: Window, _shown: int, out: TextIO) -> None:
    out.write(json.dumps(_labelled(window), allow_nan=False) + "\n")


def _show_csv(window: Window, shown: int, out: TextIO) -> None:
    row = _labelled(window)
    writer = csv.DictWriter(out, list(row), lineterminator="\n")
    if not shown:
        writer.writeheader()
    writer.writerow(row)


def _show_table(window: Window, _shown: int, out: TextIO) -> None:
    if out.isatty():
        out.write(_CLEAR)
    row = row_of(window)
    out.write(f"{node_name()}  {now_rfc3339()}\n")
    out.write(table(Table("", ("figure", "value"), [(k, _cell(k, v)) for k, v in row.items()])))
    top = sorted(windows.processes(window), key=lambda p: (-p.cpu_percent, p.pid))[:_ROWS]
    rows = [
        (str(p.pid), p.name, number(round(p.cpu_percent, 1)), mebibytes(p.resident_bytes))
        for p in top
    ]
    out.write("\n\n" + table(Table("", ("pid", "name", "cpu %", "memory"), rows)) + "\n\n")


def _cell(name: str, value: float | None) -> str:
    if value is None:
        return "-"
    if "bytes" in name:
        return mebibytes(value) + ("/s" if name.endswith("per_second") else "")
    return number(round(value, 1)) + (" %" if name.endswith("percent") else "")


def _end(_number: int, _frame: FrameType | None) -> None:
    raise _Ended


def _seconds(text: str) -> float:
    value = float(text)
    if not 0.1 <= value <= 3600:  # noqa: PLR2004  # a tenth of a second to an hour
        msg = f"{text!r} must be 0.1 to 3600 seconds"
        raise argparse.ArgumentTypeError(msg)
    return value


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        msg = f"{text!r} must be 1 or more"
        raise argparse.ArgumentTypeError(msg)
    return value
