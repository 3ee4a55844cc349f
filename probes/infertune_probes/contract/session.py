"""One run of a probe, from its first moment to an emitted envelope, whatever happens between.

Emit side: standard library only, Python 3.8. It must not know what is measured. A probe that is
told to stop (SIGTERM from the kubelet) still says what it has, marked partial; one that crashes
says that it crashed. Trade-off: the session is the one place where a probe's unexpected error is
turned into a finding; its traceback goes to stderr, so nothing is hidden.

Exit codes: 0 nothing failed (pass, warn or an honest unknown), 1 a finding failed, 2 the probe
could not run or not finish.
"""

from __future__ import annotations

import signal
import traceback
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from infertune_probes.contract.emit import Sinks, emit
from infertune_probes.contract.envelope import (
    Artifact,
    Envelope,
    Finding,
    Measurement,
)
from infertune_probes.contract.host import host_facts, image, node_name, pod_uid

if TYPE_CHECKING:
    from types import FrameType, TracebackType

EXIT_FINE = 0
EXIT_FAILED = 1
EXIT_COULD_NOT_RUN = 2


class Stopped(BaseException):  # not an error: someone asked us to stop
    """SIGTERM or SIGINT arrived; derived from BaseException so that no probe swallows it."""


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

    def __init__(self, probe: str, sinks: Sinks) -> None:
        """Start the clock."""
        self.findings: list[Finding] = []
        self.measurements: list[Measurement] = []
        self.artifacts: list[Artifact] = []
        self.result: dict[str, object] | None = None
        self.partial = False
        self.exit_code = EXIT_COULD_NOT_RUN
        self._probe = probe
        self._sinks = sinks
        self._previous: list[tuple[int, Any]] = []
        self._started_at = now_rfc3339()
        self._crashed = False

    def __enter__(self) -> ProbeSession:  # noqa: PYI034  # Self is Python 3.11
        """Install the signal handlers."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self._previous.append((number, signal.signal(number, _stop)))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        """Turn the way the block ended into findings, emit, and set the exit code."""
        # A second SIGTERM must not cut the envelope in half.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        self._record_ending(error)
        envelope = self._envelope()
        emit(envelope, self._sinks)
        self.exit_code = self._exit_code(envelope)
        for handled, handler in self._previous:
            signal.signal(handled, handler)
        return True

    def _record_ending(self, error: BaseException | None) -> None:
        if error is None:
            return
        if isinstance(error, Stopped):
            self.partial = True
            self.findings.append(
                Finding("INTERRUPTED", "unknown", "the probe was told to stop before its end")
            )
        elif isinstance(error, CouldNotRun):
            self._crashed = True
            self.findings.append(error.finding)
        else:
            self._crashed = True
            self.partial = True
            traceback.print_exception(type(error), error, error.__traceback__)
            what = f"{type(error).__name__}: {error}"
            self.findings.append(
                Finding("PROBE_CRASHED", "unknown", what, "the traceback is in the probe's log")
            )

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
        )

    def _exit_code(self, envelope: Envelope) -> int:
        if self._crashed:
            return EXIT_COULD_NOT_RUN
        if envelope.verdict == "fail":
            return EXIT_FAILED
        return EXIT_COULD_NOT_RUN if self.partial else EXIT_FINE


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise Stopped
