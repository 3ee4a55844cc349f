"""``infertune report NAMESPACE/NAME``: a tuning's status as a Markdown page.

Role: fetch one object, from the cluster by kubectl or from a JSON file, and hand it to the report.
Must not know: how the page looks. Trade-off: kubectl is called instead of a client library, so the
report is read with exactly the rights, context and credentials the user's own kubectl has.
"""

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infertune.api.v1alpha1 import GROUP, KIND, PLURAL, SpecError, parse_spec, parse_status
from infertune.cli.parsing import Commands, add_output, write_text
from infertune.report.markdown import render_markdown

WRONG_INPUT = 2
FAILED = 1
TIMEOUT_SECONDS = 30


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
    parser.add_argument("--context", help="context of the kubeconfig")
    parser.add_argument("--kubectl", default="kubectl", help="the kubectl to call")
    add_output(parser)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    try:
        raw = _read(arguments)
        text = _render(raw)
    except ReportError as error:
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
    return _ask_kubectl(arguments, namespace, tuning)


def _ask_kubectl(arguments: argparse.Namespace, namespace: str, tuning: str) -> str:
    kubectl = shutil.which(arguments.kubectl)
    if kubectl is None:
        message = f"{arguments.kubectl} is not on this machine; give --kubectl, or a JSON file"
        raise ReportError(message, FAILED)
    context = [f"--context={arguments.context}"] if arguments.context else []
    kind = f"{PLURAL}.{GROUP}"
    argv = [kubectl, *context, "get", kind, f"--namespace={namespace}", tuning, "--output=json"]
    try:
        # The words are ours or the user's own, and no shell reads them.
        done = subprocess.run(  # noqa: S603
            argv, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        message = f"kubectl gave no answer in {TIMEOUT_SECONDS} s"
        raise ReportError(message, FAILED) from error
    if done.returncode != 0:
        raise ReportError(" ".join(done.stderr.split()) or "kubectl failed", FAILED)
    return done.stdout


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
