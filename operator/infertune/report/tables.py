"""Markdown building blocks: tables and safe cells.

Role: turn rows of text into a table that no cell can break. Must not know: what a row says.
Trade-off: columns are not padded; a Markdown viewer aligns them, and diffs of reports stay small.
"""

from collections.abc import Sequence

NOTHING = "-"


def cell(text: str) -> str:
    """Return text that cannot end its table cell or its line; an empty text is a dash."""
    return " ".join(text.replace("|", "\\|").split()) or NOTHING


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table.

    Raises:
        ValueError: A row has not as many cells as the header: a shifted row would lie.
    """
    for row in rows:
        if len(row) != len(header):
            message = f"row {list(row)} has {len(row)} cells, the header has {len(header)}"
            raise ValueError(message)
    lines = [list(header), ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(cell(text) for text in line)} |\n" for line in lines)
