"""Runs a witness in its own process and gives up on it in time.

It must not know what is asked. Trade-off: the child starts with SIGTERM and SIGINT blocked, since
it is only ever ended by SIGKILL. A child stuck inside the driver cannot be killed
(uninterruptible sleep); it is then left behind rather than waited for, and the pod's end reaps
it.
"""

from __future__ import annotations

import os
import signal
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_REAP_SECONDS = 1.0
_STOPPING = frozenset({signal.SIGTERM, signal.SIGINT})


@dataclass(frozen=True)
class Heard:
    """What a child said: its stdout, or None and the reason; `hung`: it missed the deadline.

    `so_far` is what a child that hung, or failed, had said before.
    """

    text: str | None
    reason: str | None = None
    hung: bool = False
    so_far: str = ""


def ask(command: Sequence[str], deadline_seconds: float) -> Heard:
    """Run the command and return its stdout; never waits much longer than the deadline."""
    # A signal between the fork and our knowing of the child would leave it behind.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)
    try:
        child = subprocess.Popen(  # noqa: S603  # our own interpreter or nvidia-smi, no shell
            list(command),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        missing = isinstance(error, FileNotFoundError)
        return Heard(None, "not installed" if missing else str(error))
    try:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        out, err = child.communicate(timeout=deadline_seconds)
    except subprocess.TimeoutExpired as late:
        said = (late.output or b"").decode("utf-8", "replace")
        return Heard(None, f"no answer within {deadline_seconds:g} s", hung=True, so_far=said)
    finally:
        # Also when the probe itself is told to stop: no child may outlive it.
        _end(child)
    if child.returncode != 0:
        lines = err.decode("utf-8", "replace").strip().splitlines()
        why = f"exit status {child.returncode}: {lines[-1] if lines else ''}"
        return Heard(None, why, so_far=out.decode("utf-8", "replace"))
    return Heard(out.decode("utf-8", "replace"))


def _end(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is not None:
        return
    try:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait(_REAP_SECONDS)
    except (ProcessLookupError, subprocess.TimeoutExpired):
        pass
    for pipe in (child.stdout, child.stderr):
        if pipe is not None:
            pipe.close()
