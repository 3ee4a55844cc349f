"""Processes that outlive the command that started them.

A process is known by its id and its start time together, because ids are used
again: `down` ends only what this package started. Trade-off: a small record per
process instead of a supervisor; a component that dies is started again by the
next `up`, not by itself.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

STAT_STATE = 0
STAT_PARENT = 1
STAT_START = 19
NOT_INHERITED = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NOTIFY_SOCKET", "KUBECONFIG")


@dataclass(frozen=True, slots=True)
class Identity:
    """A process that cannot be mistaken for a later one with the same id."""

    pid: int
    start_ticks: int

    def alive(self) -> bool:
        """Whether this very process still runs; one that only waits to be reaped does not."""
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, os.WNOHANG)
        stat = read_stat(self.pid)
        return (
            stat is not None
            and stat[STAT_STATE] not in "ZX"
            and int(stat[STAT_START]) == self.start_ticks
        )


def read_stat(pid: int) -> list[str] | None:
    """Return the fields of /proc/PID/stat after the name; None when there is no process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text.rpartition(")")[2].split()


def identify(pid: int) -> Identity | None:
    """Return the identity of a running process."""
    stat = read_stat(pid)
    return Identity(pid, int(stat[STAT_START])) if stat else None


def _record(run_dir: Path, name: str) -> Path:
    return run_dir / f"{name}.pid"


def find(run_dir: Path, name: str) -> Identity | None:
    """Return the recorded process when it still runs."""
    path = _record(run_dir, name)
    if not path.exists():
        return None
    record = json.loads(path.read_text())
    identity = Identity(record["pid"], record["start_ticks"])
    return identity if identity.alive() else None


def start(
    run_dir: Path, name: str, argv: Sequence[str], log: Path, env: Mapping[str, str]
) -> Identity:
    """Start a process in its own session, with its output appended to a log."""
    log.parent.mkdir(parents=True, exist_ok=True)
    inherited = {k: v for k, v in os.environ.items() if k.upper() not in NOT_INHERITED}
    with log.open("ab") as sink:
        child = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd="/",
            env={**inherited, **env},
        )
    identity = identify(child.pid) or Identity(child.pid, -1)
    child.returncode = 0  # it is meant to outlive us: no warning when the handle is dropped
    run_dir.mkdir(parents=True, exist_ok=True)
    record = {"pid": identity.pid, "start_ticks": identity.start_ticks, "argv": list(argv)}
    _record(run_dir, name).write_text(json.dumps(record) + "\n")
    return identity


def end(identities: Sequence[Identity], grace_seconds: float) -> None:
    """Ask processes to end, wait, then kill those that did not, and wait again."""
    for number, patience in ((signal.SIGTERM, grace_seconds), (signal.SIGKILL, 10.0)):
        waiting = [one for one in identities if one.alive()]
        for one in waiting:
            with contextlib.suppress(ProcessLookupError):
                os.kill(one.pid, number)
        deadline = time.monotonic() + patience
        while any(one.alive() for one in waiting) and time.monotonic() < deadline:
            time.sleep(0.02)


def kill(identity: Identity) -> None:
    """End a process without asking it."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(identity.pid, signal.SIGKILL)
    deadline = time.monotonic() + 10.0
    while identity.alive() and time.monotonic() < deadline:
        time.sleep(0.02)


def stop(run_dir: Path, names: Sequence[str], grace_seconds: float = 10.0) -> list[str]:
    """End recorded processes together and forget them; return the names that were running."""
    running = {name: one for name in names if (one := find(run_dir, name))}
    end(list(running.values()), grace_seconds)
    for name in names:
        _record(run_dir, name).unlink(missing_ok=True)
    return list(running)


def command_line(pid: int) -> list[str]:
    """Return the arguments of a process; empty when it is gone."""
    try:
        raw = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [part.decode(errors="replace") for part in raw.split(b"\0") if part]


def all_pids() -> list[int]:
    """Return the ids of all processes of this machine."""
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def with_descendants(roots: Sequence[int]) -> list[Identity]:
    """Return the given processes and all below them."""
    children: dict[int, list[int]] = {}
    for pid in all_pids():
        stat = read_stat(pid)
        if stat:
            children.setdefault(int(stat[STAT_PARENT]), []).append(pid)
    found: list[Identity] = []
    queue = list(roots)
    while queue:
        pid = queue.pop()
        identity = identify(pid)
        if identity:
            found.append(identity)
        queue.extend(children.get(pid, []))
    return found
