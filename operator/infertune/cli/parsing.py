"""What the command modules share with the parser.

Role: the type of the thing they register with, and the one way to write generated text. Must not
know: any command. Trade-off: argparse keeps its sub-parsers' type private, so a protocol stands
for it.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol


class Commands(Protocol):
    """Where a command module adds its parser."""

    def add_parser(self, name: str, *, help: str) -> argparse.ArgumentParser:  # noqa: A002
        """Return the parser of a new command."""
        ...


def add_output(parser: argparse.ArgumentParser) -> None:
    """Add ``--output FILE...``; without it the text goes to standard output."""
    parser.add_argument(
        "--output", nargs="+", type=Path, metavar="FILE", help="write the same text to each FILE"
    )


def write_text(text: str, files: Sequence[Path] | None) -> int:
    """Write the text to each file, or to standard output, and return exit status 0."""
    for path in files or ():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    if not files:
        sys.stdout.write(text)
    return 0
