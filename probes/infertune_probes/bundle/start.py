"""What the target's own Python runs: `python3 BUNDLE PROBE [FLAGS]`.

Copied into the bundle as its `__main__`. Standard library, Python 3.8. It must not import torch.
Trade-off: the bundle is put before everything else on PYTHONPATH, so that the children of a probe
find it too; of foreign code it holds pynvml alone.
"""

from __future__ import annotations

import os
import runpy
import sys

PROBES = ("gpu", "versions", "profiler", "memory")


def main() -> None:
    """Run the probe that the first argument names, as `python -m` would."""
    if sys.version_info < (3, 8):  # noqa: UP036  # this runs in the Python of any image
        raise SystemExit("the probes need Python 3.8 or newer, this is " + sys.version.split()[0])
    if len(sys.argv) < 2 or sys.argv[1] not in PROBES:  # noqa: PLR2004  # program and probe
        raise SystemExit("usage: python3 BUNDLE {" + "|".join(PROBES) + "} [FLAGS]")
    here = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120  # may lie inside a zip
    os.environ["INFERTUNE_BUNDLE"] = here
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = here + (os.pathsep + before if before else "")
    module = "infertune_probes." + sys.argv[1]
    sys.argv = [module] + sys.argv[2:]  # noqa: RUF005  # as plain as the rest
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
