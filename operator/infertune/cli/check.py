"""``infertune check FILE``: is this manifest valid? Needs no cluster.

Role: read YAML, hand each ``InferenceTuning`` to the models, print every problem with its field.
Must not know: what a field is for. Trade-off: rules that compare with the stored object (an
immutable field) can only be checked by the server.
"""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from infertune.api.v1alpha1 import API_VERSION, GROUP, KIND, SpecError, parse_spec
from infertune.cli.parsing import Commands

WRONG_INPUT = 2
TOP_LEVEL = ("apiVersion", "kind", "metadata", "spec", "status")


def find_problems(manifest: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what is wrong with one manifest of our kind, one sentence per field."""
    problems = [f"{name}: unknown field: remove it" for name in manifest if name not in TOP_LEVEL]
    version = manifest.get("apiVersion")
    if version != API_VERSION:
        problems.append(f"apiVersion: must be {API_VERSION} (got {version!r})")
    metadata = manifest.get("metadata")
    named = isinstance(metadata, Mapping) and (metadata.get("name") or metadata.get("generateName"))
    if not named:
        problems.append("metadata.name: missing: name the tuning")
    spec = manifest.get("spec")
    if not isinstance(spec, Mapping):
        return (*problems, f"spec: must be a mapping (got {spec!r})")
    parsed = parse_spec(spec)
    return (*problems, *(parsed.problems if isinstance(parsed, SpecError) else ()))


def is_tuning(document: object) -> bool:
    """Tell whether a YAML document is of our kind, in any version of our group."""
    if not isinstance(document, Mapping) or document.get("kind") != KIND:
        return False
    group = str(document.get("apiVersion", GROUP)).partition("/")[0]
    return group == GROUP


def register(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser("check", help="validate manifests without a cluster")
    parser.add_argument("files", nargs="+", metavar="FILE", help="a YAML file; - reads from stdin")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    return max(_check_file(name) for name in arguments.files)


def _check_file(name: str) -> int:
    text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
    try:
        documents = list(yaml.safe_load_all(text))
    except yaml.YAMLError as error:
        print(f"{name}: not YAML: {' '.join(str(error).split())}")
        return WRONG_INPUT
    tunings = [document for document in documents if is_tuning(document)]
    if not tunings:
        print(f"{name}: no {KIND} in this file")
        return WRONG_INPUT
    return max(_report(name, manifest) for manifest in tunings)


def _report(name: str, manifest: Mapping[str, Any]) -> int:
    problems = find_problems(manifest)
    for problem in problems:
        print(f"{name}: {problem}")
    if problems:
        return WRONG_INPUT
    print(f"{name}: {KIND} {manifest['metadata'].get('name', '(generated name)')} is valid")
    return 0
