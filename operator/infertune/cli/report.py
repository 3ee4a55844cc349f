"""``infertune report``: a tuning's status as Markdown, or results of probes as an HTML page.

Role: fetch one object, from the cluster by kubectl or from JSON files, and hand it to the report.
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
from infertune.cli.probe_files import is_of_probes, page_of
from infertune.report.markdown import render_markdown
from infertune_probes.contract.load import PayloadInvalid


class ReportError(Exception):
    """There is nothing to report; the message says why and ``status`` is the exit status."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


def register(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser("report", help="write a tuning's outcome, or what probes found")
    parser.description = (
        "A tuning becomes a page of Markdown. Results of probes (what their --output wrote, or "
        "that of `infertune probe --all-nodes`) become one HTML page that needs no network."
    )
    parser.add_argument(
        "what",
        metavar="NAMESPACE/NAME|FILE",
        nargs="+",
        help="a tuning in the cluster; a file with its JSON; or files with results of probes; "
        "- reads JSON from standard input",
    )
    add_kubectl(parser)
    add_output(parser)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    try:
        texts = {name: _read(arguments, name) for name in arguments.what}
        text = _render(texts)
    except (ReportError, KubectlError) as error:
        print(f"infertune: {error}", file=sys.stderr)
        return error.status
    return write_text(text, arguments.output)


def _read(arguments: argparse.Namespace, name: str) -> str:
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


def _render(texts: Mapping[str, str]) -> str:
    documents = {name: _parsed(name, text) for name, text in texts.items()}
    if all(is_of_probes(raw) for raw in documents.values()):
        try:
            return page_of(documents)
        except PayloadInvalid as error:
            raise ReportError(str(error), WRONG_INPUT) from error
    if len(documents) > 1:
        message = "one tuning at a time; only results of probes make a common page"
        raise ReportError(message, WRONG_INPUT)
    ((name, raw),) = documents.items()
    if raw.get("kind") != KIND:
        message = f"{name}: neither an object of kind {KIND} nor a result of a probe"
        raise ReportError(message, WRONG_INPUT)
    return _markdown(raw)


def _parsed(name: str, text: str) -> Mapping[str, Any]:
    try:
        raw = json.loads(text)
    except ValueError as error:
        message = f"{name}: not JSON: {error}"
        raise ReportError(message, WRONG_INPUT) from error
    return raw if isinstance(raw, Mapping) else {}


def _markdown(raw: Mapping[str, Any]) -> str:
    spec = parse_spec(_part(raw, "spec"))
    metadata = _part(raw, "metadata")
    name = f"{metadata.get('namespace', 'default')}/{metadata.get('name', '?')}"
    status = parse_status(_part(raw, "status"))
    return render_markdown(name, None if isinstance(spec, SpecError) else spec, status)


def _part(raw: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = raw.get(name, {})
    return part if isinstance(part, Mapping) else {}
