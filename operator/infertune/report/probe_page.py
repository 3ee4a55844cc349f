"""The report of probes as a page: findings first, then figures, each node against the others.

Role: choose what stands on the page for whatever probes answered. Must not know: how a plot is
drawn. Trade-off: a probe's own plots come from its section of the result, one module each; what has
none still gets its findings and its measurements.
"""

from collections.abc import Iterable, Sequence

from infertune.core.advice.bottleneck import Bottleneck
from infertune.core.advice.plan import AdvicePlan, advise
from infertune.core.advice.sources import of_one_node
from infertune.report.advice_text import gain_sentence, verdict_lines
from infertune.report.page import Cell, Page, PageFinding, PageTable, Plot, Section, Tone, Word
from infertune.report.plots import bars
from infertune.report.probe_plots import NODES_SHOWN, plots_of
from infertune.report.probe_report import NodeAnswer, grouped, named
from infertune_probes.contract.envelope import Verdict
from infertune_probes.contract.load import Finding
from infertune_probes.contract.terminal import number

SENTENCES = 5
# Fewer nodes are read off the table at a glance; more would not be told apart in a plot.
NODES_COMPARED = range(2, 41)
_ENDINGS: tuple[tuple[str, Tone], ...] = (
    ("fail", "fail"),
    ("no answer", "silent"),
    ("unknown", "unknown"),
    ("warn", "warn"),
    ("pass", "pass"),
)


def probe_page(title: str, answers: Sequence[NodeAnswer], foot: str) -> Page:
    """Return the page of any number of probes on any number of nodes."""
    endings = [answer.ending for answer in answers]
    lead = [Word(f"{endings.count(w)} {w}", tone) for w, tone in _ENDINGS if w in endings]
    sections = [_findings(answers), *_advice(answers), *_by_probe(answers), _where(answers)]
    return Page(title, lead, [one for one in sections if one is not None], foot)


def _findings(answers: Sequence[NodeAnswer]) -> Section:
    silent = [
        PageFinding("silent", "", answer.node, (answer.problem,), ())
        for answer in answers
        if answer.envelope is None
    ]
    told = grouped(answers)
    worst = [_finding(code, verdict, seen) for code, verdict, seen in told if verdict != "pass"]
    well = [(code, seen) for code, verdict, seen in told if verdict == "pass"]
    words = "" if silent or worst else "Nothing failed, nothing was left unread."
    return Section("Findings", words, findings=[*silent, *worst], tables=[_passed(well)])


def _passed(well: Sequence[tuple[str, Sequence[tuple[str, Finding]]]]) -> PageTable:
    rows = [
        [Cell(code), Cell(named([node for node, _ in seen])), Cell(seen[0][1].evidence)]
        for code, seen in well
    ]
    title = f"Passed: {len(rows)}"
    return PageTable(title, ("code", "nodes", "evidence, of the first node"), rows)


def _finding(code: str, verdict: Verdict, seen: Sequence[tuple[str, Finding]]) -> PageFinding:
    sentences = list(dict.fromkeys(finding.evidence for _, finding in seen))
    more = len(sentences) - SENTENCES
    shown = [*sentences[:SENTENCES], *([f"... {more} more like these"] if more > 0 else [])]
    fixes = list(dict.fromkeys(finding.fix for _, finding in seen if finding.fix))
    return PageFinding(verdict, code, named([node for node, _ in seen]), shown, fixes[:SENTENCES])


def _advice(answers: Sequence[NodeAnswer]) -> Iterable[Section]:
    """Yield the verdict and the plan of the first few nodes that something can be said of."""
    envelopes = [answer.envelope for answer in answers if answer.envelope is not None]
    for node in list(dict.fromkeys(envelope.node for envelope in envelopes))[:NODES_SHOWN]:
        evidence = of_one_node(envelopes, node)
        plan = advise(evidence)
        if plan.steps or isinstance(plan.bottleneck, Bottleneck):
            words = " ".join(verdict_lines(plan.bottleneck)[:1])
            tables = [_steps(plan)] if plan.steps else []
            yield Section(f"What would help on {node}", words, tables=tables)


