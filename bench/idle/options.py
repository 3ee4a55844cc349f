"""What is asked of one run, parsed once into a frozen value.

Role: the command line. It must not know what is done with it. Its trade-off: the defaults are the
run that the documentation states, so a plain call takes its quarter of an hour.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Options:
    """One run."""

    tunings: int
    histograms: int
    settle_seconds: int
    measure_seconds: int
    step_seconds: int
    output: Path
    keep: bool


def parse(argv: Sequence[str] | None = None) -> Options:
    """Return the options; out of range ends the process with a usage message."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.idle",
        description="Measure the operator's CPU and memory while it watches stable tunings.",
    )
    parser.add_argument("--tunings", type=_positive, default=100)
    parser.add_argument(
        "--histograms",
        type=_positive,
        help="distinct histogram names among the targets; default: one for each. Targets that "
        "share one share the operator's query",
    )
    parser.add_argument("--settle-seconds", type=_positive, default=300)
    parser.add_argument("--measure-seconds", type=_positive, default=600)
    parser.add_argument("--step-seconds", type=_positive, default=30, help="between two looks")
    parser.add_argument("--output", type=Path, default=Path("reports/idle.json"))
    parser.add_argument("--keep", action="store_true", help="leave the targets in the cluster")
    given = parser.parse_args(argv)
    return Options(
        tunings=given.tunings,
        histograms=min(given.histograms or given.tunings, given.tunings),
        settle_seconds=given.settle_seconds,
        measure_seconds=given.measure_seconds,
        step_seconds=given.step_seconds,
        output=given.output,
        keep=given.keep,
    )


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        message = f"{text!r}: a whole number above zero"
        raise argparse.ArgumentTypeError(message)
    return int(text)
