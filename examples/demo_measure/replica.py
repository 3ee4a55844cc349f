"""One server process, under a CPU quota when asked, as a kubelet would run it.

Role: start, CPU figures, stop. It must not know what is measured. Its trade-off: it writes the CFS
quota of a cgroup v1 `cpu` controller itself (root needed), because that is what a CPU limit of a
pod is on this kind of node; period and quota are then exactly known.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CPU_CONTROLLER = Path("/sys/fs/cgroup/cpu")
EXAMPLES = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Quota:
    """A CPU limit in cores, enforced once per period."""

    cores: float
    period_ms: int


@dataclass(frozen=True, slots=True)
class Replica:
    """A running server."""

    url: str
    pid: int
    group: Path | None

    def cpu_seconds(self) -> float:
        """Return user and system time of the process so far."""
        line = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii")
        fields = line.rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def throttled_seconds(self) -> float:
        """Return how long the quota has held the process back; nan without a quota."""
        if self.group is None:
            return float("nan")
        lines = (self.group / "cpu.stat").read_text(encoding="ascii").split()
        return int(lines[lines.index("throttled_time") + 1]) / 1e9


@contextmanager
def running(environ: Mapping[str, str], quota: Quota | None, name: str) -> Iterator[Replica]:
    """Start a server with `environ`, yield it once it listens, stop it at the end."""
    group = None if quota is None else _make_group(quota, name)
    command = [sys.executable, "-m", "demo_server"]
    if group is not None:
        enter = f'echo $$ > "{group}/cgroup.procs" && exec "$@"'
        command = ["/bin/sh", "-c", enter, "sh", *command]
    process = subprocess.Popen(  # noqa: S603 - our own server, no outside input
        command,
        env={**os.environ, "PYTHONPATH": str(EXAMPLES), "PORT": "0", **environ},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        facts = json.loads(process.stdout.readline())
        yield Replica(f"http://127.0.0.1:{facts['port']}", process.pid, group)
    finally:
        process.terminate()
        process.communicate(timeout=60)
        if group is not None:
            group.rmdir()


def _make_group(quota: Quota, name: str) -> Path:
    group = CPU_CONTROLLER / f"demo-measure-{os.getpid()}-{name}"
    group.mkdir()
    period_us = quota.period_ms * 1000
    (group / "cpu.cfs_period_us").write_text(str(period_us), encoding="ascii")
    quota_us = str(round(period_us * quota.cores))
    (group / "cpu.cfs_quota_us").write_text(quota_us, encoding="ascii")
    return group
