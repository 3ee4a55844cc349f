"""Everything lies where the house says it lies."""

import sys

from tests.contract.paths import ROOT, SOURCE_ROOTS, python_sources, tracked_files

TOP_LEVEL = {
    ".ci",
    ".dockerignore",
    ".gitignore",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Dockerfile",
    "LICENSE",
    "Makefile",
    "README.md",
    "bench",
    "charts",
    "crds",
    "devcluster",
    "docs",
    "examples",
    "operator",
    "probes",
    "pyproject.toml",
    "requirements",
    "tests",
}
SAYS_NOTHING = {"utils", "util", "helpers", "helper", "common", "manager", "misc", "data", "info"}
# A package's submodule cannot hide a top-level module of the standard library, but it confuses.
ARGUED = {"operator/infertune/runtime/queue.py"}


def test_the_top_level_holds_only_what_the_architecture_names() -> None:
    found = {path.relative_to(ROOT).parts[0] for path in tracked_files()}
    assert found - TOP_LEVEL == set()


def test_a_source_root_is_no_package_and_holds_one_package() -> None:
    """`operator/__init__.py` or a module there would hide the standard library's `operator`."""
    tracked = tracked_files()
    for root, package in (("operator", "infertune"), ("probes", "infertune_probes")):
        inside = [
            path.relative_to(ROOT / root) for path in tracked if (ROOT / root) in path.parents
        ]
        assert {path.parts[0] for path in inside} == {package}


def test_no_module_has_a_name_that_says_nothing() -> None:
    names = {part for path in python_sources() for part in (path.stem, path.parent.name)}
    assert names & SAYS_NOTHING == set()


def test_no_module_is_named_like_one_of_the_standard_library() -> None:
    tops = {(ROOT / root) for root in SOURCE_ROOTS}
    modules = [path for path in python_sources() if not path.stem.startswith("__")]
    packages = [path.parent for path in python_sources() if path.stem == "__init__"]
    clashes = {
        str(path.relative_to(ROOT))
        for path in (*modules, *packages)
        if path.stem in sys.stdlib_module_names and path not in tops
    }
    assert clashes - ARGUED == set()


def test_every_package_has_its_init() -> None:
    tops = {ROOT / root for root in SOURCE_ROOTS} - {ROOT / "devcluster"}
    folders = {path.parent for path in python_sources()} - tops
    assert [str(folder) for folder in folders if not (folder / "__init__.py").exists()] == []
