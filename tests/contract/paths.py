"""Where the things under contract lie, and which files git tracks.

Must not know: any rule. Trade-off: tracked files come from git, so a checkout without it cannot
run these tests.
"""

import subprocess
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
CRD_NAME = "infertune.io_inferencetunings.yaml"
CRD_FILE = ROOT / "crds" / CRD_NAME
CHART = ROOT / "charts" / "infertune"
TESTS = ROOT / "tests"
INVALID = TESTS / "fixtures" / "invalid"
VALID = TESTS / "fixtures" / "valid"
SOURCE_ROOTS = ("operator", "probes", "devcluster", "examples", "bench")


def load_yaml(path: Path) -> list[dict[str, Any]]:
    """Return the documents of a YAML file, empty ones left out."""
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


def tracked_files() -> list[Path]:
    """Return every file that git tracks or would track, as an absolute path."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    paths = (ROOT / name for name in listed.split("\0") if name)
    return [path for path in paths if path.is_file()]


def python_sources() -> list[Path]:
    """Return the Python files of the source roots."""
    roots = tuple(ROOT / name for name in SOURCE_ROOTS)
    return [
        path
        for path in tracked_files()
        if path.suffix == ".py" and any(path.is_relative_to(root) for root in roots)
    ]


def example_tunings() -> list[tuple[Path, dict[str, Any]]]:
    """Return every manifest of our kind under examples/ and tests/fixtures/valid/."""
    files = [*sorted((ROOT / "examples").rglob("*.yaml")), *sorted(VALID.glob("*.yaml"))]
    return [
        (path, document)
        for path in files
        for document in load_yaml(path)
        if isinstance(document, dict) and document.get("kind") == "InferenceTuning"
    ]
