"""Probes on one or many nodes, as one report: JSON for tools, text for people.

Role: group equal findings over the nodes, worst first, and say which nodes gave no answer. Must not
know: where the results came from. Trade-off: the text names at most eight nodes for a finding, so
that a fleet fits a screen; the JSON holds all of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from infertune_probes.contract.envelope import SEVERITY, Verdict
from infertune_probes.contract.load import Envelope, Finding
from infertune_probes.contract.terminal import Style, Table, number, table

SCHEMA = "infertune.io/probe-report/v1"
NODES_NAMED = 8
Ending = Literal["pass", "warn", "fail", "unknown", "no answer"]


@dataclass(frozen=True, slots=True)
class NodeAnswer:
    """What one node said, or in ``problem`` why it said nothing."""

    node: str
    envelope: Envelope | None = None
    problem: str = ""
    probe: str = ""

    @property
    def asked(self) -> str:
        """The probe that was asked."""
        return self.probe or ("" if self.envelope is None else self.envelope.probe)

    @property
    def ending(self) -> Ending:
        """The node's verdict in one word."""
        return "no answer" if self.envelope is None else self.envelope.verdict


def as_document(answers: Sequence[NodeAnswer]) -> dict[str, Any]:
    """Return the report as a JSON object; each envelope is as its probe wrote it."""
    return {
        "schema": SCHEMA,
        "probe": ", ".join(_probes(answers)),
        "nodes": [
            {
                "node": answer.node,
                "probe": answer.asked,
                "verdict": None if answer.envelope is None else answer.envelope.verdict,
                "problem": answer.problem or None,
                "envelope": None
                if answer.envelope is None
                else answer.envelope.model_dump(mode="json", by_alias=True),
            }
            for answer in answers
        ],
    }


def as_text(answers: Sequence[NodeAnswer], style: Style) -> str:
    """Return the report for a terminal: every probe in a line, then findings, worst first."""
    parts = ["\n".join(_counted(probe, answers) for probe in _probes(answers))]
    parts += [
        f"no answer from {answer.node}, {answer.asked}: {answer.problem}"
        for answer in answers
        if answer.envelope is None
    ]
    parts += [_told(code, verdict, seen, style) for code, verdict, seen in grouped(answers)]
    figures = _figures(answers)
    parts += [table(figures)] if figures.rows else []
    return "\n\n".join(parts) + "\n"


def _probes(answers: Sequence[NodeAnswer]) -> list[str]:
    return list(dict.fromkeys(answer.asked for answer in answers))


def _counted(probe: str, answers: Sequence[NodeAnswer]) -> str:
    own = [answer for answer in answers if answer.asked == probe]
    endings = [answer.ending for answer in own]
    order: tuple[Ending, ...] = ("fail", "no answer", "unknown", "warn", "pass")
    counts = ", ".join(f"{endings.count(word)} {word}" for word in order if word in endings)
    where = own[0].node if len(own) == 1 else f"{len(own)} nodes"
    return f"{probe} on {where}: {counts}"


def exit_status(answers: Sequence[NodeAnswer]) -> int:
    """Return 1 when a finding failed anywhere, else 2 when a node gave no answer, else 0."""
    endings = {answer.ending for answer in answers}
    if "fail" in endings:
        return 1
    partial = any(answer.envelope is not None and answer.envelope.partial for answer in answers)
    return 2 if "no answer" in endings or partial or not answers else 0


def named(nodes: Sequence[str]) -> str:
    """Return the nodes, each once; of many the first few and how many more."""
    once = list(dict.fromkeys(nodes))
    more = f" and {len(once) - NODES_NAMED} more" if len(once) > NODES_NAMED else ""
    return ", ".join(once[:NODES_NAMED]) + more


def grouped(
    answers: Sequence[NodeAnswer],
) -> list[tuple[str, Verdict, list[tuple[str, Finding]]]]:
    """Return code, verdict, and node and finding of each that has it: worst first, by code."""
    groups: dict[tuple[Verdict, str], list[tuple[str, Finding]]] = {}
    for answer in answers:
        for finding in answer.envelope.findings if answer.envelope else ():
            groups.setdefault((finding.verdict, finding.code), []).append((answer.node, finding))
    ranked = sorted(groups.items(), key=lambda item: (SEVERITY.index(item[0][0]), item[0][1]))
    return [(code, verdict, seen) for (verdict, code), seen in ranked]


def _told(code: str, verdict: Verdict, seen: Sequence[tuple[str, Finding]], style: Style) -> str:
    lines = [f"{style.verdict(verdict)} {code} on {named([node for node, _ in seen])}"]
    # A fleet mostly says the same; each different sentence is shown once, the first few of them.
    sentences = list(dict.fromkeys(finding.evidence for _, finding in seen))
    lines += [f"        {sentence}" for sentence in sentences[:3]]
    lines += [f"        ... {len(sentences) - 3} more like these"] if len(sentences) > 3 else []  # noqa: PLR2004
    fixes = list(dict.fromkeys(finding.fix for _, finding in seen if finding.fix))
    return "\n".join([*lines, *(f"        fix: {fix}" for fix in fixes[:3])])


def _figures(answers: Sequence[NodeAnswer]) -> Table:
    """Return each figure over the nodes: lowest, median, highest and where the lowest stands."""
    values: dict[tuple[str, str], list[tuple[float, str]]] = {}
    for answer in answers:
        for figure in answer.envelope.measurements if answer.envelope else ():
            if figure.value is not None:
                seen = values.setdefault((figure.name, figure.unit), [])
                seen.append((figure.value, answer.node))
    rows = []
    for (name, unit), seen in values.items():
        ranked = sorted(seen)
        middle = ranked[len(ranked) // 2][0]
        ends = (number(ranked[0][0]), number(middle), number(ranked[-1][0]))
        where = ranked[0][1] if ranked[0][0] != ranked[-1][0] else ""
        rows.append((name, unit, str(len(seen)), *ends, where))
    heads = ("measurement", "unit", "nodes", "lowest", "median", "highest", "lowest on")
    return Table("", heads, rows)
