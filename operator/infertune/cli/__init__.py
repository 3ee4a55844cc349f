"""The command line ``infertune``.

Role: find the command, run it, return its exit status: 0 is good, 1 is a failure at run time, 2 is
wrong input. Must not know: how a command works. Trade-off: every command module is imported at
start, which keeps ``infertune --help`` complete; so a command imports heavy libraries only when
it runs.
"""

import argparse
import sys
from collections.abc import Sequence

from infertune.cli import advise, check, crd, probe, reference, release, report, states, version

# A new command is a module with `register`, added here.
COMMANDS = (advise, check, crd, probe, reference, release, report, states, version)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser with all commands."""
    parser = argparse.ArgumentParser(
        prog="infertune", description="Tune a running model server to a latency promise."
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in COMMANDS:
        module.register(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    parser = build_parser()
    arguments, rest = parser.parse_known_args(argv)
    if rest and not getattr(arguments, "passes_on", False):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    arguments.rest = rest
    try:
        return int(arguments.run(arguments))
    except OSError as error:
        print(f"infertune: {error}", file=sys.stderr)
        return 1
