"""Imports go one way, and time and chance come in through the door."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.paths import ROOT, python_sources

PURE = (ROOT / "operator" / "infertune" / "core", ROOT / "operator" / "infertune" / "api")
BANNED_CALLS = {
    "datetime.now",
    "datetime.utcnow",
    "datetime.today",
    "date.today",
    "time.time",
    "time.monotonic",
    "time.sleep",
    "uuid.uuid1",
    "uuid.uuid4",
    "uuid4",
    "open",
    "print",
    "input",
}
BANNED_ROOTS = {"random", "secrets", "os", "time", "socket", "subprocess", "threading"}


def dotted(node: ast.expr) -> str:
    """Return `a.b.c` for a chain of names, else what can be said of it."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def impurities(source: str) -> Iterator[str]:
    """Yield every call and import that a pure module may not hold."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            name = dotted(node.func)
            short = ".".join(name.split(".")[-2:])
            if name in BANNED_CALLS or short in BANNED_CALLS:
                yield f"{node.lineno}: {name}()"
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        for name in names:
            if name.partition(".")[0] in BANNED_ROOTS:
                yield f"{node.lineno}: import {name}"


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import datetime\nx = datetime.datetime.now()\n", ["2: datetime.datetime.now()"]),
        ("from datetime import datetime as d, date\ny = date.today()\n", ["2: date.today()"]),
        ("from os import environ\n", ["1: import os"]),
        ("from random import Random\n", ["1: import random"]),
        ("def later(now):\n    return now\n", []),
    ],
    ids=["module clock", "today", "environment", "chance", "time as an argument"],
)
def test_the_search_for_impurities_finds_them(source: str, found: list[str]) -> None:
    assert list(impurities(source)) == found


def test_core_and_api_know_neither_clock_nor_chance_nor_environment() -> None:
    pure = [path for path in python_sources() if any(root in path.parents for root in PURE)]
    found = {
        str(path.relative_to(ROOT)): list(impurities(path.read_text(encoding="utf-8")))
        for path in pure
    }
    assert len(pure) > 10
    assert {path: what for path, what in found.items() if what} == {}


def test_imports_go_one_way() -> None:
    program = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [program, "--no-cache"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'operator'}:{ROOT / 'probes'}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
