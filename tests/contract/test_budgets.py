"""The budgets of the house: small functions, few parameters, short modules, said roles."""

import ast
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest

from tests.contract.paths import ROOT, TESTS, python_sources, tracked_files

LONGEST_BODY = 40
LONGEST_MEDIAN_BODY = 12
LONGEST_MODULE = 400
LONGEST_HANDLER = 10
MOST_PARAMETERS = 6
DOCSTRING_LINES = (3, 12)
Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(tree: ast.AST) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def body_lines(function: Function) -> int:
    """Return the length of the body: from its first statement after the docstring to its end."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    if not body or function.end_lineno is None:
        return 0
    return function.end_lineno - body[0].lineno + 1


def parameters(function: Function) -> int:
    """Return the number of parameters, `self` and `cls` left out."""
    arguments = function.args
    names = [a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
    return len([name for name in names if name not in ("self", "cls")])


def parsed() -> list[tuple[str, ast.Module, str]]:
    sources = [(path, path.read_text(encoding="utf-8")) for path in python_sources()]
    return [(str(path.relative_to(ROOT)), ast.parse(text), text) for path, text in sources]


SOURCES = parsed()
EVERY_FUNCTION = [
    (f"{path}:{function.lineno} {function.name}", function)
    for path, tree, _ in SOURCES
    for function in functions(tree)
]


def test_a_body_is_measured_without_signature_and_docstring() -> None:
    """`def f(): "doc"; a = 1; (blank); return a` spans three lines from `a = 1` to `return a`."""
    (function,) = functions(ast.parse('def f():\n    "doc"\n    a = 1\n\n    return a\n'))
    assert body_lines(function) == 3
    (only_docstring,) = functions(ast.parse('def f():\n    "doc"\n'))
    assert body_lines(only_docstring) == 0


def test_no_function_is_longer_than_the_budget() -> None:
    bodies = {name: body_lines(function) for name, function in EVERY_FUNCTION}
    assert {name: n for name, n in bodies.items() if n > LONGEST_BODY} == {}


def test_the_typical_function_is_short() -> None:
    assert median(body_lines(function) for _, function in EVERY_FUNCTION) <= LONGEST_MEDIAN_BODY


def test_no_function_takes_too_many_parameters() -> None:
    counts = {name: parameters(function) for name, function in EVERY_FUNCTION}
    assert {name: n for name, n in counts.items() if n > MOST_PARAMETERS} == {}


def test_no_module_is_longer_than_the_budget() -> None:
    lengths = {path: len(text.splitlines()) for path, _, text in SOURCES}
    assert {path: n for path, n in lengths.items() if n > LONGEST_MODULE} == {}


def test_no_module_of_tests_is_longer_than_the_budget() -> None:
    tests = [path for path in tracked_files() if path.suffix == ".py" and TESTS in path.parents]
    assert len(tests) > 50, "the tests are where they were"
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in tests}
    assert {str(path): n for path, n in lengths.items() if n > LONGEST_MODULE} == {}


def test_a_handler_is_a_doorbell() -> None:
    bodies = {
        name: body_lines(function)
        for name, function in EVERY_FUNCTION
        if name.startswith("operator/infertune/handlers/")
        and isinstance(function, ast.AsyncFunctionDef)
    }
    assert {name: n for name, n in bodies.items() if n > LONGEST_HANDLER} == {}


@pytest.mark.parametrize("root", ["operator", "probes", "devcluster", "examples"])
def test_every_module_says_its_role(root: str) -> None:
    """A package's `__init__` and a `__main__` may do with one line; nothing may do with none."""
    lowest, highest = DOCSTRING_LINES
    wrong = {}
    for path, tree, _ in SOURCES:
        if not path.startswith(f"{root}/"):
            continue
        lines = len((ast.get_docstring(tree) or "").splitlines())
        least = 1 if Path(path).name in ("__init__.py", "__main__.py") else lowest
        if not least <= lines <= highest:
            wrong[path] = lines
    assert wrong == {}
