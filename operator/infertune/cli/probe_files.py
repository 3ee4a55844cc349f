"""Files with results of probes, as one page.

Role: tell an envelope from a merged report of many nodes, check each, and put them together. Must
not know: the cluster, what is drawn. Trade-off: one result that does not hold refuses the whole
page by name, since a page with a silent gap would be believed.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from infertune.report.page import render_page
from infertune.report.probe_page import probe_page
from infertune.report.probe_report import SCHEMA, NodeAnswer
from infertune_probes.contract.envelope import SCHEMA as ENVELOPE_SCHEMA
from infertune_probes.contract.load import Envelope, PayloadInvalid, parse_envelope


def is_of_probes(raw: Mapping[str, Any]) -> bool:
    """Return whether the document says that it is a result of probes."""
    return raw.get("schema") in {SCHEMA, ENVELOPE_SCHEMA}


def page_of(documents: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the HTML page of all documents, by the names of their files.

    Raises:
        PayloadInvalid: one of them does not hold; its path begins with the file's name.
    """
    answers = [one for name, raw in documents.items() for one in answers_of(name, raw)]
    probes = sorted({a.envelope.probe for a in answers if a.envelope is not None})
    nodes = len({answer.node for answer in answers})
    what = ", ".join(probes) or "probes"
    title = f"{what} on {nodes} {'node' if nodes == 1 else 'nodes'}"
    foot = f"From {', '.join(documents)}. Every finding code: docs/probes.md of Infertune."
    return render_page(probe_page(title, answers, foot))


def answers_of(name: str, raw: Mapping[str, Any]) -> Iterator[NodeAnswer]:
    """Yield what one document says, by node.

    Raises:
        PayloadInvalid: it does not hold; the path begins with ``name``.
    """
    if raw["schema"] == ENVELOPE_SCHEMA:
        envelope = _checked(name, raw)
        yield NodeAnswer(envelope.node, envelope)
        return
    nodes = raw.get("nodes")
    if not isinstance(nodes, list):
        path = f"{name}: nodes"
        raise PayloadInvalid(path, repr(nodes)[:80], "must be a list")
    for at, one in enumerate(nodes):
        path = f"{name}: nodes.{at}"
        if not isinstance(one, Mapping) or not isinstance(one.get("node"), str):
            raise PayloadInvalid(path, repr(one)[:80], "must be an object that names its node")
        if one.get("envelope") is None:
            problem = str(one.get("problem") or "no reason is told")
            yield NodeAnswer(one["node"], problem=problem, probe=str(one.get("probe") or ""))
        else:
            yield NodeAnswer(one["node"], _checked(path, one["envelope"]))


def _checked(name: str, raw: object) -> Envelope:
    try:
        return parse_envelope(json.dumps(raw).encode())
    except PayloadInvalid as error:
        path = f"{name}: {error.path}"
        raise PayloadInvalid(path, error.value, error.why) from error
