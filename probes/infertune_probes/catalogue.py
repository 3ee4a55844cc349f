"""`python -m infertune_probes.catalogue`: every finding code with meaning and fix, as Markdown.

Generator side; it imports the `codes` module of every probe, which imports nothing but the
contract, so no driver, torch or numpy is needed. It must not hold a sentence about a single code.
Trade-off: probes are found by their folder, so a new one is documented without being named here.
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import infertune_probes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infertune_probes.contract.codes import Code

_INTRODUCTION = """\
<!-- Generated from the codes.py of every probe by `make generate`: do not edit. -->
# Finding codes of the probes

Every probe writes one envelope ([JSON Schema](probe-result.schema.json)) with findings. A finding
has a code from this page, a verdict (`pass`, `warn`, `fail`, `unknown`), evidence and a fix. What
could not be read is `unknown` and never counts as a pass. Exit codes: 0 nothing failed, 1 a finding
failed, 2 the probe could not run or not finish.
"""
_EVERY_PROBE = "contract"


def catalogues() -> Mapping[str, tuple[Code, ...]]:
    """Return the codes of every probe by its name; `contract` holds those that several share."""
    found = {}
    for package in pkgutil.iter_modules(infertune_probes.__path__):
        folder = Path(infertune_probes.__path__[0]) / package.name
        if package.ispkg and (folder / "codes.py").exists():
            module = importlib.import_module(f"infertune_probes.{package.name}.codes")
            found[package.name] = module.CATALOGUE
    return dict(sorted(found.items(), key=lambda item: (item[0] != _EVERY_PROBE, item[0])))


def render(probes: Mapping[str, tuple[Code, ...]]) -> str:
    """Return the page."""
    parts = [_INTRODUCTION]
    for probe, codes in probes.items():
        title = "Every probe" if probe == _EVERY_PROBE else f"`{probe}`"
        rows = [
            f"| `{code.name}` | {_cell(code.meaning)} | {_cell(code.fix) or 'nothing'} |"
            for code in sorted(codes, key=lambda code: code.name)
        ]
        parts.append(
            "\n".join([f"## {title}", "", "| code | meaning | fix |", "|---|---|---|", *rows])
        )
    return "\n".join(parts[:1]) + "\n" + "\n\n".join(parts[1:]) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main(argv: list[str] | None = None) -> int:
    """Write the page and return 0."""
    parser = argparse.ArgumentParser(prog="python -m infertune_probes.catalogue")
    parser.add_argument("--output", metavar="FILE", default="-", help="(default: standard output)")
    output: str = parser.parse_args(argv).output
    text = render(catalogues())
    if output == "-":
        sys.stdout.write(text)
    else:
        Path(output).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
