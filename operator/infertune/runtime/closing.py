"""Walking an uninstallation to its end, beside the operator that still runs.

Role: look, ask, wait; at the end take the Lease and the finalizers. Must not know: when enough is
waited for (``core.closing``), who started it. Trade-off: where finalizers are taken by force the
Lease is taken first and kept, so that an operator that is slow, and not dead, stops for certain and
puts none back; it would have to be started anew by the next installation anyway.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from infertune.core.closing import Ask, Clear, Done, left_open, next_step
from infertune.core.snapshot import Key, RawObject
from infertune.ports import (
    AlreadyExists,
    ClusterError,
    Conflict,
    Gone,
    LeaseStore,
    Steering,
    TuningSource,
)

HOLDER = "infertune-uninstall"
# An operator that starts again meanwhile waits this long: by then it has been deleted.
KEPT_SECONDS = 300
LOOK_SECONDS = 1.0
# A leader renews every few seconds.
SILENT_SECONDS = 30.0
ATTEMPTS = 20
_log = logging.getLogger(__name__)


class Source(TuningSource, Steering, Protocol):
    """The tunings, and how to ask one to go back."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for whoever leads, and how long a leader goes on that lost its Lease."""

    limit_seconds: float
    leader_stops_seconds: float


class Closing:
    """One uninstallation; ``word`` tells it from any other abort."""

    def __init__(
        self,
        source: Source,
        lease: LeaseStore,
        seconds: Callable[[], float],
        sleep: Callable[[float], None],
        word: str,
    ) -> None:
        self._source = source
        self._lease = lease
        self._seconds = seconds
        self._sleep = sleep
        self._word = word
        # The first look finds another version than this one.
        self._renewed: tuple[str | None, float] = ("", 0.0)

    def run(self, patience: Patience) -> tuple[Key, ...]:
        """Return the tunings whose finalizer had to be taken; empty when all went back.

        Raises:
            ClusterError: what was left could not be cleared.
        """
        began = self._seconds()
        while True:
            waited = self._seconds() - began
            try:
                patient = waited < patience.limit_seconds and not self._nobody_leads()
                step = next_step(self._tunings(), self._word, patient=patient)
                if isinstance(step, Done):
                    return ()
                if isinstance(step, Clear):
                    break
                if isinstance(step, Ask):
                    self._ask(step)
            except ClusterError as error:
                if waited >= patience.limit_seconds:
                    raise
                _log.warning("the cluster did not answer", extra={"error": str(error)})
            self._sleep(LOOK_SECONDS)
        self._take_lease()
        self._sleep(patience.leader_stops_seconds)
        return self._clear()

    def _tunings(self) -> list[RawObject]:
        found = (self._source.fetch_tuning(key) for key in self._source.list_tunings())
        return [raw for raw in found if raw is not None]

    def _lease_version(self) -> str | None:
        record = self._lease.fetch_lease()
        return record.version if record else None

    def _nobody_leads(self) -> bool:
        version, now = self._lease_version(), self._seconds()
        if version != self._renewed[0]:
            self._renewed = (version, now)
        return now - self._renewed[1] > SILENT_SECONDS

    def _ask(self, step: Ask) -> None:
        for key in step.keys:
            _log.info("asked to go back", extra={"tuning": str(key)})
            try:
                self._source.ask_to_abort(key, self._word)
            except Gone:
                continue

    def _take_lease(self) -> None:
        for _ in range(ATTEMPTS):
            record = self._lease.fetch_lease()
            try:
                if record is None:
                    self._lease.create_lease(HOLDER, KEPT_SECONDS)
                else:
                    self._lease.replace_lease(HOLDER, KEPT_SECONDS, record)
            except (Conflict, AlreadyExists, Gone):
                continue
            return
        message = f"the Lease changed {ATTEMPTS} times while it was taken"
        raise Conflict(message)

    def _clear(self) -> tuple[Key, ...]:
        """Take every finalizer that is there now; what has gone back meanwhile has none."""
        cleared: list[Key] = []
        for _ in range(ATTEMPTS):
            step = next_step(self._tunings(), self._word, patient=False)
            if not isinstance(step, Clear):
                return tuple(cleared)
            cleared += [key for key in step.keys if self._let_go(key)]
        message = f"tunings changed {ATTEMPTS} times while their finalizers were taken"
        raise Conflict(message)

    def _let_go(self, key: Key) -> bool:
        raw = self._source.fetch_tuning(key)
        if raw is None:
            return False
        metadata = raw["metadata"]
        try:
            self._source.set_finalizer(key, str(metadata["resourceVersion"]), present=False)
        except (Conflict, Gone):
            return False
        event = left_open(raw)
        _log.warning("finalizer taken", extra={"tuning": str(key), "error": event.message})
        self._source.post_event(key, str(metadata["uid"]), event)
        return True
