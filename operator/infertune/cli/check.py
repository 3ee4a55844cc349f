"""``infertune check``: is this manifest valid? Or: does this image run on that driver?

Role: read YAML, hand each ``InferenceTuning`` to the models, print every problem with its field; a
question about software goes to ``check_stack``. Must not know: what a field is for. Trade-off:
rules that compare with the stored object (an immutable field) can only be checked by the server.
"""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from infertune.api.v1alpha1 import API_VERSION, GROUP, KIND, SpecError, parse_spec
from infertune.cli.check_stack import add_stack_flags, asks_about_stack, run_stack
from infertune.cli.kubectl import add_kubectl
from infertune.cli.parsing import Commands

WRONG_INPUT = 2
_DESCRIPTION = """\
Validate manifests without a cluster:
  infertune check tuning.yaml

Ask whether software runs on a driver, before anything is pulled:
  infertune check --image pytorch/pytorch:2.7.0-cuda12.6-cudnn9-runtime --node gpu-1
  infertune check --torch 2.15.0 --driver 550.54
  infertune check --driver 550.54

Exit status: 0 valid, or it runs; 1 it does not run; 2 wrong input; 3 unknown."""
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
    parser = commands.add_parser("check", help="validate manifests; ask if an image would run")
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = _DESCRIPTION
    parser.add_argument("files", nargs="*", metavar="FILE", help="a YAML file; - reads from stdin")
    add_stack_flags(parser)
    add_kubectl(parser)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    if asks_about_stack(arguments):
        if arguments.files:
            print("infertune: check either FILEs or software: two commands", file=sys.stderr)
            return WRONG_INPUT
        return run_stack(arguments)
    if not arguments.files:
        words = "nothing to check: give FILE, --image REF, --torch VERSION or --driver VERSION"
        print(f"infertune: {words}", file=sys.stderr)
        return WRONG_INPUT
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