def _steps(plan: AdvicePlan) -> PageTable:
    rows = [
        [
            Cell(str(number), number=True),
            Cell(one.technique),
            Cell(one.action),
            Cell(one.evidence),
            Cell(gain_sentence(one.gain, one.unquantified)),
            Cell(one.confidence),
            Cell(one.ease),
        ]
        for number, one in enumerate(plan.steps, 1)
    ]
    heads = ("", "technique", "do", "because", "gain", "confidence", "takes")
    return PageTable("Plan, first things first", heads, rows, open=True)


def _by_probe(answers: Sequence[NodeAnswer]) -> Iterable[Section]:
    probes = list(dict.fromkeys(a.envelope.probe for a in answers if a.envelope is not None))
    for probe in probes:
        own = [a for a in answers if a.envelope is not None and a.envelope.probe == probe]
        yield Section(probe, plots=[*plots_of(own), *_compared(own)], tables=[_figures(own)])


def _compared(answers: Sequence[NodeAnswer]) -> list[Plot]:
    """Return one plot for each figure that several nodes have, the largest spread first."""
    found: dict[tuple[str, str], list[tuple[str, float]]] = {}
    for answer in answers:
        for figure in answer.envelope.measurements if answer.envelope else ():
            if figure.value is not None:
                seen = found.setdefault((figure.name, figure.unit), [])
                seen.append((answer.node, figure.value))
    ranked = sorted(
        ((key, seen) for key, seen in found.items() if len(seen) in NODES_COMPARED),
        key=lambda item: _spread([value for _, value in item[1]]),
        reverse=True,
    )
    return [
        Plot(
            bars(name, [node for node, _ in seen], [value for _, value in seen], unit),
            f"{name} in {unit}, one measurement on each of {len(seen)} nodes",
        )
        for (name, unit), seen in ranked[:4]
    ]


def _spread(values: Sequence[float]) -> float:
    highest = max(abs(value) for value in values)
    return (max(values) - min(values)) / highest if highest else 0.0


def _figures(answers: Sequence[NodeAnswer]) -> PageTable:
    rows = [
        [
            Cell(answer.node),
            Cell(figure.name),
            Cell("-" if figure.value is None else number(figure.value), number=True),
            Cell(figure.unit),
            Cell(str(figure.n), number=True),
            Cell(
                figure.reason or ""
                if figure.interval is None
                else f"[{number(figure.interval.low)}, {number(figure.interval.high)}; "
                f"{100 * figure.interval.level:g} %]"
            ),
        ]
        for answer in answers
        for figure in (answer.envelope.measurements if answer.envelope else ())
    ]
    heads = ("node", "measurement", "value", "unit", "n", "interval, or why there is no value")
    return PageTable("Measurements", heads, rows, open=len(rows) <= 20)  # noqa: PLR2004  # a screen


def _where(answers: Sequence[NodeAnswer]) -> Section | None:
    rows = []
    for answer in answers:
        found = answer.envelope
        if found is None:
            continue
        host = found.host
        image = "no container image" if found.image is None else found.image.reference
        memory = "?" if host.memory_bytes is None else f"{host.memory_bytes / 2**30:.1f} GiB"
        cells = (
            found.node,
            found.probe,
            f"{found.started_at:%Y-%m-%d %H:%M:%S} UTC",
            f"{(found.finished_at - found.started_at).total_seconds():.1f} s",
            f"{host.cpu_model or host.architecture}, {host.cpu_count or '?'} CPUs, {memory}",
            f"{host.operating_system}, kernel {host.kernel}",
            image,
        )
        rows.append([Cell(text) for text in cells])
    if not rows:
        return None
    heads = ("node", "probe", "started", "took", "machine", "system", "image")
    return Section("Where and when", tables=[PageTable("Runs", heads, rows)])
