"""One tick: observe, plan, execute, record, tell.

Role: the only order in which the world is read and written. Must not know: states, thresholds,
manifests. Trade-off: the first effect that fails ends the tick with the old status beside a
condition, so the next tick plans the same again instead of believing that it happened.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, cast, get_args

from infertune.api.status import TuningStatus
from infertune.core.failures import Failure, FailureName, clear_failures, record_failure
from infertune.core.loan_return import LentObject, orphaned, returned, ways_back
from infertune.core.plan import Plan
from infertune.core.release import Mark, release
from infertune.core.snapshot import Key, Snapshot, TuningView
from infertune.ports import Clock, Cluster, ClusterError, Conflict, FieldTaken, Gone
from infertune.runtime.abandoned import abandoned, told
from infertune.runtime.cache import WatchCache, workload_of
from infertune.runtime.execute import Executor
from infertune.runtime.observe import Observer
from infertune.runtime.telling import Telemetry

_log = logging.getLogger(__name__)
Decide = Callable[[Snapshot], Plan]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a tick ended, and when to look again; ``failure`` is set for ``failed`` only."""

    kind: Literal["done", "gone", "failed"]
    requeue_seconds: float | None = None
    failure: FailureName | None = None


class Reconciler:
    """Runs ticks; one object serves all workers."""

    def __init__(
        self,
        cluster: Cluster,
        observer: Observer,
        cache: WatchCache,
        clock: Clock,
        telemetry: Telemetry,
        decide: Decide,
    ) -> None:
        self._cluster = cluster
        self._observer = observer
        self._cache = cache
        self._clock = clock
        self._telemetry = telemetry
        self._decide = decide
        self._executor = Executor(cluster, telemetry)
        self._told: dict[Key, str] = {}

    def run(self, key: Key) -> Outcome:
        """Run one tick of a tuning."""
        now = self._clock.now()
        try:
            tuning = self._cache.fetch(key)
        except ClusterError as error:
            return self._failed(key, error)
        if tuning is None:
            return self._gone(key)
        version = tuning.resource_version
        try:
            self._return_loans(self._loans_before(tuning))
            snapshot = self._observer.observe(tuning, now)
            plan = self._decide(snapshot)
            for effect in plan.effects:
                version = self._executor.execute(effect, tuning, version)
        except ClusterError as error:
            self._record_failure(tuning, version, error, now)
            return self._failed(key, error)
        status = clear_failures(plan.status, now, tuning.generation)
        try:
            self._record(tuning, version, status)
        except Gone:
            self._cache.forget(key)
            self._observer.slots.release(key)
            self._telemetry.state_is(key, None)
            return Outcome("gone")
        except ClusterError as error:
            return self._failed(key, error)
        self._observer.concluded(snapshot, plan)
        self._tell(tuning, plan, status)
        return Outcome("done", plan.requeue_seconds)

    def _gone(self, key: Key) -> Outcome:
        """Give back what a tuning that is gone still holds; its values stay where they are.

        Values that were never judged keep their record, which is the only way back.
        """
        self._telemetry.state_is(key, None)
        self._observer.slots.release(key)
        marks = self._cache.marks.of(key)
        try:
            # Before the records: bounds that a rollout owns go back with its record beside them.
            self._return_loans(self._cache.loans.of(key))
            if self._was_abandoned(key, marks):
                return Outcome("gone")
            for mark in marks:
                self._executor.clear_up(release(mark), key)
                self._cache.marks.forget(mark)
        except ClusterError as error:
            return self._failed(key, error)
        return Outcome("gone")

    def _loans_before(self, tuning: TuningView) -> tuple[LentObject, ...]:
        """Return what a tuning that this one replaced has lent elsewhere; hardly ever anything."""
        loans = self._cache.loans.of(tuning.key)
        at = workload_of(tuning) if loans else None
        return orphaned(loans, tuning.uid, None if at is None else (at.kind, at.name))

    def _return_loans(self, loans: tuple[LentObject, ...]) -> None:
        """End loans that nobody answers for any more."""
        for loan in loans:
            for effect in ways_back(loan):
                self._executor.clear_up(effect, loan.key)
            self._cache.loans.forget(loan)
            self._cluster.post_event(loan.key, loan.record.tuning_uid, returned(loan))

    def _was_abandoned(self, key: Key, marks: tuple[Mark, ...]) -> bool:
        """Whether an unjudged rollout stands on a workload; told once of each tuning."""
        found = ((mark, abandoned(self._cluster, mark)) for mark in marks)
        mark, record = next(((m, r) for m, r in found if r is not None), (None, None))
        if mark is None or record is None:
            self._told.pop(key, None)
            return False
        uid = record.intent.tuning_uid
        if self._told.get(key) != uid:
            self._told[key] = uid
            self._cluster.post_event(key, uid, told(mark))
        return True

    def _record(self, tuning: TuningView, version: str, status: TuningStatus) -> None:
        if status == tuning.status:
            if version != tuning.resource_version:
                self._cache.forget(tuning.key)
            return
        body = status.model_dump(mode="json", by_alias=True, exclude_none=True)
        self._cache.put(self._cluster.record_status(tuning.key, body, version))

    def _record_failure(
        self, tuning: TuningView, version: str, error: ClusterError, now: datetime
    ) -> None:
        """Tell the failure in the status; when that fails too, the next tick tries again."""
        status = record_failure(tuning.status, failure_of(error), now, tuning.generation)
        try:
            self._record(tuning, version, status)
        except ClusterError as second:
            self._cache.forget(tuning.key)
            _log.warning(
                "failure not recorded", extra={"tuning": str(tuning.key), "error": str(second)}
            )

    def _failed(self, key: Key, error: ClusterError) -> Outcome:
        failure = failure_of(error)
        if isinstance(error, Conflict | Gone):
            self._cache.forget(key)
        # Somebody else wrote first: that is everyday life, not a warning.
        level = logging.INFO if isinstance(error, Conflict) else logging.WARNING
        _log.log(
            level,
            "tick failed",
            extra={"tuning": str(key), "failure": failure.name, "error": failure.message},
        )
        return Outcome("failed", failure=failure.name)

    def _tell(self, tuning: TuningView, plan: Plan, status: TuningStatus) -> None:
        self._telemetry.state_is(tuning.key, status.state)
        moved = status.state != tuning.status.state
        loud = plan.decision and (plan.effects or plan.events or moved)
        _log.log(
            logging.INFO if loud else logging.DEBUG,
            "decision",
            extra={
                "tuning": str(tuning.key),
                "state": tuning.status.state,
                "next_state": status.state,
                "decision": plan.decision,
                "evidence": plan.evidence,
            },
        )
        for event in plan.events:
            self._cluster.post_event(tuning.key, tuning.uid, event)


def failure_of(error: ClusterError) -> Failure:
    """Return the failure that an error stands for; the names of the port's errors are the words."""
    names = [kind.__name__ for kind in type(error).__mro__]
    name = cast("FailureName", next(name for name in names if name in get_args(FailureName)))
    if isinstance(error, FieldTaken):
        return Failure(name, str(error), error.field, error.owner)
    return Failure(name, str(error))
