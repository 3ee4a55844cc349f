"""`python -m infertune_probes.system`: one window of the machine, or a line each second.

It must not contain arithmetic. Trade-off: `--watch` prints figures and judges nothing, since a
second is too short for a verdict.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from infertune_probes.contract.emit import add_arguments, sinks_from
from infertune_probes.contract.session import ProbeSession
from infertune_probes.system import figures, judgement, section, watch
from infertune_probes.system.files import Files
from infertune_probes.system.look import look

# What the reading of a large node may take beyond the window; it takes a fraction of a second.
_SLACK_SECONDS = 30.0
_MOST_TOP = 50


def main(argv: list[str] | None = None) -> int:
    """Run the probe and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m infertune_probes.system")
    parser.add_argument("--window", type=_positive, default=15.0, metavar="SECONDS")
    parser.add_argument("--top", type=_top, default=10, metavar="N", help="processes per list")
    parser.add_argument("--pid", default="self", help="whose limits, group and processors count")
    parser.add_argument("--root", type=Path, default=Path("/"), help="where proc/ and sys/ stand")
    watch.add_arguments(parser)
    add_arguments(parser)
    arguments = parser.parse_args(argv)
    if arguments.pid != "self" and not arguments.pid.isdigit():
        parser.error(f"--pid {arguments.pid!r} must be a process number or 'self'")
    if arguments.watch is not None:
        return watch.run(arguments, Files(arguments.root), time.monotonic)
    deadline = arguments.window + _SLACK_SECONDS
    with ProbeSession("system", sinks_from(arguments), deadline) as session:
        files = Files(arguments.root)
        view = look(files, arguments.pid, arguments.window, time.monotonic, time.sleep)
        judged = judgement.judge(view)
        session.findings += [one.finding for one in judged]
        session.measurements += figures.measure(view)
        session.result = section.section(view, judged, arguments.top, arguments.pid)
        session.tables += section.tables(view, arguments.top)
    return session.exit_code


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        msg = f"{text!r} must be a finite number above 0"
        raise argparse.ArgumentTypeError(msg)
    return value


def _top(text: str) -> int:
    value = int(text)
    if not 1 <= value <= _MOST_TOP:
        msg = f"{text!r} must be 1 to {_MOST_TOP}"
        raise argparse.ArgumentTypeError(msg)
    return value


if __name__ == "__main__":
    raise SystemExit(main())
