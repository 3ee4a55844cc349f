"""The way out of a probe pod: a sealed payload in the log, a summary in the termination message.

Emit side: standard library only, Python 3.8. It must not know what a result means. A probe pod
has no API token, so the log is the only wide channel and the termination message (4 KiB in
Kubernetes) the only trusted narrow one: the summary there names the SHA-256 of the payload, and
whatever else writes to the log cannot forge it. Trade-off: the payload travels as text and so
costs a third more than its gzip; traces belong on a volume instead.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from infertune_probes.contract.envelope import (
    SEVERITY,
    SUMMARY_SCHEMA,
    Envelope,
    serialise,
)
from infertune_probes.contract.terminal import render, style_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from infertune_probes.contract.terminal import Table

BEGIN = "-----BEGIN INFERTUNE RESULT {}-----"
END = "-----END INFERTUNE RESULT {}-----"
LINE_WIDTH = 76
SUMMARY_LIMIT_BYTES = 3500
DEFAULT_TERMINATION_LOG = "/dev/termination-log"
EVIDENCE_LIMIT = 240


@dataclass(frozen=True)
class Sinks:
    """Where the result goes.

    `output` None is a human's table when stdout is a terminal or `table` asks for it, else the
    pod's way (sealed block on stdout); "-" prints plain JSON on stdout; any other value is a file
    that receives plain JSON. `termination_log` receives the summary.
    """

    output: str | None
    termination_log: str
    table: bool = False


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags that every probe shares."""
    group = parser.add_argument_group("result")
    group.add_argument(
        "--output",
        metavar="FILE",
        help="write the plain JSON envelope to FILE ('-': stdout) instead of the table on a "
        "terminal or the sealed log block in a pod",
    )
    group.add_argument("--table", action="store_true", help="the table also without a terminal")
    group.add_argument(
        "--termination-log",
        metavar="FILE",
        default=DEFAULT_TERMINATION_LOG,
        help="file that receives the summary when it can be written (default: %(default)s)",
    )


def sinks_from(arguments: argparse.Namespace) -> Sinks:
    """Return the sinks that the parsed flags of `add_arguments` name."""
    return Sinks(arguments.output, arguments.termination_log, arguments.table)


def seal(payload: bytes) -> str:
    """Return the payload as a gzip + base64 block between sentinel lines that name its SHA-256."""
    digest = hashlib.sha256(payload).hexdigest()
    # mtime=0 keeps the block a function of the payload alone.
    body = base64.b64encode(gzip.compress(payload, compresslevel=9, mtime=0)).decode("ascii")
    lines = [BEGIN.format(digest)]
    lines += [body[at : at + LINE_WIDTH] for at in range(0, len(body), LINE_WIDTH)]
    lines.append(END.format(digest))
    return "\n".join(lines) + "\n"


def summarise(envelope: Envelope, payload: bytes) -> str:
    """Return the summary JSON, at most `SUMMARY_LIMIT_BYTES` long.

    Findings come worst first and are dropped from the end until the text fits; `findingsOmitted`
    says how many. Never longer than the limit, however long a single evidence text is.
    """
    ranked = sorted(envelope.findings, key=lambda finding: SEVERITY.index(finding.verdict))
    told = [
        {"code": f.code, "verdict": f.verdict, "evidence": _shortened(f.evidence)} for f in ranked
    ]
    document: dict[str, object] = {
        "schema": SUMMARY_SCHEMA,
        "probe": envelope.probe,
        "node": envelope.node,
        "finishedAt": envelope.finished_at,
        "verdict": envelope.verdict,
        "partial": envelope.partial,
        "sha256": hashlib.sha256(payload).hexdigest(),
        "payloadBytes": len(payload),
    }
    while True:
        document["findings"] = told
        document["findingsOmitted"] = len(ranked) - len(told)
        text = json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)
        if len(text.encode("utf-8")) <= SUMMARY_LIMIT_BYTES or not told:
            return text
        told = told[:-1]


def _shortened(evidence: str) -> str:
    return evidence if len(evidence) <= EVIDENCE_LIMIT else evidence[: EVIDENCE_LIMIT - 4] + " ..."


def emit(
    envelope: Envelope,
    sinks: Sinks,
    stdout: TextIO | None = None,
    tables: Sequence[Table] = (),
) -> None:
    """Write the result to its sinks: payload first, so that a summary never names a lost payload.

    A termination log that does not exist (a run outside a pod) is not an error; an output file
    that cannot be written is.

    Raises:
        ValueError: when a number in the envelope is not finite.
        OSError: when `sinks.output` cannot be written.
    """
    stream = sys.stdout if stdout is None else stdout
    payload = serialise(envelope)
    if sinks.output is None and (sinks.table or stream.isatty()):
        stream.write(render(envelope, tables, style_of(stream)))
        stream.flush()
    elif sinks.output is None:
        # The leading line break ends a line that someone else left open.
        stream.write("\n" + seal(payload))
        stream.flush()
    elif sinks.output == "-":
        stream.write(payload.decode("utf-8") + "\n")
        stream.flush()
    else:
        Path(sinks.output).write_bytes(payload)
    _write_summary(summarise(envelope, payload), sinks.termination_log)


def _write_summary(text: str, path: str) -> None:
    # The kubelet creates the default file; creating it elsewhere would litter a developer's /dev.
    if path == DEFAULT_TERMINATION_LOG and not Path(path).exists():
        return
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        sys.stderr.write(f"summary not written to {path}: {error}\n")
