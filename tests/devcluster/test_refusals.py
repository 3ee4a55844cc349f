"""`up` and `down` stop before any change where they must not or cannot work."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from devcluster import exclusion, lifecycle
from devcluster.errors import RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from devcluster.settings import Settings

ROOT = Path(__file__).parents[2]
NOBODY = 65534
# The modules are read as whoever runs the tests, because the checkout may lie in a closed folder.
AS_NOBODY = f"""
import os, sys
from devcluster.cli import main
if os.geteuid() == 0:
    os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})
sys.exit(main(sys.argv[1:]))
"""
HOLD = """
import sys
from devcluster import exclusion
exclusion.NAME = "\\0" + sys.argv[1]
with exclusion.alone():
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("command", ["up", "down", "prepare"])
def test_without_root_nothing_is_touched_and_the_way_out_is_said(
    command: str, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    done = subprocess.run(
        [sys.executable, "-c", AS_NOBODY, command, f"--state-dir={state}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "devcluster: a node needs root on Linux; run it with sudo, "
        "or use CONTEXT=name with a cluster\n"
    )
    assert not state.exists()


@pytest.fixture
def lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a lock that no other run of the tests uses."""
    name = f"infertune-test-{os.getpid()}-{tmp_path.name}"
    monkeypatch.setattr(exclusion, "NAME", f"\0{name}")
    monkeypatch.setattr(lifecycle, "refuse_unfit_machine", lambda: None)
    return name


@pytest.fixture
def holder(lock: str) -> Iterator[subprocess.Popen[str]]:
    words = [sys.executable, "-c", HOLD, lock]
    pipe = subprocess.PIPE
    with subprocess.Popen(words, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


@pytest.mark.parametrize("change", [lifecycle.up, lifecycle.down], ids=["up", "down"])
def test_a_second_change_of_the_machine_is_refused_and_the_first_is_named(
    change: object, holder: subprocess.Popen[str], settings: Settings
) -> None:
    assert callable(change)
    with pytest.raises(RefusedError) as caught:
        change(settings)
    assert str(caught.value) == (
        f"another devcluster command (process {holder.pid}) changes this machine: let it end"
    )
    assert not settings.state.exists()


def test_a_holder_that_is_killed_holds_nothing(holder: subprocess.Popen[str]) -> None:
    holder.kill()
    holder.wait()
    with exclusion.alone():
        pass
    with exclusion.alone():
        pass
