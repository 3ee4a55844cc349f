"""Every finding has a code with a meaning, and the page of codes tells all of them."""

import ast
from collections import Counter
from pathlib import Path

import infertune_probes
from infertune_probes.catalogue import catalogues, render
from infertune_probes.contract.__main__ import schema_text
from tests.contract.paths import ROOT

PACKAGE = Path(infertune_probes.__file__).parent
CONTRACT = PACKAGE / "contract"


def made_bare(source: str, names: tuple[str, ...] = ("Finding", "Code")) -> list[int]:
    """Return the lines that make a `Finding` or a `Code` by hand."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names
    ]


def test_findings_are_only_made_through_their_codes() -> None:
    found = {
        str(path.relative_to(PACKAGE)): made_bare(path.read_text(encoding="utf-8"))
        for path in sorted(PACKAGE.rglob("*.py"))
        if path.name != "codes.py"
    }
    assert {path: lines for path, lines in found.items() if lines} == {}


def test_a_bare_finding_is_seen() -> None:
    assert made_bare("x = 1\ny = Finding('A', 'pass', 'b')\n") == [2]


def test_a_code_stands_for_one_thing_in_all_probes() -> None:
    names = Counter(code.name for codes in catalogues().values() for code in codes)
    assert [name for name, count in names.items() if count > 1] == []


def test_a_code_says_what_it_means_in_whole_sentences() -> None:
    silent = [
        code.name
        for codes in catalogues().values()
        for code in codes
        if not code.meaning.endswith(".") or code.fix.endswith(".")
    ]
    assert silent == []


def test_every_code_of_a_catalogue_is_used_and_every_code_stands_in_it() -> None:
    for probe, codes in catalogues().items():
        # Codes of the contract are for every probe.
        folder = PACKAGE if probe == "contract" else PACKAGE / probe
        text = "\n".join(
            path.read_text(encoding="utf-8")
            for path in sorted(folder.rglob("*.py"))
            if path.name != "codes.py"
        )
        module = (PACKAGE / probe / "codes.py").read_text(encoding="utf-8")
        assert [code.name for code in codes if code.name not in text] == []
        assert len(made_bare(module, ("Code",))) == len(codes), (
            f"a code of {probe} is not in its CATALOGUE"
        )


def test_the_page_and_the_schema_are_current() -> None:
    """`make generate` writes both."""
    page = (ROOT / "docs" / "probes.md").read_text(encoding="utf-8")
    schema = (ROOT / "docs" / "probe-result.schema.json").read_text(encoding="utf-8")
    assert page == render(catalogues())
    assert schema == schema_text()
