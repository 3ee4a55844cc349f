"""The line that a waiting person sees, and nobody else."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
import time

from infertune_probes.contract.heartbeat import Heartbeat


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def beaten(stream: io.StringIO, patience_seconds: float) -> str:
    heart = Heartbeat("system", stream, 45.0, patience_seconds)
    heart.start()
    deadline = time.monotonic() + 5
    while not stream.getvalue() and time.monotonic() < deadline and patience_seconds < 1:
        time.sleep(0.01)
        if not stream.isatty():
            break
    heart.stop()
    return stream.getvalue()


def test_a_person_who_waits_sees_what_works_and_until_when() -> None:
    said = beaten(Terminal(), 0.05)
    assert said.startswith("\r\033[Ksystem: working, 0 s of at most 45")
    assert said.endswith("\r\033[K")


def test_who_does_not_wait_long_sees_nothing() -> None:
    assert beaten(Terminal(), 60.0) == ""


def test_a_pipe_and_a_pod_see_nothing() -> None:
    assert beaten(io.StringIO(), 0.0) == ""


def test_a_probe_on_a_terminal_beats_and_leaves_its_table_alone() -> None:
    terminal, inside = pty.openpty()
    words = [sys.executable, "-m", "infertune_probes.system", "--window", "6.5", "--output", "-"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=inside) as running:
        os.close(inside)
        said, _ = running.communicate(timeout=60)
    seen = os.read(terminal, 4096)
    os.close(terminal)
    assert b"system: working, 5 s of at most 36" in seen
    assert seen.endswith(b"\r\x1b[K")
    assert b"working" not in said
