"""What the user sees, and the one way to call other programs.

Long steps print their elapsed time so that nobody has to guess whether anything
still happens; quick ones print one line. Output goes to stderr, because stdout
belongs to answers such as the kubeconfig path. Trade-off: plain lines instead of
a redrawn progress bar, so that a log of a run reads like the run.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

from devcluster.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

HEARTBEAT_SECONDS = 15.0
SHOWN_LINES = 15


def say(message: str) -> None:
    """Print one line for the user."""
    print(f"devcluster: {message}", file=sys.stderr, flush=True)


class Step:
    """A running step; `detail` is shown with the next heartbeat."""

    def __init__(self, title: str) -> None:
        """Start the clock of the step."""
        self.title = title
        self.detail = ""
        self._started = time.monotonic()
        self._done = threading.Event()

    @property
    def elapsed_seconds(self) -> float:
        """Seconds since the step began."""
        return time.monotonic() - self._started

    def finish(self) -> None:
        """Stop the heartbeats."""
        self._done.set()

    def beat(self) -> None:
        """Print the elapsed time at intervals until the step is finished."""
        while not self._done.wait(HEARTBEAT_SECONDS):
            detail = f" ({self.detail})" if self.detail else ""
            say(f"{self.title}{detail} ... {self.elapsed_seconds:.0f} s")


@contextlib.contextmanager
def step(title: str) -> Iterator[Step]:
    """Print the title, heartbeats while the block runs, and the time it took."""
    current = Step(title)
    say(f"{title} ...")
    threading.Thread(target=current.beat, daemon=True).start()
    try:
        yield current
    finally:
        current.finish()
    say(f"{title}: done in {current.elapsed_seconds:.1f} s")


def last_lines(path: Path, count: int = SHOWN_LINES) -> str:
    """Return the last lines of a log, indented; a missing file says so."""
    if not path.exists():
        return f"  ({path} does not exist)"
    with path.open("rb") as log:
        log.seek(0, os.SEEK_END)
        log.seek(max(0, log.tell() - 16384))
        text = log.read().decode(errors="replace")
    return "\n".join(f"  | {line[:300]}" for line in text.splitlines()[-count:])


def run(
    argv: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    stdin: str | None = None,
    timeout_seconds: float = 120.0,
    cwd: Path | None = None,
) -> str:
    """Call a program and return its standard output.

    Args:
        argv: The program and its arguments.
        env: Variables added to the environment of this process.
        stdin: Text for its standard input.
        timeout_seconds: The program is killed after this time.
        cwd: The folder it runs in.

    Raises:
        CommandError: It ended with an error, was not found or took too long; the
            message holds the command and the end of what it said.
    """
    words = [str(word) for word in argv]
    try:
        done = subprocess.run(
            words,
            env={**os.environ, **(env or {})},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout_seconds,
            cwd=cwd,
            check=False,
        )
    except FileNotFoundError as error:
        msg = f"{words[0]} is not on this machine"
        raise CommandError(msg) from error
    except subprocess.TimeoutExpired as error:
        msg = f"{words[0]} took longer than {timeout_seconds:.0f} s"
        raise CommandError(msg) from error
    if done.returncode != 0:
        said = "\n".join((done.stderr or done.stdout).strip().splitlines()[-SHOWN_LINES:])
        msg = f"{' '.join(words[:8])} ended with {done.returncode}: {said}"
        raise CommandError(msg)
    return done.stdout


def run_logged(argv: Sequence[str | Path], log: Path, env: Mapping[str, str] | None = None) -> None:
    """Call a long program with its output in a log file.

    Raises:
        CommandError: It ended with an error; the message holds the end of the log.
    """
    words = [str(word) for word in argv]
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as sink:
        done = subprocess.run(
            words,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode != 0:
        msg = f"{words[0]} ended with {done.returncode}; end of {log}:\n{last_lines(log)}"
        raise CommandError(msg)
