"""Plants recorded trees of /proc and /sys, and looks at them as the system probe does."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from infertune_probes.system import facts, look
from infertune_probes.system.files import Files
from infertune_probes.system.window import Tick, Window

if TYPE_CHECKING:
    from infertune_probes.system.advised import View

TREES = Path(__file__).parents[1] / "fixtures" / "trees"
HEAD = "==> "


def parse(text: str) -> dict[str, str | None]:
    """Return path -> content; a link's content begins with "-> ", None takes a file away."""
    found: dict[str, str | None] = {}
    path = ""
    for line in text.splitlines(keepends=True):
        if not line.startswith(HEAD):
            found[path] = (found[path] or "") + line
            continue
        path = line[len(HEAD) :].strip()
        link, absent = path.partition(" -> "), path.removesuffix(" (absent)")
        if link[1]:
            path = link[0]
            found[path] = f"-> {link[2]}"
        elif absent != path:
            path = absent
            found[path] = None
        else:
            found[path] = ""
    return found


@dataclass(frozen=True, slots=True)
class Edit:
    """One replacement in a file; a file that does not hold `old` is a mistake of the test.

    `old` empty makes the file; `always` edits both moments, not only the end.
    """

    path: str
    old: str
    new: str
    always: bool = False


def plant(directory: Path, *names: str, edits: tuple[Edit, ...] = ()) -> tuple[Path, Path]:
    """Write the trees, later ones over earlier ones, at both moments; return both roots."""
    roots = (directory / "start", directory / "end")
    for root, parts in zip(roots, (("start",), ("start", "end")), strict=True):
        files: dict[str, str | None] = {}
        for name in names:
            for part in parts:
                source = TREES / name / f"{part}.txt"
                files |= parse(source.read_text(encoding="utf-8")) if source.exists() else {}
        for edit in edits:
            if edit.always or parts[-1] == "end":
                text = files.get(edit.path) or ""
                assert edit.old in text, edit
                files[edit.path] = text.replace(edit.old, edit.new) if edit.old else edit.new
        _write(root, files)
    return roots


def _write(root: Path, files: dict[str, str | None]) -> None:
    root.mkdir(parents=True)
    for name, text in files.items():
        if text is None:
            continue
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if text.startswith("-> "):
            path.symlink_to(text[3:])
        else:
            path.write_text(text, encoding="utf-8")


def seen(
    directory: Path,
    *names: str,
    seconds: float = 10.0,
    pid: str = "self",
    edits: tuple[Edit, ...] = (),
) -> View:
    """Return the view of a window between the two moments, with two ticks."""
    start, end = plant(directory, *names, edits=edits)
    files = Files(start)
    static = facts.gather(files, pid)
    first, gauges = look.sample(files, pid, 0.0), look.tick(files)
    files = Files(end)
    facts.gather(files, pid)
    last = look.sample(files, pid, seconds)
    ticks: list[Tick] = [gauges, look.tick(files)]
    return look.view_of(files, static, Window(first, last, ticks, 100, 4096))
