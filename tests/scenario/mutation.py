"""Take one precondition out of the running code, and see which named test notices.

Role: a mutant swaps the code of one function for the same source with one passage replaced; every
importer of that function is mutated with it. ``python -m tests.scenario.mutation NAME...`` runs the
killers of these mutants in this process and prints what became of each as JSON. Trade-off: text is
replaced, so that the table reads like the code; a passage that is no longer there is an error.
"""

import ast
import contextlib
import importlib
import inspect
import io
import json
import sys
import textwrap
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from types import FunctionType
from typing import Any

import pytest

QUIET = ("-q", "-x", "--no-header", "-p", "no:randomly", "-p", "no:cacheprovider", "--timeout=60")


@dataclass(frozen=True, slots=True)
class Mutant:
    """One precondition taken out: in this function, this passage becomes that one.

    ``where`` is ``module:function`` below ``infertune``; ``killer`` is the test that must fail.
    """

    name: str
    where: str
    old: str
    new: str
    killer: str


def function_at(where: str) -> FunctionType:
    """Return the function that a place names, such as ``core.writes:next_write``."""
    module, _, path = where.partition(":")
    found: Any = importlib.import_module(f"infertune.{module}")
    for part in path.split("."):
        found = inspect.getattr_static(found, part)
    function = getattr(found, "__func__", found)
    assert isinstance(function, FunctionType), where
    return function


def source_of(where: str) -> str:
    """Return the source of a function, without the indentation of its class."""
    return textwrap.dedent(inspect.getsource(function_at(where)))


def mutated_source(mutant: Mutant) -> str:
    """Return the source with the passage replaced; the passage must stand there exactly once."""
    source = source_of(mutant.where)
    found = source.count(mutant.old)
    assert found == 1, f"{mutant.name}: {mutant.old!r} stands {found} times in {mutant.where}"
    return source.replace(mutant.old, mutant.new)


@contextlib.contextmanager
def alive(mutant: Mutant) -> Iterator[None]:
    """Let a mutant live while the block runs."""
    function = function_at(mutant.where)
    made: dict[str, Any] = {}
    code = compile(mutated_source(mutant), f"<{mutant.name}>", "exec")
    exec(code, function.__globals__, made)  # our own source, one passage replaced
    original = function.__code__
    function.__code__ = made[function.__name__].__code__
    try:
        yield
    finally:
        function.__code__ = original


def sites(source: str) -> Counter[str]:
    """Return the branches of a function: each ``if`` and each ``case`` is a precondition."""
    found: Counter[str] = Counter()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.If | ast.IfExp):
            found[ast.unparse(node.test)] += 1
        elif isinstance(node, ast.match_case):
            found[f"case {ast.unparse(node.pattern)}: {ast.unparse(node.body[0])}"] += 1
    return found


def expectations_in(source: str) -> Counter[str]:
    """Return the places where a function expects something of a field."""
    return Counter(
        ast.unparse(node)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "FieldExpectation"
    )


def outcome(killer: str) -> str:
    """Run one test; return ``failed``, ``passed``, or what else pytest says."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = pytest.main([*QUIET, killer])
    names = {0: "passed", 1: "failed"}
    return names.get(int(code)) or f"pytest says {code}: {said.getvalue()[-500:]}"


def main(mutants: dict[str, Mutant], names: list[str]) -> None:
    """Run each killer once on the code as it is, then each mutant; print the outcomes."""
    chosen = [mutants[name] for name in names]
    clean = {killer: outcome(killer) for killer in sorted({m.killer for m in chosen})}
    results: dict[str, str] = {}
    for mutant in chosen:
        with alive(mutant):
            results[mutant.name] = outcome(mutant.killer)
    sys.stdout.write(json.dumps({"clean": clean, "mutants": results}))


if __name__ == "__main__":
    from tests.scenario.mutants import MUTANTS

    main(MUTANTS, sys.argv[1:])
