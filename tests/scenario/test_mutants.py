"""Each precondition is there because a test fails without it: it is taken out, and the test fails.

All mutants live with ``INFERTUNE_EVERY_POINT=1``; otherwise a fixed few of them.
"""

import ast
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.scenario import tally
from tests.scenario.mutants import BRANCHES, GUARDED, MUTANTS, UNTRIED
from tests.scenario.mutation import expectations_in, mutated_source, sites, source_of

ROOT = Path(__file__).parents[2]
ONE_IN = 20
CHOSEN = list(MUTANTS) if tally.EVERY_POINT else list(MUTANTS)[::ONE_IN]


@pytest.mark.timeout(1800)
def test_no_mutant_survives() -> None:
    command = [sys.executable, "-m", "tests.scenario.mutation", *CHOSEN]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr[-2000:]
    found = json.loads(ran.stdout)
    assert {name: said for name, said in found["clean"].items() if said != "passed"} == {}
    assert {name: said for name, said in found["mutants"].items() if said != "failed"} == {}
    assert list(found["mutants"]) == CHOSEN
    tally.mutants.extend(CHOSEN)


@pytest.mark.parametrize("name", MUTANTS)
def test_the_passage_of_each_mutant_stands_in_the_code_once(name: str) -> None:
    assert mutated_source(MUTANTS[name]) != source_of(MUTANTS[name].where)


@pytest.mark.parametrize("where", GUARDED)
def test_every_branch_of_a_guarded_function_has_a_mutant(where: str) -> None:
    """A new branch there is a new precondition, or it is argued away in ``BRANCHES``."""
    source = source_of(where)
    covered: Counter[str] = Counter()
    for mutant in MUTANTS.values():
        if mutant.where == where:
            covered += sites(source) - sites(mutated_source(mutant))
    left = {site for site in sites(source) - covered if (where, site) not in BRANCHES}
    assert left == set()


def test_every_expectation_of_a_field_has_a_mutant() -> None:
    """Read from all of the operator's code: a new kind of expectation fails here."""
    root = ROOT / "operator" / "infertune"
    there: Counter[str] = Counter()
    for path in sorted(root.rglob("*.py")):
        there += expectations_in(ast.unparse(ast.parse(path.read_text())))
    covered: Counter[str] = Counter()
    for mutant in MUTANTS.values():
        source = source_of(mutant.where)
        covered += expectations_in(source) - expectations_in(mutated_source(mutant))
    assert set(there - covered) - set(UNTRIED) == set()
