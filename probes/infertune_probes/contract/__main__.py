"""`python -m infertune_probes.contract`: does this envelope hold, and what may one hold?

Load side. It must not know any probe. Trade-off: `validate` stops at the first fault, the way the
operator does, so that both say the same sentence. Exit 0 when the file holds, 2 when not.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from infertune_probes.contract.load import (
    MAX_PAYLOAD_BYTES,
    Envelope,
    PayloadInvalid,
    parse_envelope,
)


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return 0 for a valid file and 2 for one that cannot be believed."""
    parser = argparse.ArgumentParser(prog="python -m infertune_probes.contract")
    commands = parser.add_subparsers(dest="command", required=True)
    validate = commands.add_parser("validate", help="check a plain JSON envelope")
    validate.add_argument("file", metavar="FILE", help="the envelope; '-' is standard input")
    schema = commands.add_parser("schema", help="write the JSON Schema of the envelope")
    schema.add_argument("--output", metavar="FILE", default="-", help="(default: standard output)")
    arguments = parser.parse_args(argv)
    if arguments.command == "schema":
        return _write_schema(arguments.output)
    return _validate(arguments.file)


def schema_text() -> str:
    """Return the JSON Schema (draft 2020-12) of the envelope, as it stands on the wire."""
    document = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Envelope.model_json_schema(by_alias=True, mode="validation"),
    }
    return json.dumps(document, indent=2, sort_keys=True) + "\n"


def _validate(file: str) -> int:
    name = "standard input" if file == "-" else file
    try:
        envelope = parse_envelope(_read(file))
    except (OSError, PayloadInvalid) as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 2
    print(f"{name}: valid, probe {envelope.probe}, verdict {envelope.verdict}")
    return 0


def _read(file: str) -> bytes:
    # One byte more than may be there: the reader then refuses it, however long it is.
    if file == "-":
        return sys.stdin.buffer.read(MAX_PAYLOAD_BYTES + 1)
    with Path(file).open("rb") as stream:
        return stream.read(MAX_PAYLOAD_BYTES + 1)


def _write_schema(output: str) -> int:
    if output == "-":
        sys.stdout.write(schema_text())
    else:
        Path(output).write_text(schema_text(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
