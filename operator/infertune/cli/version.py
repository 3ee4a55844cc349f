"""``infertune version``: which version is installed.

Role: one line for a bug report. Must not know: the cluster. Trade-off: it speaks of the installed
package, so a checkout that was never installed says so.
"""

import argparse
from importlib.metadata import PackageNotFoundError, version

from infertune.api.v1alpha1 import API_VERSION
from infertune.cli.parsing import Commands


def register(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser("version", help="print the version")
    parser.set_defaults(run=_run)


def _run(_arguments: argparse.Namespace) -> int:
    try:
        installed = version("infertune")
    except PackageNotFoundError:
        installed = "(not installed)"
    print(f"infertune {installed} ({API_VERSION})")
    return 0
