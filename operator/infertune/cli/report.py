"""``infertune report NAMESPACE/NAME``: a tuning's status as a Markdown page.

Role: fetch one object, from the cluster by kubectl or from a JSON file, and hand it to the report.
Must not know: how the page looks. Trade-off: kubectl is called instead of a client library, so the
report is read with exactly the rights, context and credentials the user's own kubectl has.
"""

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infertune.api.v1alpha1 import GROUP, KIND, PLURAL, SpecError, parse_spec, parse_status
from infertune.cli.kubectl import WRONG_INPUT, Kubectl, KubectlError, add_kubectl
from infertune.cli.parsing import Commands, add_output, write_text
from infertune.report.markdown import render_markdown


class ReportError(Exception):
    """There is nothing to report; the message says why and ``status`` is the exit status."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


def register(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser("report", help="write a tuning's outcome as Markdown")
    parser.add_argument(
        "tuning",
        metavar="NAMESPACE/NAME",
        help="the tuning in the cluster; or a file with its JSON; - reads JSON from stdin",
    )
    add_kubectl(parser)
    add_output(parser)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    try:
        raw = _read(arguments)
        text = _render(raw)
    except (ReportError, KubectlError) as error:
        print(f"infertune: {error}", file=sys.stderr)
        return error.status
    return write_text(text, arguments.output)


def _read(arguments: argparse.Namespace) -> str:
    name: str = arguments.tuning
    if name == "-":
        return sys.stdin.read()
    if Path(name).is_file():
        return Path(name).read_text(encoding="utf-8")
    namespace, slash, tuning = name.partition("/")
    if not (namespace and slash and tuning) or "/" in tuning:
        message = f"{name!r} is no file and not of the form NAMESPACE/NAME"
        raise ReportError(message, WRONG_INPUT)
    kind = f"{PLURAL}.{GROUP}"
    where = f"--namespace={namespace}"
    return Kubectl.of(arguments).text("get", kind, where, tuning, "--output=json")


def _render(text: str) -> str:
    try:
        raw = json.loads(text)
    except ValueError as error:
        message = f"not JSON: {error}"
        raise ReportError(message, WRONG_INPUT) from error
    if not isinstance(raw, Mapping) or raw.get("kind") != KIND:
        message = f"not an object of kind {KIND}"
        raise ReportError(message, WRONG_INPUT)
    spec = parse_spec(_part(raw, "spec"))
    metadata = _part(raw, "metadata")
    name = f"{metadata.get('namespace', 'default')}/{metadata.get('name', '?')}"
    status = parse_status(_part(raw, "status"))
    return render_markdown(name, None if isinstance(spec, SpecError) else spec, status)


def _part(raw: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = raw.get(name, {})
    return part if isinstance(part, Mapping) else {}
