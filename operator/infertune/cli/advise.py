"""``infertune advise FILE...``: what holds a server back, and what to try first.

Role: read results of probes, ask the core for one node at a time, print. Must not know: any rule.
Trade-off: files and not a cluster, so the same command serves a laptop, a ticket and CI; what one
node of many says is chosen with --node.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from infertune.cli.parsing import Commands
from infertune.cli.probe_files import answers_of, is_of_probes
from infertune.core.advice.plan import advise
from infertune.core.advice.sources import of_one_node
from infertune.report.advice_text import advice_text
from infertune_probes.contract.load import Envelope, PayloadInvalid

WRONG_INPUT = 2


def register(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser("advise", help="from results of probes: the bottleneck and a plan")
    parser.description = (
        "Reads what probes wrote with --output (best: profiler, benchmark, memory, system and gpu "
        "of one node) and says what holds the server back and what would help, with the gain."
    )
    parser.add_argument("files", metavar="FILE", nargs="+", type=Path, help="results of probes")
    parser.add_argument("--node", metavar="N", help="the node to advise about, when there are more")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    try:
        envelopes = _read(arguments.files)
        node = _node(envelopes, arguments.node)
    except (PayloadInvalid, ValueError) as error:
        print(f"infertune: {error}", file=sys.stderr)
        return WRONG_INPUT
    evidence = of_one_node(envelopes, node)
    sys.stdout.write(f"{node} ({', '.join(sorted(evidence.envelopes))})\n\n")
    sys.stdout.write(advice_text(advise(evidence)))
    return 0


def _read(files: Sequence[Path]) -> list[Envelope]:
    found = []
    for path in files:
        raw = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(raw, dict) or not is_of_probes(raw):
            message = f"{path}: not a result of a probe"
            raise ValueError(message)
        found += [one.envelope for one in answers_of(str(path), raw) if one.envelope is not None]
    return found


def _node(envelopes: Sequence[Envelope], named: str | None) -> str:
    nodes = sorted({envelope.node for envelope in envelopes})
    if named is None and len(nodes) == 1:
        return nodes[0]
    if named not in nodes:
        known = ", ".join(nodes[:10]) or "none"
        message = (
            f"--node: must name one of the nodes in the files (got {named!r}; there are: {known})"
        )
        raise ValueError(message)
    return named
