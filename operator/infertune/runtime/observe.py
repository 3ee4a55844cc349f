"""Gather what one tick may read, and no more.

Role: ``needs`` to a frozen ``Snapshot``. Must not know: what is decided from it. Trade-off: parts
are read one after the other, so they are seconds apart at worst; every write checks its own
precondition again.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

from infertune.api.spec import TuningSpec
from infertune.core.autoscaling import ours_first
from infertune.core.evidence import NoData
from infertune.core.knobs import KnobProblem, find_container
from infertune.core.needs import LiveWindow, Needs, needs
from infertune.core.plan import Plan
from infertune.core.snapshot import (
    TARGET_GONE,
    Installation,
    LiveEvidence,
    RawObject,
    Slot,
    Snapshot,
    TargetView,
    TuningView,
)
from infertune.core.trial_gate import keeps_slot, waits_in_line
from infertune.ports import LiveQuery, MetricsSource, Scene
from infertune.runtime.cache import WatchCache, WatchedPods, WorkloadKey, workload_of
from infertune.runtime.config_reading import with_config_maps
from infertune.runtime.device_reading import with_device_watch
from infertune.runtime.slots import TrialSlots
from infertune.runtime.target_reading import TargetReader
from infertune.runtime.trial_world import TrialWorld

WATCH_WINDOW_SECONDS = 300
WATCH_WINDOW_SCRAPES = 8
PODS_KEPT_SECONDS = 600.0
SOON_SECONDS = 1.0
_UNIT_MILLISECONDS = {"Seconds": 1000.0, "Milliseconds": 1.0}


class Observer:
    """Reads the world for one tick."""

    def __init__(
        self,
        namespace: Scene,
        metrics: MetricsSource,
        cache: WatchCache,
        installation: Installation,
        slots: TrialSlots | None = None,
    ) -> None:
        self._namespace = namespace
        self.slots = slots or TrialSlots()
        self._world = TrialWorld(namespace)
        self._metrics = metrics
        self._cache = cache
        self._reader = TargetReader(namespace, cache)
        self._installation = installation

    def observe(self, tuning: TuningView, now: datetime) -> Snapshot:
        """Return the snapshot of this tick; a ClusterError of a read passes on."""
        wanted, slot = self._wanted(tuning, now)
        workload = workload_of(tuning)
        where = tuning.key.namespace
        target: TargetView | None = None
        autoscalers: tuple[RawObject, ...] = ()
        if workload is not None and wanted.target:
            target = self._reader.fetch_target(workload)
        if workload is not None and wanted.autoscaler:
            intent = tuning.status.rollout and tuning.status.rollout.intent
            found = self._reader.list_autoscalers(workload)
            autoscalers = ours_first(found, intent.autoscaler if intent else None)
        jobs = self._namespace.list_jobs(where, tuning.uid) if wanted.jobs else ()
        # What could pick a trial's pods matters before they are made, and costs a dozen lists.
        choosing = wanted.selectors and not any(job.role == "server" for job in jobs)
        snapshot = Snapshot(
            now=now,
            tuning=tuning,
            target=target,
            autoscaler=autoscalers[0] if autoscalers else None,
            jobs=jobs,
            selectors=self._namespace.list_selectors(where) if choosing else (),
            config_maps=self._config_maps(where, wanted),
            live=self._live(tuning, wanted, target, now),
            installation=self._installation,
            slot=slot,
            lender=self._lender(tuning) if wanted.lender else None,
            node_labels=self._world.node_labels(target, jobs, now) if wanted.surroundings else {},
            access_modes=self._world.access_modes(target, where) if choosing else {},
            rival=self._cache.rival_of(tuning),
            watched=self._reader.watched(tuning) if wanted.watch else None,
            quotas=self._namespace.list_quotas(where) if wanted.limits else (),
            budgets=self._namespace.list_budgets(where) if wanted.limits else (),
            other_autoscalers=tuple(str(raw["metadata"]["name"]) for raw in autoscalers[1:]),
            frozen=wanted.switches and self._frozen(),
        )
        snapshot = with_device_watch(self._namespace, snapshot)
        return with_config_maps(self._namespace, snapshot, wanted)

    def _wanted(self, tuning: TuningView, now: datetime) -> tuple[Needs, Slot | None]:
        """Return what to read; who only waits in the line costs the cluster nothing."""
        wanted = needs(tuning, now)
        slot = self.slots.ask(tuning.key, now) if wanted.slot else None
        waits = waits_in_line(tuning.status) and tuning.status.borrowed is None
        if slot is not None and not slot.granted and waits:
            return Needs(slot=True), slot
        return wanted, slot

    def _lender(self, tuning: TuningView) -> RawObject | None:
        """Return what lends a replica, by the record alone: the spec may be unreadable."""
        lent = tuning.status.borrowed
        assert lent is not None
        workload = WorkloadKey(tuning.key.namespace, lent.kind, lent.name)
        if lent.autoscaler is None:
            target = self._reader.fetch_target(workload)
            return None if target is None else target.raw
        for raw in self._reader.list_autoscalers(workload):
            if raw["metadata"]["uid"] == lent.autoscaler_uid:
                return raw
        return None

    def _config_maps(self, namespace: str, wanted: Needs) -> dict[str, Mapping[str, str]]:
        found = {
            name: self._namespace.fetch_config_map(namespace, name) for name in wanted.config_maps
        }
        return {name: content for name, content in found.items() if content is not None}

    def _frozen(self) -> bool:
        """Return whether an admin has frozen all rollouts; a failed read ends the tick."""
        where = self._installation.switches
        if where is None:
            return False
        content = self._namespace.fetch_config_map(where.namespace, where.name) or {}
        return content.get("freeze", "").strip().lower() == "true"

    def concluded(self, snapshot: Snapshot, plan: Plan) -> None:
        """Give the slot back once a recorded plan needs it no more."""
        goes_on = plan.requeue_seconds is not None and plan.requeue_seconds <= SOON_SECONDS
        waits = snapshot.slot is not None and not snapshot.slot.granted
        if not waits and not keeps_slot(plan.status, snapshot.jobs, goes_on=goes_on):
            self.slots.release(snapshot.tuning.key)

    def _live(
        self, tuning: TuningView, wanted: Needs, target: TargetView | None, now: datetime
    ) -> LiveEvidence | NoData | None:
        if not isinstance(tuning.spec, TuningSpec):
            return None
        if wanted.live is not None and target is not None:
            return self._judged(tuning, tuning.spec, wanted.live, target)
        return self._watched(tuning, tuning.spec, now) if wanted.watch else None

    def _judged(
        self, tuning: TuningView, spec: TuningSpec, window: LiveWindow, target: TargetView
    ) -> LiveEvidence | NoData:
        container = find_container(target.raw["spec"]["template"], spec.target_ref.container)
        if isinstance(container, KnobProblem):
            return NoData("CannotAttribute", container.message)
        if not target.revision:
            return NoData("Missing", "the current revision of the target is not known yet")
        pods = tuple(pod.name for pod in target.pods if pod.revision == target.revision)
        query = live_query(tuning, spec, window, pods, str(container["name"]))
        return self._metrics.fetch_live(query)

    def _watched(
        self, tuning: TuningView, spec: TuningSpec, now: datetime
    ) -> LiveEvidence | NoData | None:
        pods = self._pods_to_watch(tuning, now)
        if pods is None:
            return TARGET_GONE
        seconds = max(
            WATCH_WINDOW_SECONDS, WATCH_WINDOW_SCRAPES * spec.metrics.scrape_interval_seconds
        )
        window = LiveWindow(now - timedelta(seconds=seconds), now, 1)
        query = live_query(tuning, spec, window, pods, tuning.status.target.container)
        return self._metrics.fetch_watch(query)

    def _pods_to_watch(self, tuning: TuningView, now: datetime) -> tuple[str, ...] | None:
        workload = workload_of(tuning)
        if workload is None:
            return None
        known = self._cache.pods(workload, now, PODS_KEPT_SECONDS)
        if known is not None:
            return known.names
        target = self._reader.fetch_target(workload)
        if target is None:
            return None
        names = tuple(pod.name for pod in target.pods if pod.revision == target.revision)
        version = str(target.raw["metadata"]["resourceVersion"])
        self._cache.keep_pods(workload, WatchedPods(names, version, now))
        return names


def live_query(
    tuning: TuningView,
    spec: TuningSpec,
    window: LiveWindow,
    pods: tuple[str, ...],
    container: str,
) -> LiveQuery:
    """Return the question about these pods that the spec describes."""
    metrics = spec.metrics
    return LiveQuery(
        url=metrics.prometheus_url,
        histogram=metrics.histogram,
        unit_milliseconds=_UNIT_MILLISECONDS[metrics.unit],
        match_labels=tuple(sorted(metrics.match_labels.items())),
        error_label=metrics.error_label,
        error_pattern=metrics.error_pattern,
        namespace=tuning.key.namespace,
        container=container,
        pods=pods,
        window_start=window.start,
        window_end=window.end,
        slo_milliseconds=spec.slo.latency_milliseconds,
        scrape_interval_seconds=metrics.scrape_interval_seconds,
        block_requests=window.block_requests,
    )
