"""`python -m infertune_probes.gpu.beside`: watches the devices of a trial while its server works.

Runs beside the server until it is told to stop, and says every few seconds, as a sealed envelope in
its own log, all that it has seen since it began; the newest one counts. It asks for no device: it
sees those of the node and looks only at those that the gate wrote down. Trade-off: the course of
the last five minutes is kept, so that a long trial costs no more memory than a short one; a finding
once made stays.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from infertune_probes.contract.codes import INTERRUPTED
from infertune_probes.contract.emit import add_arguments, emit, sinks_from
from infertune_probes.contract.session import EXIT_FINE
from infertune_probes.gpu.codes import TRIAL_DEVICES_UNKNOWN
from infertune_probes.gpu.course import Course
from infertune_probes.gpu.gate import KERNEL_LOG, look
from infertune_probes.gpu.given import read_again
from infertune_probes.gpu.surroundings import survey
from infertune_probes.gpu.window import Window, watch
from infertune_probes.gpu.xid import read_kernel_log

if TYPE_CHECKING:
    from types import FrameType

    from infertune_probes.contract.emit import Sinks


class Told(BaseException):  # not an error: the server has ended, and so does the watch
    """SIGTERM arrived."""


def main(argv: list[str] | None = None) -> int:
    """Watch until told to stop; 0 always, since nothing may depend on how this ends."""
    options = _parser().parse_args(argv)
    sinks = sinks_from(options)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _told)
    course = Course(read_again(options.devices), started=time.time())
    try:
        _watch(course, options, sinks)
    except Told:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        emit(course.envelope(time.time(), INTERRUPTED), sinks)
    return EXIT_FINE


def _watch(course: Course, options: argparse.Namespace, sinks: Sinks) -> None:
    _look(course, options)
    emit(course.envelope(time.time()), sinks)
    if not course.known:
        sys.stderr.write(f"{TRIAL_DEVICES_UNKNOWN.meaning}\n")
    rounds = 0
    while options.rounds == 0 or rounds < options.rounds:
        began = time.monotonic()
        window = Window(options.interval)
        if course.known:
            for _, samples in watch(window, 0, options.deadline_seconds):
                course.heard(time.time(), samples)
                if time.monotonic() - began >= options.every:
                    _look(course, options)
                    emit(course.envelope(time.time()), sinks)
                    began, rounds = time.monotonic(), rounds + 1
                    if rounds == options.rounds:
                        return
            # The samples ended: the driver hung, or its library died.
            course.cut(window)
        time.sleep(max(0.0, options.every - (time.monotonic() - began)))
        _look(course, options)
        emit(course.envelope(time.time()), sinks)
        rounds += 1


def _look(course: Course, options: argparse.Namespace) -> None:
    sight = look(survey(options.root, os.environ), options.deadline_seconds)
    log = read_kernel_log(options.kernel_log or options.root / KERNEL_LOG)
    course.looked(sight, log, options.root / "proc")


def _told(_number: int, _frame: FrameType | None) -> None:
    raise Told


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m infertune_probes.gpu.beside")
    parser.add_argument(
        "--devices", type=Path, required=True, metavar="FILE", help="what the gate wrote down"
    )
    parser.add_argument(
        "--every", type=float, default=10.0, help="seconds between two envelopes (%(default)s)"
    )
    parser.add_argument(
        "--interval", type=float, default=1.0, help="seconds between samples (%(default)s)"
    )
    parser.add_argument("--rounds", type=int, default=0, help="end after so many (0: never)")
    parser.add_argument(
        "--deadline-seconds", type=float, default=20.0, help="per answer of the driver"
    )
    parser.add_argument("--root", type=Path, default=Path("/"), help="of the machine's files")
    parser.add_argument("--kernel-log", type=Path, help="for XID errors (ROOT/dev/kmsg)")
    add_arguments(parser)
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
