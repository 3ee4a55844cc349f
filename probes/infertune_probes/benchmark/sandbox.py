"""Runs the same work in a control group with and without a CPU quota, and reads the counters.

It must not judge. Both kinds of run are in the same group, so that its weight against others is
the same. The group is made, used and removed again; nothing else is changed. In
cgroup v2 a group with processes of its own cannot hand controllers to a child, so the child is
made beside our own group. Trade-off: pairs of short runs, limited and free in turn, so that a
drift of the machine hits both.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from infertune_probes.contract.host import CGROUP_ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

PERIOD_US = 100_000
_SELF_CGROUP = Path("/proc/self/cgroup")
_WORKER = "infertune_probes.benchmark.worker"


class CannotLimit(Exception):
    """No child group can be made here; the text says why."""


@dataclass(frozen=True)
class Counted:
    """The bandwidth counters of a group; the seconds are processor time."""

    periods: int
    throttled: int
    throttled_seconds: float
    used_seconds: float | None


@dataclass(frozen=True)
class Work:
    """What a worker does: products of this size on so many threads, for so long."""

    size: int
    threads: int
    seconds: float


def own_folder(root: Path, self_cgroup: Path = _SELF_CGROUP) -> Path | None:
    """Return our own group's folder with the CPU controller; None when there is none.

    In a container that sees only its own part of the tree, that is the top.
    """
    unified = (root / "cgroup.controllers").exists()
    try:
        lines = self_cgroup.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if unified and controllers == "":
            folder = root / path.strip("/")
            return folder if folder.is_dir() else root
        if not unified and "cpu" in controllers.split(","):
            top = next((root / n for n in (controllers, "cpu") if (root / n).is_dir()), None)
            if top is None:
                return None
            folder = top / path.strip("/")
            return folder if folder.is_dir() else top
    return None


def read_counters(folder: Path) -> Counted | None:
    """Return the counters of a group; None when it has none."""
    try:
        text = (folder / "cpu.stat").read_text(encoding="utf-8")
    except OSError:
        return None
    stat = {w[0]: int(w[1]) for w in map(str.split, text.splitlines()) if len(w) > 1}
    if "nr_periods" not in stat:
        return None
    used = stat.get("usage_usec")
    return Counted(
        periods=stat["nr_periods"],
        throttled=stat["nr_throttled"],
        throttled_seconds=stat["throttled_usec"] / 1e6
        if "throttled_usec" in stat
        else stat.get("throttled_time", 0) / 1e9,
        used_seconds=None if used is None else used / 1e6,
    )


@contextmanager
def own_group(root: Path = CGROUP_ROOT, self_cgroup: Path = _SELF_CGROUP) -> Iterator[Path]:
    """Make a group without a limit beside ours, and remove it afterwards.

    Raises:
        CannotLimit: when the file system or the kernel refuses.
    """
    own = own_folder(root, self_cgroup)
    if own is None:
        raise CannotLimit("the CPU controller is not mounted")
    unified = (root / "cgroup.controllers").exists()
    parent = own.parent if unified and own != root else own
    folder = parent / f"infertune-overhead-{os.getpid()}"
    try:
        folder.mkdir()
    except OSError as error:
        raise CannotLimit(_why(folder, error)) from error
    try:
        yield folder
    finally:
        _remove(folder)


def limit(folder: Path, cores: float | None) -> None:
    """Set the group's quota; None takes it away.

    Raises:
        CannotLimit: when the kernel refuses, or the group has no CPU controller.
    """
    quota = None if cores is None else max(1000, int(cores * PERIOD_US))
    try:
        if (folder / "cpu.cfs_quota_us").exists():
            (folder / "cpu.cfs_period_us").write_text(str(PERIOD_US), encoding="ascii")
            (folder / "cpu.cfs_quota_us").write_text(str(quota or -1), encoding="ascii")
        elif (folder / "cpu.max").exists():
            (folder / "cpu.max").write_text(f"{quota or 'max'} {PERIOD_US}", encoding="ascii")
        else:
            raise CannotLimit("a child group has no CPU controller here")
    except OSError as error:
        raise CannotLimit(_why(folder, error)) from error


def _why(folder: Path, error: OSError) -> str:
    return f"{folder}: {error.strerror}"


def _remove(folder: Path) -> None:
    """Remove the group; the kernel may need a moment to see that its processes have ended."""
    for _ in range(50):
        try:
            folder.rmdir()
        except OSError:
            time.sleep(0.02)
        else:
            return


def rate_of(work: Work, group: Path | None) -> float | None:
    """Return products a second of one run, inside the group or outside; None when it failed."""
    command = [sys.executable, "-m", _WORKER, str(work.size), str(work.threads), str(work.seconds)]
    if group is not None:
        command += ["--group", str(group / "cgroup.procs")]
    try:
        done = subprocess.run(  # noqa: S603  # our own interpreter, no shell
            command,
            capture_output=True,
            text=True,
            # A group of a tenth of a CPU needs ten times as long to load numpy.
            timeout=work.seconds + 120,
            check=True,
        )
        return float(done.stdout)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
