"""The same envelope for eyes: findings worst first, then figures, then a probe's own tables.

Emit side: standard library only, Python 3.8. It must not decide anything: every word and number
stands in the envelope. Trade-off: no third-party table library, because this runs in foreign
images that have none; so columns are aligned by the number of characters, not by their width.
"""

from __future__ import annotations

import os
import shutil
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING

from infertune_probes.contract.envelope import SEVERITY

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

    from infertune_probes.contract.envelope import Envelope, Finding, Measurement, Verdict

_COLOURS = {"pass": "32", "warn": "33", "fail": "31", "unknown": "35"}
_NARROWEST = 40
_WIDEST = 120
_NARROWEST_COLUMN = 16
_MOST_ALIKE = 4


@dataclass(frozen=True)
class Table:
    """A probe's own table: a title, the heads of its columns, and rows of text."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Style:
    """How wide the terminal is, in characters, and whether it shows colours."""

    width: int = 80
    colour: bool = False

    def verdict(self, verdict: Verdict) -> str:
        """Return the verdict, padded to the longest of them, in its colour."""
        word = f"{verdict:<7}"
        return f"\033[{_COLOURS[verdict]}m{word}\033[0m" if self.colour else word


def style_of(stream: TextIO) -> Style:
    """Return the style of a stream; NO_COLOR and a dumb terminal are respected."""
    columns = shutil.get_terminal_size().columns
    plain = "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb" or not stream.isatty()
    return Style(max(_NARROWEST, min(columns, _WIDEST)), colour=not plain)


def render(envelope: Envelope, tables: Sequence[Table], style: Style) -> str:
    """Return the envelope as text that ends with a line break."""
    head = f"{envelope.probe} on {envelope.node}: {style.verdict(envelope.verdict).rstrip()}"
    parts = [head + (" (partial)" if envelope.partial else "")]
    ranked = sorted(envelope.findings, key=lambda finding: SEVERITY.index(finding.verdict))
    parts += _findings(ranked, style)
    if envelope.measurements:
        rows = [_figure(measurement) for measurement in envelope.measurements]
        figures = Table("", ("measurement", "value", "unit", "n", ""), rows)
        parts.append(table(_folded(figures, style.width)))
    parts += [table(_folded(own, style.width)) for own in tables if own.rows]
    parts += [f"{a.name}: {a.uri} ({a.size_bytes} bytes)" for a in envelope.artifacts]
    return "\n\n".join(parts) + "\n"


def table(own: Table) -> str:
    """Return a table with aligned columns; columns of numbers are aligned to the right."""
    rows = [tuple(own.columns), *(tuple(row) for row in own.rows)]
    widths = [max(len(row[at]) for row in rows) for at in range(len(own.columns))]
    right = [_numeric([row[at] for row in own.rows]) for at in range(len(own.columns))]
    lines = [
        "  ".join(
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(row, widths, right)  # noqa: B905  # strict is 3.10
        ).rstrip()
        for row in rows
    ]
    return "\n".join([own.title, *lines] if own.title else lines)


def _folded(own: Table, width: int) -> Table:
    """Return the table with long words of its last column, reasons mostly, on lines of their own.

    Where the other columns leave too little room, it is returned as it is.
    """
    rows = [tuple(own.columns), *(tuple(row) for row in own.rows)]
    before = sum(max(len(row[at]) for row in rows) + 2 for at in range(len(own.columns) - 1))
    room = width - before
    if room < _NARROWEST_COLUMN or all(len(row[-1]) <= room for row in rows):
        return own
    folded: list[tuple[str, ...]] = []
    for row in rows[1:]:
        lines = textwrap.wrap(row[-1], room) or [""]
        folded.append((*row[:-1], lines[0]))
        folded += [("",) * (len(row) - 1) + (line,) for line in lines[1:]]
    return Table(own.title, own.columns, folded)


def number(value: float) -> str:
    """Return a number with four significant digits and no exponent where it can be read."""
    if value == int(value) and abs(value) < 1e15:  # noqa: PLR2004  # exact in a double
        return str(int(value))
    text = f"{value:.4g}"
    return text if "e" not in text else f"{value:.0f}" if abs(value) >= 1 else text


def _findings(ranked: Sequence[Finding], style: Style) -> list[str]:
    """Return the findings; of many alike, one for each of 16 GPUs say, the first few in words."""
    alike: dict[tuple[str, Verdict, str | None], list[Finding]] = {}
    for finding in ranked:
        alike.setdefault((finding.code, finding.verdict, finding.fix), []).append(finding)
    found = []
    for (code, verdict, _), group in alike.items():
        shown = group if len(group) <= _MOST_ALIKE else group[: _MOST_ALIKE - 1]
        found += [_finding(finding, style) for finding in shown]
        more = len(group) - len(shown)
        if more:
            found.append(f"{style.verdict(verdict)} {code}: {more} more, all of them in --output")
    return found


def _finding(finding: Finding, style: Style) -> str:
    indent = " " * 8
    body = textwrap.fill(
        f"{finding.code}: {finding.evidence}",
        style.width,
        initial_indent=indent,
        subsequent_indent=indent,
    )
    lines = [f"{style.verdict(finding.verdict)} {body[len(indent) :]}"]
    if finding.fix:
        inner = indent + "     "
        lines.append(
            textwrap.fill(
                finding.fix, style.width, initial_indent=indent + "fix: ", subsequent_indent=inner
            )
        )
    return "\n".join(lines)


def _figure(measurement: Measurement) -> tuple[str, str, str, str, str]:
    if measurement.value is None:
        return (
            measurement.name,
            "-",
            measurement.unit,
            str(measurement.n),
            measurement.reason or "",
        )
    between = ""
    if measurement.interval is not None:
        low, high = number(measurement.interval.low), number(measurement.interval.high)
        between = f"[{low}, {high}; {100 * measurement.interval.level:g} %]"
    value = number(measurement.value)
    return (measurement.name, value, measurement.unit, str(measurement.n), between)


def _numeric(cells: Sequence[str]) -> bool:
    return any(cells) and all(
        cell.replace(".", "").replace("-", "").isdigit() or cell in {"", "-"} for cell in cells
    )
