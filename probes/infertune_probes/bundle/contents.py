"""What travels: the probes' own packages and whatever of ours they import.

It must not write. Found by reading the source and not by a list, so that a new module cannot be
forgotten. Trade-off: an import inside a function counts like one at the top, so the operator's
side (pydantic) must not be reached from a travelling probe at all, and it is refused by name.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import infertune_probes

ROOT = Path(infertune_probes.__file__).parent
PROBES = ("gpu", "versions", "profiler", "memory")
# Imported by children only, and only where the image has them.
OPTIONAL = frozenset({"torch", "numpy", "pynvml", "tensorflow"})
_OURS = "infertune_probes"


class CannotTravel(Exception):
    """A module needs what a foreign image may not have; the text names both."""


def files() -> list[Path]:
    """Return the files that travel, relative to the package's folder, in order.

    Raises:
        CannotTravel: a travelling module imports a package that is neither standard nor optional.
    """
    found: set[Path] = set()
    waiting = [Path("__init__.py")]
    for probe in PROBES:
        folder = ROOT / probe
        waiting += [path.relative_to(ROOT) for path in folder.rglob("*.py")]
        # Tables of facts stand beside the code that reads them.
        found |= {
            path.relative_to(ROOT)
            for path in folder.rglob("*")
            if path.is_file() and path.suffix not in (".py", ".pyc")
        }
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found.add(path)
        for module in _imports(path):
            waiting += _files_of(module, path)
    return sorted(found)


def _imports(path: Path) -> list[str]:
    """Return the modules that a file imports at run time, dotted."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    typing_only = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.dump(block.test)
        for child in block.body
        for node in ast.walk(child)
    }
    modules = []
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            modules += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return modules


def _files_of(module: str, importer: Path) -> list[Path]:
    parts = module.split(".")
    if parts[0] != _OURS:
        # Python 3.10 knows its own modules; an older one is not what makes a bundle.
        if parts[0] in sys.stdlib_module_names | OPTIONAL:
            return []
        msg = f"{importer} imports {module}, which a foreign image may not have"
        raise CannotTravel(msg)
    found = [Path(*parts[1:depth], "__init__.py") for depth in range(1, len(parts) + 1)]
    if len(parts) > 1:
        found.append(Path(*parts[1:]).with_suffix(".py"))
    # Of a name that was imported from a module there is no file; only the module itself counts.
    return [path for path in found if (ROOT / path).is_file()]
