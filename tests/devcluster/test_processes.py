"""A process is only ever ended when it is the very one that was started."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from typing import TYPE_CHECKING

from devcluster import processes

if TYPE_CHECKING:
    from pathlib import Path

SLEEPER = [sys.executable, "-c", "import time; time.sleep(60)"]


def test_a_started_process_is_found_and_stopped(tmp_path: Path) -> None:
    started = processes.start(tmp_path, "one", SLEEPER, tmp_path / "one.log", {})
    assert processes.find(tmp_path, "one") == started
    assert processes.stop(tmp_path, ["one"]) == ["one"]
    assert not started.alive()
    assert processes.find(tmp_path, "one") is None


def test_another_process_with_the_recorded_id_is_left_alone(tmp_path: Path) -> None:
    with subprocess.Popen(SLEEPER) as other:
        identity = processes.identify(other.pid)
        assert identity is not None
        record = {"pid": other.pid, "start_ticks": identity.start_ticks - 1, "argv": SLEEPER}
        (tmp_path / "one.pid").write_text(json.dumps(record))
        assert processes.stop(tmp_path, ["one"]) == []
        assert other.poll() is None
        other.kill()


def test_a_process_that_does_not_obey_is_killed(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    deaf = (
        "import pathlib, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        f"pathlib.Path({str(ready)!r}).touch(); time.sleep(60)"
    )
    started = processes.start(tmp_path, "deaf", [sys.executable, "-c", deaf], tmp_path / "l", {})
    while not ready.exists():
        assert started.alive()
    processes.stop(tmp_path, ["deaf"], grace_seconds=0.1)
    assert not started.alive()


def test_the_identity_of_a_dead_process_is_not_alive(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        identity = processes.identify(child.pid)
    assert identity is not None
    assert not identity.alive()
    assert not dataclasses.replace(identity, pid=2**22 + 1).alive()


def test_descendants_are_found() -> None:
    nested = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'input()'])"
    with subprocess.Popen([sys.executable, "-c", nested], stdin=subprocess.PIPE) as parent:
        family: list[processes.Identity] = []
        while len(family) < 2:
            family = processes.with_descendants([parent.pid])
        assert family[0].pid == parent.pid
        processes.end(family, 5.0)
