"""Probes on this machine, each as a process of its own.

Role: run them, pass signals on, and read what several of them wrote. Must not know: what a probe
measures. Trade-off: one after another and never side by side, since a probe that measures would
measure its neighbour too.
"""

import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from infertune.cli.probe_jobs import Progress
from infertune.report.probe_report import NodeAnswer
from infertune_probes.contract.host import node_name
from infertune_probes.contract.load import PayloadInvalid, parse_envelope


def run_here(probe: str, words: Sequence[str]) -> int:
    """Run one probe to its end and return its exit status; it prints for itself."""
    with _process(probe, words) as process:
        return _wait(process)


def ask_here(probes: Sequence[str], tell: Progress) -> list[NodeAnswer]:
    """Return what each probe found, in the order given; an interrupted one is the last."""
    answers: list[NodeAnswer] = []
    for number, probe in enumerate(probes, 1):
        tell(f"{number} of {len(probes)}: {probe}")
        with tempfile.TemporaryDirectory(prefix="infertune-") as folder:
            output = Path(folder) / "envelope.json"
            with _process(probe, ["--output", str(output)]) as process:
                status = _wait(process)
            answers.append(_read(probe, output, status))
        found = answers[-1].envelope
        if found is None or any(one.code == "INTERRUPTED" for one in found.findings):
            missing = probes[number:] if found is not None else ()
            answers += [_silent(later, "not run: stopped before") for later in missing]
            if missing:
                break
    return answers


def _read(probe: str, output: Path, status: int) -> NodeAnswer:
    try:
        return NodeAnswer(node_name(), parse_envelope(output.read_bytes()), probe=probe)
    except FileNotFoundError:
        return _silent(probe, f"it ended with status {status} and wrote no result")
    except PayloadInvalid as error:
        return _silent(probe, f"its result does not hold: {error}")


def _silent(probe: str, problem: str) -> NodeAnswer:
    return NodeAnswer(node_name(), problem=problem, probe=probe)


@contextmanager
def _process(probe: str, words: Sequence[str]) -> Iterator["subprocess.Popen[bytes]"]:
    """Start it; until it has ended, SIGTERM to us is SIGTERM to it."""
    command = [sys.executable, "-m", f"infertune_probes.{probe}", *words]
    with subprocess.Popen(command) as process:  # noqa: S603  # our own module
        before = signal.signal(signal.SIGTERM, lambda number, _: process.send_signal(number))
        try:
            yield process
        finally:
            signal.signal(signal.SIGTERM, before)


def _wait(process: "subprocess.Popen[bytes]") -> int:
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            # The probe got the same signal and is writing its partial envelope.
            continue
