"""A child that speaks line by line, and is given up when it falls silent.

It must not know what the lines say. Where `contract.child` hears a child only when it is done,
this one keeps what a child said before it hung or died, which is how a hung driver call is named.
Trade-off: the deadline is per line, so a child that keeps talking is bounded by whoever reads it.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType

_REAP_SECONDS = 1.0
_CHUNK = 65536
_STOPPING = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGALRM})


class Stream:
    """A child process whose stdout is read line by line; use it as a context manager.

    After the lines have ended, `failure` says why they ended badly, and is None for a clean end;
    `hung` and `killed_by` (the name of a signal) tell the two ways in which a driver fails.
    """

    def __init__(self, command: Sequence[str], silence_seconds: float) -> None:
        """Start the child; a program that is not there is a failure without lines."""
        self.failure: str | None = None
        self.hung = False
        self.killed_by: str | None = None
        self._silence_seconds = silence_seconds
        self._child: subprocess.Popen[bytes] | None = None
        # A signal between the fork and our knowing of the child would leave it behind.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)
        try:
            self._child = subprocess.Popen(  # noqa: S603  # our own interpreter or nvidia-smi
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            missing = isinstance(error, FileNotFoundError)
            self.failure = "not installed" if missing else str(error.strerror)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def __enter__(self) -> Stream:  # noqa: PYI034  # Self is Python 3.11
        """Return the stream."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the child, whatever it is doing."""
        self.close()

    def lines(self) -> Iterator[str]:
        """Yield whole lines until the child ends or is silent for longer than the deadline."""
        child = self._child
        if child is None or child.stdout is None or child.stderr is None:
            return
        out, err = child.stdout.fileno(), child.stderr.fileno()
        pending, complaint, open_pipes = b"", b"", [out, err]
        heard = time.monotonic()
        while out in open_pipes:
            left = heard + self._silence_seconds - time.monotonic()
            ready, _, _ = select.select(open_pipes, [], [], max(0.0, left))
            if not ready:
                self.hung = True
                self.failure = f"no answer within {self._silence_seconds:g} s"
                return
            for pipe in ready:
                chunk = os.read(pipe, _CHUNK)
                if not chunk:
                    open_pipes.remove(pipe)
                elif pipe == err:
                    complaint = (complaint + chunk)[-_CHUNK:]
                else:
                    heard = time.monotonic()
                    *whole, pending = (pending + chunk).split(b"\n")
                    for line in whole:
                        yield line.decode("utf-8", "replace")
        self._note_end(child, complaint)

    def _note_end(self, child: subprocess.Popen[bytes], complaint: bytes) -> None:
        try:
            status = child.wait(_REAP_SECONDS)
        except subprocess.TimeoutExpired:
            self.hung = True
            self.failure = "closed its output and did not end"
            return
        if status < 0:
            self.killed_by = signal.Signals(-status).name
            self.failure = f"ended by {self.killed_by}"
        elif status > 0:
            words = complaint.decode("utf-8", "replace").strip().splitlines()
            self.failure = f"exit status {status}: {words[-1] if words else ''}"

    def close(self) -> None:
        """End the child; one stuck in the driver cannot be ended and is left behind."""
        child = self._child
        if child is None:
            return
        if child.poll() is None:
            try:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait(_REAP_SECONDS)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                pass
        for pipe in (child.stdout, child.stderr):
            if pipe is not None:
                pipe.close()
