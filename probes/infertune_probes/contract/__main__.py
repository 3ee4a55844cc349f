"""`python -m infertune_probes.contract validate FILE`: does this envelope hold?

Load side. It must not know any probe. Trade-off: it stops at the first fault, the way the
operator does, so that both say the same sentence. Exit 0 when the file holds, 2 when not.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from infertune_probes.contract.load import PayloadInvalid, parse_envelope


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return 0 for a valid file and 2 for one that cannot be believed."""
    parser = argparse.ArgumentParser(prog="python -m infertune_probes.contract")
    commands = parser.add_subparsers(dest="command", required=True)
    validate = commands.add_parser("validate", help="check a plain JSON envelope")
    validate.add_argument("file", type=Path)
    path: Path = parser.parse_args(argv).file
    try:
        envelope = parse_envelope(path.read_bytes())
    except (OSError, PayloadInvalid) as error:
        print(f"{path}: {error}", file=sys.stderr)
        return 2
    print(f"{path}: valid, probe {envelope.probe}, verdict {envelope.verdict}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
