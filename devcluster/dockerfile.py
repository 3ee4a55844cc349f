"""Which files of the context one target of a Dockerfile depends on.

A warm run must do nothing, and a change in one folder must not rebuild the images of
others; so the inputs are read from the COPY lines of the stages that the target needs.
Trade-off: a small reader of the usual instructions, not a full parser; what it does
not understand it counts as an input, which costs a rebuild and never a stale image.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

SKIPPED = frozenset({".git", ".venv", "__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache"})


@dataclass(slots=True)
class Stage:
    """One FROM: what it builds on, which files it takes, and its text."""

    name: str
    needs: set[str] = field(default_factory=set)
    sources: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)


def stages(text: str) -> list[Stage]:
    """Return the stages of a Dockerfile; instructions before the first FROM come first."""
    found = [Stage("")]
    joined = re.sub(r"\\\n", " ", re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE))
    for line in joined.splitlines():
        words = line.split()
        if not words:
            continue
        instruction = words[0].upper()
        if instruction == "FROM":
            plain = [word for word in words[1:] if not word.startswith("--")]
            name = next(iter(plain[2:]), str(len(found) - 1))
            found.append(Stage(name, needs={plain[0]}))
        elif instruction in ("COPY", "ADD"):
            _read_copy(found[-1], words[1:])
        elif instruction == "RUN":
            _read_mounts(found[-1], line)
        found[-1].lines.append(line)
    return found


def _read_copy(stage: Stage, words: Sequence[str]) -> None:
    flags = [word for word in words if word.startswith("--")]
    origin = [flag.partition("=")[2] for flag in flags if flag.startswith("--from=")]
    plain = [word for word in words if not word.startswith("--")]
    if plain and plain[0].startswith("["):
        plain = list(json.loads(" ".join(plain)))
    if origin:
        stage.needs.update(origin)
    else:
        stage.sources += [word for word in plain[:-1] if not word.startswith(("<<", "http"))]


def _read_mounts(stage: Stage, line: str) -> None:
    for mount in re.findall(r"--mount=(\S+)", line):
        parts = [part.partition("=") for part in mount.split(",")]
        fields = {name: value for name, _, value in parts}
        if "from" in fields:
            stage.needs.add(fields["from"])
        elif fields.get("type", "bind") == "bind":
            stage.sources.append(fields.get("source", fields.get("src", ".")))


def needed(text: str, target: str) -> list[Stage]:
    """Return the stages that a target needs, in order; the last stage's when it is empty."""
    every = stages(text)
    numbered = {str(index): stage for index, stage in enumerate(every[1:])}
    by_name = {**numbered, **{stage.name: stage for stage in every[1:]}}
    queue = [by_name.get(target, every[-1])]
    wanted: list[Stage] = []
    while queue:
        stage = queue.pop()
        if stage not in wanted:
            wanted.append(stage)
            queue += [by_name[name] for name in sorted(stage.needs) if name in by_name]
    return [stage for stage in every if stage in wanted or not stage.name]


def _files(context: Path, source: str) -> Iterator[Path]:
    for path in sorted(context.glob(source.strip("/") or ".")):
        members = sorted(path.rglob("*")) if path.is_dir() else [path]
        for member in members:
            if member.is_file() and not SKIPPED & set(member.relative_to(context).parts):
                yield member


def content_key(text: str, target: str, context: Path, arguments: Mapping[str, str]) -> str:
    """Return a digest of everything that decides what a target's image holds."""
    digest = hashlib.sha256(json.dumps([target, sorted(arguments.items())]).encode())
    seen: set[Path] = set()
    for stage in needed(text, target):
        digest.update("\n".join(stage.lines).encode())
        for source in stage.sources:
            for path in _files(context, source):
                if path not in seen:
                    seen.add(path)
                    digest.update(
                        f"\0{path.relative_to(context)}\0{path.stat().st_mode}\0".encode()
                    )
                    digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
