"""The operator's process, as this machine's kernel sees it.

Role: find the process of a container, read its CPU time and memory. It must not know Kubernetes
beyond a container's id. Its trade-off: works only on the machine that is the node, but asks nobody,
so looking changes nothing.
"""

import os
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
KIBIBYTE = 1024
USER_TICKS = 11
SYSTEM_TICKS = 12


class NoProcessError(Exception):
    """No process of this machine belongs to the container."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at a process; ``at`` is monotonic seconds."""

    at: float
    cpu_seconds: float
    resident_bytes: int
    peak_resident_bytes: int
    threads: int


def pid_of_container(container_id: str, proc: Path = PROC) -> int:
    """Return the first process of a container; ``container_id`` as a pod's status has it.

    Raises:
        NoProcessError: None belongs to it.
    """
    bare = container_id.rpartition("/")[2]
    found = []
    for folder in proc.iterdir():
        if not folder.name.isdigit():
            continue
        try:
            text = (folder / "cgroup").read_text()
        except OSError:
            continue  # it ended between the list and the look
        if bare and bare in text:
            found.append(int(folder.name))
    if not found:
        message = f"no process of this machine belongs to container {container_id}"
        raise NoProcessError(message)
    return min(found)


def look(pid: int, now: float, proc: Path = PROC) -> Sample:
    """Return the CPU time since the start of the process, and its memory now.

    Raises:
        NoProcessError: It ended.
    """
    folder = proc / str(pid)
    try:
        # The name, in brackets, may hold anything; what follows it is numbers.
        numbers = (folder / "stat").read_text().rpartition(")")[2].split()
        status = _status(folder / "status")
    except OSError as error:
        message = f"process {pid} has ended: the operator was restarted in the window"
        raise NoProcessError(message) from error
    ticks = int(numbers[USER_TICKS]) + int(numbers[SYSTEM_TICKS])
    return Sample(
        at=now,
        cpu_seconds=ticks / os.sysconf("SC_CLK_TCK"),
        resident_bytes=status["VmRSS"] * KIBIBYTE,
        peak_resident_bytes=status["VmHWM"] * KIBIBYTE,
        threads=status["Threads"],
    )


def _status(path: Path) -> dict[str, int]:
    pairs = (line.partition(":") for line in path.read_text().splitlines())
    wanted = ("VmRSS", "VmHWM", "Threads")
    return {name: int(value.split()[0]) for name, _, value in pairs if name in wanted}
