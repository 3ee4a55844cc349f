"""`python -m infertune_probes.benchmark.worker SIZE THREADS SECONDS [--group FILE]`: one run.

Prints products a second and ends. It must not judge. It joins the group once numpy is loaded and
counts only after a warm-up. Trade-off: a process of its own for each run, since a
thread cannot leave a group that its process is in.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

_WARM_UP = 2
_LEAST = 3


def main(argv: list[str] | None = None) -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(prog="python -m infertune_probes.benchmark.worker")
    parser.add_argument("size", type=int)
    parser.add_argument("threads", type=int)
    parser.add_argument("seconds", type=float)
    parser.add_argument("--group", type=Path)
    arguments = parser.parse_args(argv)
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = str(arguments.threads)
    import numpy as np

    random = np.random.default_rng(1)
    left, right = (
        random.standard_normal((arguments.size, arguments.size)).astype("float32") for _ in range(2)
    )
    product = np.empty_like(left)
    if arguments.group is not None:
        # After the start, so that loading numpy is in no figure; all threads follow.
        arguments.group.write_text(str(os.getpid()), encoding="ascii")
    for _ in range(_WARM_UP):
        np.matmul(left, right, out=product)
    count, began = 0, time.perf_counter()
    while count < _LEAST or time.perf_counter() - began < arguments.seconds:
        np.matmul(left, right, out=product)
        count += 1
    print(count / (time.perf_counter() - began))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
