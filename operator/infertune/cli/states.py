"""``infertune states``: write the state machine as Markdown.

Role: render the one state table for people. Must not know: what a state does. Trade-off: the page
is generated and committed; a test compares it with the table.
"""

import argparse

from infertune.cli.parsing import Commands, add_output, write_text
from infertune.core.rollout import diagram

_INTRODUCTION = """\
# The states of a tuning

Generated from the state table in `operator/infertune/core/rollout.py`; a test compares the two.
An event that a state does not list is a bug and raises. `Applying`, `Verifying` and `RollingBack`
hold an open rollout: what they write follows from the intent that an earlier tick recorded.
"""


def render_states() -> str:
    """Return the page with the diagram."""
    return f"{_INTRODUCTION}\n```mermaid\n{diagram()}```\n"


def register(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser("states", help="write the state machine as Markdown")
    add_output(parser)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    return write_text(render_states(), arguments.output)
