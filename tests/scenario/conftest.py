"""At the end of a run: how many stories, kill points and faults were tried, of how many."""

import json
from pathlib import Path

import pytest

from tests.scenario import tally
from tests.scenario.disturbances import DEAD_SECONDS, KINDS
from tests.scenario.mutants import MUTANTS
from tests.scenario.tales import BOOK

REPORT = Path(__file__).parents[2] / "reports" / "scenario-points.json"


def figures() -> dict[str, object]:
    """Return the numbers of this run, by kind and by story."""
    totals = tally.totals()
    faults = [kind for kind in KINDS if kind not in DEAD_SECONDS]
    return {
        "everyPoint": tally.EVERY_POINT,
        "stories": len(BOOK),
        "mutants": {"tried": len(tally.mutants), "of": len(MUTANTS)},
        "kills": {
            "tried": tally.count(DEAD_SECONDS, tally.tried),
            "of": tally.count(DEAD_SECONDS, totals),
        },
        "faults": {"tried": tally.count(faults, tally.tried), "of": tally.count(faults, totals)},
        "byKind": {
            kind: {"tried": tally.count([kind], tally.tried), "of": tally.count([kind], totals)}
            for kind in KINDS
        },
        "byStory": {
            name: {
                "tried": sum(n for (story, _), n in tally.tried.items() if story == name),
                "of": sum(n for (story, _), n in totals.items() if story == name),
            }
            for name in BOOK
        },
    }


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how much was tried; a run without a disturbed story says nothing."""
    if tally.on_the_server:
        told = f"scenarios: {len(tally.on_the_server)} kill points on a real API server"
        terminalreporter.write_line(told)
    if tally.mutants:
        told = f"scenarios: {len(tally.mutants)} of {len(MUTANTS)} mutants, none survived"
        terminalreporter.write_line(told)
    if not tally.tried:
        return
    found = figures()
    kills, faults = found["kills"], found["faults"]
    assert isinstance(kills, dict)
    assert isinstance(faults, dict)
    terminalreporter.write_line(
        f"scenarios: {found['stories']} stories, {kills['tried']} of {kills['of']} kill points, "
        f"{faults['tried']} of {faults['of']} injected faults"
        + ("" if tally.EVERY_POINT else " (a fixed sample; INFERTUNE_EVERY_POINT=1 tries all)")
    )
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(json.dumps(found, indent=2) + "\n")
