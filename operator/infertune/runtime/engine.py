"""Workers, due times and the periodic look at the whole list.

Role: keep ticks running: every queued key gets one, every due key is queued, and a watch that went
silent is noticed. Must not know: what a tick decides. Trade-off: threads, because the clients
block; a tick that hangs holds one worker until its requests time out.
"""

import logging
import threading
import time
from collections.abc import Callable
from datetime import timedelta

from infertune.core.snapshot import Key
from infertune.ports import Clock, ClusterError, TuningSource
from infertune.runtime.backoff import Backoff
from infertune.runtime.cache import WatchCache
from infertune.runtime.queue import WorkQueue
from infertune.runtime.reconciler import Outcome
from infertune.runtime.schedule import Schedule
from infertune.runtime.telling import Telemetry
from infertune.runtime.watch_lag import WatchLag

_log = logging.getLogger(__name__)
SCHEDULER_STEP_SECONDS = 1.0
SILENT_SCHEDULER_SECONDS = 60.0
LONGEST_TICK_SECONDS = 900.0
SILENT_WATCH_SECONDS = 300.0
# The watches have shown what there is by then: what a dead operator left is found at once.
FIRST_RESYNC_SECONDS = 5.0
_JOIN_SECONDS = 40.0


class Engine:
    """Runs ticks until it is stopped."""

    def __init__(
        self,
        run: Callable[[Key], Outcome],
        source: TuningSource,
        cache: WatchCache,
        clock: Clock,
        telemetry: Telemetry,
    ) -> None:
        self._run = run
        self._source = source
        self._cache = cache
        self._clock = clock
        self._telemetry = telemetry
        self.queue = WorkQueue()
        self.schedule = Schedule()
        self.lag = WatchLag()
        self._backoff = Backoff()
        self._threads: list[threading.Thread] = []
        self._stopping = threading.Event()
        self._began: dict[Key, float] = {}
        self._scheduler_beat = time.monotonic()
        self.last_tick = 0.0
        self.housekeeping: Callable[[], None] = lambda: None

    def start(self, workers: int, resync_seconds: float) -> None:
        """Start the threads; they end with the process at the latest."""
        loops = [self._work] * workers + [self._keep_time]
        for number, loop in enumerate(loops):
            self._spawn(f"infertune-{loop.__name__.strip('_')}-{number}", loop)
        self._spawn("infertune-resync", lambda: self._resync_every(resync_seconds))

    def stop(self) -> None:
        """Let running ticks end, start no new ones."""
        self._stopping.set()
        self.queue.close()
        for thread in self._threads:
            thread.join(_JOIN_SECONDS)

    def tick(self, key: Key) -> None:
        """Run one tick and arrange for the next; nothing that goes wrong in it gets out."""
        began = time.monotonic()
        self._began[key] = began
        try:
            outcome = self._run(key)
        except Exception:  # noqa: BLE001  # the one tick guard: a bug must not stop the others
            _log.exception("tick crashed", extra={"tuning": str(key)})
            outcome = Outcome("failed")
        finally:
            self._began.pop(key, None)
        self.last_tick = time.time()
        self._telemetry.ticked(outcome.failure or outcome.kind, time.monotonic() - began)
        self._arrange(key, outcome)

    def enqueue_due(self) -> None:
        """Queue every key whose time has come."""
        for key in self.schedule.pop_due(self._clock.steady()):
            self.queue.add(key)

    def resync(self) -> None:
        """Compare the list of tunings with what the watches have told.

        Raises:
            ClusterError: the list cannot be read.
        """
        listed = self._source.list_tunings()
        known = self._cache.versions()
        behind = self.lag.compare(listed, known, time.monotonic())
        for key in (set(known) - set(listed)) | behind:
            self._cache.forget(key)
            self.queue.add(key)
        # Their tuning went while nobody looked: the tick of a tuning that is gone gives them back.
        held = self._cache.marks.keys() | self._cache.loans.keys()
        for key in held - set(listed):
            self.queue.add(key)

    def problems(self) -> tuple[str, ...]:
        """Return why this process should be restarted; empty when it is well."""
        now = time.monotonic()
        found: list[str] = []
        if self._threads and now - self._scheduler_beat > SILENT_SCHEDULER_SECONDS:
            found.append(f"the scheduler is silent for {now - self._scheduler_beat:.0f} s")
        dead = [t.name for t in self._threads if not t.is_alive() and not self._stopping.is_set()]
        found += [f"thread {name} has ended" for name in dead]
        oldest = min(self._began.copy().values(), default=now)
        if now - oldest > LONGEST_TICK_SECONDS:
            found.append(f"a tick runs for {now - oldest:.0f} s")
        if self.lag.seconds(now) > SILENT_WATCH_SECONDS:
            found.append(f"the watch is behind the list for {self.lag.seconds(now):.0f} s")
        return tuple(found)

    def _arrange(self, key: Key, outcome: Outcome) -> None:
        if outcome.kind == "gone":
            self._backoff.reset(key)
            self.schedule.drop(key)
            return
        if outcome.kind == "failed":
            self._schedule_in(key, self._backoff.next_delay(key, outcome.failure))
            return
        self._backoff.reset(key)
        if outcome.requeue_seconds is None:
            self.schedule.drop(key)
        else:
            self._schedule_in(key, outcome.requeue_seconds)

    def _schedule_in(self, key: Key, seconds: float) -> None:
        self.schedule.put(key, self._clock.steady() + timedelta(seconds=seconds))

    def _spawn(self, name: str, loop: Callable[[], None]) -> None:
        thread = threading.Thread(target=loop, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _work(self) -> None:
        while not self._stopping.is_set():
            key = self.queue.take()
            if key is not None:
                self.tick(key)
                self.queue.done(key)

    def _keep_time(self) -> None:
        while not self._stopping.is_set():
            self._scheduler_beat = time.monotonic()
            self.enqueue_due()
            due = self.schedule.next_due()
            wait = SCHEDULER_STEP_SECONDS
            if due is not None:
                wait = min(wait, max(0.02, (due - self._clock.steady()).total_seconds()))
            self._stopping.wait(wait)

    def _resync_every(self, seconds: float) -> None:
        wait = min(FIRST_RESYNC_SECONDS, seconds)
        while not self._stopping.wait(wait):
            wait = seconds
            try:
                self.resync()
                self.housekeeping()
            except ClusterError as error:
                _log.warning("tunings not compared", extra={"error": str(error)})
