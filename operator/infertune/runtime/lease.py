"""Who may write: one operator at a time, by a Lease.

Role: take, renew and lose a Lease, and say at any moment whether it is held. Must not know: what is
written, how a Lease is stored. Trade-off: our own hundred lines instead of the client library's
election, which runs its own loop and cannot be asked before a write. Two clocks are never
compared: a holder counts from the start of its last good renewal, a waiter from when it saw the
record change last, so the holder stops at least ``term - hold`` seconds before anyone may follow.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from infertune.ports import (
    AlreadyExists,
    ClusterError,
    Conflict,
    Gone,
    LeaseRecord,
    LeaseStore,
    Unavailable,
)

Standing = Literal["waiting", "leading", "unsure", "lost"]
SILENT_KEEPER_SECONDS = 60.0
WAKE_SECONDS = 0.5
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Terms:
    """How long a Lease lasts, how long its holder trusts it, how often each side looks."""

    term_seconds: int = 15
    hold_seconds: float = 10.0
    renew_seconds: float = 4.0
    look_seconds: float = 2.0


class Leadership:
    """One process's side of the Lease; ``step`` is called by one thread, the rest by any.

    ``seconds`` counts up steadily, also while the machine sleeps.
    """

    def __init__(
        self,
        store: LeaseStore,
        identity: str,
        seconds: Callable[[], float],
        terms: Terms | None = None,
    ) -> None:
        self._store = store
        self._identity = identity
        self._seconds = seconds
        self.terms = terms or Terms()
        self._record: LeaseRecord | None = None
        self._seen_at = 0.0
        self._held_until: float | None = None
        self._lost = False
        self._lock = threading.Lock()

    @property
    def standing(self) -> Standing:
        """Leading and unsure both hold the Lease as far as we know; only leading may write."""
        with self._lock:
            if self._lost:
                return "lost"
            if self._held_until is None:
                return "waiting"
            return "leading" if self._seconds() < self._held_until else "unsure"

    def ensure(self) -> None:
        """Return when this process may write now.

        Raises:
            Unavailable: it may not; the write is tried again when it may.
        """
        standing = self.standing
        if standing != "leading":
            message = f"nothing is written: the Lease is not held ({standing})"
            raise Unavailable(message)

    def sentence(self) -> str:
        """Return who leads, for people."""
        with self._lock:
            holder = self._record.holder if self._record else ""
        match self.standing:
            case "leading":
                return f"leading as {self._identity}"
            case "unsure":
                return "not leading: the Lease could not be renewed in time; nothing is written"
            case "lost":
                return f"not leading: {holder or 'another operator'} took the Lease; ending"
            case "waiting":
                return f"waiting: the Lease is held by {holder or 'nobody yet'}"

    def step(self) -> float:
        """Look at the Lease once and take or renew it if it may be; return when to look again.

        Raises:
            ClusterError: the Lease cannot be read or written; what was held stays held for its
                time, and the step is to be repeated.
        """
        if self._lost:
            return self.terms.look_seconds
        began = self._seconds()
        held = self._held_until is not None
        try:
            stored = self._renew() if held else self._look(began)
        except (Conflict, AlreadyExists, Gone):
            # Somebody else wrote first: the record that is known is an old one.
            self._read_again(began)
            return 0.0 if held and not self._lost else self.terms.look_seconds
        if stored is not None:
            with self._lock:
                self._record = stored
                self._held_until = began + self.terms.hold_seconds
            return self.terms.renew_seconds
        return self.terms.look_seconds

    def release(self) -> None:
        """Give the Lease back, so that the next one need not wait for it to run out."""
        with self._lock:
            record, held = self._record, self._held_until is not None and not self._lost
            self._held_until = None
        if not held or record is None:
            return
        try:
            self._store.replace_lease("", self.terms.term_seconds, record)
        except ClusterError as error:
            _log.info("lease not released", extra={"error": str(error)})

    def _renew(self) -> LeaseRecord:
        record = self._record
        assert record is not None, "what is held was written before"
        try:
            return self._store.replace_lease(self._identity, self.terms.term_seconds, record)
        except Gone:
            # Deleted by hand: whoever writes it first leads.
            return self._store.create_lease(self._identity, self.terms.term_seconds)

    def _look(self, began: float) -> LeaseRecord | None:
        found = self._store.fetch_lease()
        if found is None:
            return self._store.create_lease(self._identity, self.terms.term_seconds)
        self._note(found, began)
        if found.holder and began - self._seen_at < found.term_seconds:
            return None
        return self._store.replace_lease(self._identity, self.terms.term_seconds, found)

    def _read_again(self, began: float) -> None:
        found = self._store.fetch_lease()
        if found is not None:
            self._note(found, began)
        if self._held_until is not None and (found is None or found.holder != self._identity):
            with self._lock:
                self._lost = True

    def _note(self, found: LeaseRecord, began: float) -> None:
        with self._lock:
            if self._record is None or found.version != self._record.version:
                self._seen_at = began
            self._record = found


class LeaseKeeper:
    """A thread that keeps taking steps."""

    def __init__(self, leadership: Leadership, lost: Callable[[], None]) -> None:
        self._leadership = leadership
        self._lost = lost
        self._stopping = threading.Event()
        self._changed = threading.Condition()
        self._beat = time.monotonic()
        self._thread = threading.Thread(target=self._keep, name="infertune-lease", daemon=True)

    def start(self) -> None:
        """Begin to look at the Lease."""
        self._thread.start()

    def wait_until_leading(self, stop: threading.Event) -> bool:
        """Return True once this process leads, False when it is told to stop before."""
        with self._changed:
            while not stop.is_set():
                if self._leadership.standing == "leading":
                    return True
                self._changed.wait(WAKE_SECONDS)
        return False

    @property
    def waiting(self) -> bool:
        """Whether this process has nothing to do but wait."""
        return self._leadership.standing == "waiting"

    def problems(self) -> tuple[str, ...]:
        """Return why this process should be restarted.

        An API server that does not answer is no reason: a new process would not reach it either.
        """
        if self._leadership.standing == "lost":
            return (self._leadership.sentence(),)
        silent = time.monotonic() - self._beat
        found = f"the Lease is not looked after for {silent:.0f} s"
        return (found,) * (silent > SILENT_KEEPER_SECONDS)

    def stop(self) -> None:
        """Stop looking, and give the Lease back."""
        self._stopping.set()
        self._thread.join()
        self._leadership.release()

    def _keep(self) -> None:
        told: Standing | None = None
        while not self._stopping.is_set():
            self._beat = time.monotonic()
            try:
                pause = self._leadership.step()
            except ClusterError as error:
                _log.warning("lease not renewed or read", extra={"error": str(error)})
                pause = self._leadership.terms.look_seconds
            standing = self._leadership.standing
            if standing != told:
                _log.info(self._leadership.sentence(), extra={"standing": standing})
                told = standing
                with self._changed:
                    self._changed.notify_all()
            if standing == "lost":
                self._lost()
                return
            self._stopping.wait(pause)
