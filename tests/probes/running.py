"""Runs a probe as the operator would: a process, its exit code, its envelope."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from infertune_probes.contract.load import Envelope, parse_envelope

if TYPE_CHECKING:
    import signal


@dataclass(frozen=True, slots=True)
class Server:
    """The stub server, by the address it printed."""

    origin: str

    def url(self, path: str, key: str) -> str:
        return f"{self.origin}{path}?key={key}"

    def seen(self, key: str) -> dict[str, int]:
        with urllib.request.urlopen(self.url("/seen", key), timeout=5) as response:
            answer: dict[str, int] = json.load(response)
        return answer


@dataclass(frozen=True, slots=True)
class Ran:
    """How a probe ended, and the envelope it wrote."""

    exit_code: int
    envelope: Envelope
    stdout: str
    stderr: str

    @property
    def codes(self) -> list[str]:
        return [finding.code for finding in self.envelope.findings]


def run_probe(
    directory: Path, probe: str, *arguments: str, env: dict[str, str] | None = None
) -> Ran:
    """Run `python -m infertune_probes.<probe>` to its end and load what it wrote."""
    output = directory / "envelope.json"
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            f"infertune_probes.{probe}",
            *arguments,
            *("--output", str(output)),
            *("--termination-log", str(directory / "termination")),
        ],
        capture_output=True,
        text=True,
        timeout=30,
        env=env,
        check=False,
    )
    assert output.exists(), done.stderr
    return Ran(done.returncode, parse_envelope(output.read_bytes()), done.stdout, done.stderr)


def until_it_handles(number: signal.Signals, pid: int) -> None:
    """Wait until a process handles a signal itself (the mask SigCgt of proc(5))."""
    deadline, bit = time.monotonic() + 20, 1 << (number - 1)
    while time.monotonic() < deadline:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
        if int(status.partition("SigCgt:")[2].split()[0], 16) & bit:
            return
        time.sleep(0.05)
