"""docs/safety.md names tests that exist, and the numbers of the run that is committed beside it."""

import ast
import json
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "safety.md").read_text()


def test_every_test_that_the_document_names_exists() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(?:\w+::)?(\w+)`", TEXT)
    assert len(named) > 15
    for path, name in named:
        tree = ast.parse((ROOT / path).read_text())
        found = {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)}
        assert name in found, f"{path} has no {name}"


def test_the_numbers_are_those_of_the_committed_run() -> None:
    run = json.loads((ROOT / "docs" / "safety-points.json").read_text())
    kills, faults = run["kills"], run["faults"]
    words = " ".join(TEXT.split())
    assert f"On {run['date']}" in words
    assert f"{kills['tried']:,} of {kills['of']:,} kill points" in words
    assert f"{faults['tried']:,} of {faults['of']:,} faults" in words
