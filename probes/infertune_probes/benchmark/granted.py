"""How many processors our threads really get when all of them work at once.

It must not judge. Processor time over wall time of busy threads; what a quota, a full machine or
the hypervisor takes away is missing from it. Trade-off: a third of a second, so a neighbour that
works in bursts may be missed; the system probe looks longer.
"""

from __future__ import annotations

import os
import subprocess
import sys

SECONDS = 0.4
_SPIN = (
    "import sys,time\n"
    "sys.stdin.read(1)\n"
    "end=time.perf_counter()+float(sys.argv[1])\n"
    "began=time.process_time()\n"
    "while time.perf_counter()<end: pass\n"
    "print(time.process_time()-began)\n"
)


def cores_granted(threads: int, seconds: float = SECONDS) -> float | None:
    """Return the processors that `threads` busy processes got together; None when one failed.

    Processes, because Python's own lock lets one thread of a process work at a time. They are
    started first and let go together.
    """
    command = [sys.executable, "-S", "-c", _SPIN, str(seconds)]
    spinners = [
        subprocess.Popen(  # noqa: S603  # our own interpreter, no shell
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(threads)
    ]
    try:
        for spinner in spinners:
            if spinner.stdin is not None:
                os.write(spinner.stdin.fileno(), b"g")
        used = [float(spinner.communicate(timeout=seconds + 30)[0]) for spinner in spinners]
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    finally:
        for spinner in spinners:
            if spinner.poll() is None:
                spinner.kill()
                spinner.wait()
    return sum(used) / seconds
