"""One run of a probe, from its first moment to an emitted envelope, whatever happens between.

Emit side: standard library only, Python 3.8. It must not know what is measured. A probe that is
told to stop (SIGTERM from the kubelet) still says what it has, marked partial; one that crashes
says that it crashed. Trade-off: the session is the one place where a probe's unexpected error is
turned into a finding; its traceback goes to stderr, so nothing is hidden. A deadline is first an
exception in the main thread; when that hangs in a driver, a watchdog emits and ends the process.

Exit codes: 0 nothing failed (pass, warn or an honest unknown), 1 a finding failed, 2 the probe
could not run or not finish.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from infertune_probes.contract.codes import DEADLINE_EXCEEDED, INTERRUPTED, PROBE_CRASHED
from infertune_probes.contract.emit import Sinks, emit
from infertune_probes.contract.envelope import (
    Artifact,
    Envelope,
    Finding,
    Measurement,
    Software,
)
from infertune_probes.contract.heartbeat import Heartbeat
from infertune_probes.contract.host import host_facts, image, node_name, pod_uid
from infertune_probes.contract.software import software_here

if TYPE_CHECKING:
    from types import FrameType, TracebackType

    from infertune_probes.contract.terminal import Table

EXIT_FINE = 0
EXIT_FAILED = 1
EXIT_COULD_NOT_RUN = 2
# How long the main thread may take to notice the deadline before the watchdog speaks for it.
GRACE_SECONDS = 2.0


class Stopped(BaseException):  # not an error: someone asked us to stop
    """SIGTERM or SIGINT arrived; derived from BaseException so that no probe swallows it."""


class DeadlineExceeded(Stopped):
    """The probe's own hard deadline passed."""


class CouldNotRun(Exception):  # reads as the sentence it is
    """The probe cannot do its work here; carries the finding that says why."""

    def __init__(self, finding: Finding) -> None:
        """Keep the finding that ends up in the envelope."""
        super().__init__(finding.evidence)
        self.finding = finding


def now_rfc3339() -> str:
    """Return the present time in UTC, RFC 3339 with milliseconds."""
    now = datetime.now(timezone.utc)  # noqa: UP017  # datetime.UTC is Python 3.11
    return now.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class ProbeSession:
    """Collects findings and measurements; emits exactly one envelope when the block is left.

    Use as a context manager and return `session.exit_code` afterwards. Mutable on purpose: what
    was collected before an interruption is what a partial envelope reports.
    """

    def __init__(self, probe: str, sinks: Sinks, deadline_seconds: float | None = None) -> None:
        """Start the clock; `deadline_seconds` is for everything until the block is left."""
        self.findings: list[Finding] = []
        self.measurements: list[Measurement] = []
        self.artifacts: list[Artifact] = []
        self.result: dict[str, object] | None = None
        self.tables: list[Table] = []
        self.software: Software | None = None
        self.partial = False
        self.exit_code = EXIT_COULD_NOT_RUN
        self._probe = probe
        self._sinks = sinks
        self._previous: list[tuple[int, Any]] = []
        self._started_at = now_rfc3339()
        self._crashed = False
        self._deadline_seconds = deadline_seconds
        self._speaking = threading.Lock()
        self._watchdog: threading.Timer | None = None
        self._heartbeat = Heartbeat(probe, sys.stderr, deadline_seconds)

    def __enter__(self) -> ProbeSession:  # noqa: PYI034  # Self is Python 3.11
        """Install the signal handlers."""
        if self._deadline_seconds is not None:
            self._previous.append((signal.SIGALRM, signal.signal(signal.SIGALRM, _too_late)))
            self._watchdog = threading.Timer(
                self._deadline_seconds + GRACE_SECONDS, self._speak_for_the_main_thread
            )
            self._watchdog.daemon = True
            self._watchdog.start()
            signal.setitimer(signal.ITIMER_REAL, self._deadline_seconds)
        # Last, and the kubelet's signal at the very last: what is raised in here is not yet in the
        # block, so nobody would emit.
        for number in (signal.SIGINT, signal.SIGTERM):
            self._previous.append((number, signal.signal(number, _stop)))
        self._heartbeat.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        """Turn the way the block ended into findings, emit, and set the exit code."""
        # A second SIGTERM must not cut the envelope in half, nor a late deadline.
        for number, _ in self._previous:
            signal.signal(number, signal.SIG_IGN)
        self._speaking.acquire()
        if self._watchdog is not None:
            signal.setitimer(signal.ITIMER_REAL, 0)
            self._watchdog.cancel()
        self._record_ending(error)
        self._speak()
        for handled, handler in self._previous:
            signal.signal(handled, handler)
        return True

    def _speak(self) -> None:
        self._heartbeat.stop()
        envelope = self._envelope()
        try:
            emit(envelope, self._sinks, tables=self.tables)
        except OSError as error:
            # A result that reached nobody is no result, whatever it said.
            sys.stderr.write(f"the result could not be written: {error}\n")
            self._crashed = True
        self.exit_code = self._exit_code(envelope)

    def _speak_for_the_main_thread(self) -> None:
        """Emit and end the process, unless the main thread is already on its way out."""
        if not self._speaking.acquire(blocking=False):
            return
        self._record_ending(DeadlineExceeded())
        self._speak()
        # The main thread hangs where no exception reaches it; nothing else can be ended in order.
        os._exit(self.exit_code)

    def _record_ending(self, error: BaseException | None) -> None:
        if error is None:
            return
        if isinstance(error, Stopped):
            self.partial = True
            self.findings.append(self._stopped(error))
        elif isinstance(error, CouldNotRun):
            self._crashed = True
            self.findings.append(error.finding)
        else:
            self._crashed = True
            self.partial = True
            traceback.print_exception(type(error), error, error.__traceback__)
            what = f"{type(error).__name__}: {error}"
            self.findings.append(PROBE_CRASHED.unknown(what))

    def _stopped(self, error: Stopped) -> Finding:
        if isinstance(error, DeadlineExceeded):
            return DEADLINE_EXCEEDED.unknown(f"not done within {self._deadline_seconds:g} s")
        return INTERRUPTED.unknown("the probe was told to stop before its end")

    def _envelope(self) -> Envelope:
        return Envelope(
            probe=self._probe,
            node=node_name(),
            image=image(),
            started_at=self._started_at,
            finished_at=now_rfc3339(),
            host=host_facts(),
            findings=tuple(self.findings),
            measurements=tuple(self.measurements),
            artifacts=tuple(self.artifacts),
            partial=self.partial,
            result=self.result,
            pod=pod_uid(),
            software=self.software or software_here(),
        )

    def _exit_code(self, envelope: Envelope) -> int:
        if self._crashed:
            return EXIT_COULD_NOT_RUN
        if envelope.verdict == "fail":
            return EXIT_FAILED
        return EXIT_COULD_NOT_RUN if self.partial else EXIT_FINE


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise Stopped


def _too_late(_number: int, _frame: FrameType | None) -> None:
    raise DeadlineExceeded
