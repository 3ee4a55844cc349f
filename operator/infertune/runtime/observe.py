"""Gather what one tick may read, and no more.

Role: ``needs`` to a frozen ``Snapshot``. Must not know: what is decided from it. Trade-off: parts
are read one after the other, so they are seconds apart at worst; every write checks its own
precondition again.
"""

from datetime import datetime, timedelta

from infertune.api.spec import TuningSpec
from infertune.core.autoscaling import ours_first
from infertune.core.evidence import NoData
from infertune.core.knobs import KnobProblem, find_container
from infertune.core.needs import LiveWindow, Needs, needs
from infertune.core.snapshot import (
    Installation,
    LiveEvidence,
    RawObject,
    Snapshot,
    TargetView,
    TuningView,
)
from infertune.ports import LiveQuery, MetricsSource, Scene
from infertune.runtime.cache import WatchCache, WatchedPods, workload_of
from infertune.runtime.target_reading import TargetReader
from infertune.runtime.trial_world import TrialWorld

WATCH_WINDOW_SECONDS = 300
WATCH_WINDOW_SCRAPES = 8
PODS_KEPT_SECONDS = 600.0
_UNIT_MILLISECONDS = {"Seconds": 1000.0, "Milliseconds": 1.0}


class Observer:
    """Reads the world for one tick."""

    def __init__(
        self,
        namespace: Scene,
        metrics: MetricsSource,
        cache: WatchCache,
        installation: Installation,
    ) -> None:
        self._namespace = namespace
        self._world = TrialWorld(namespace)
        self._metrics = metrics
        self._cache = cache
        self._reader = TargetReader(namespace, cache)
        self._installation = installation

    def observe(self, tuning: TuningView, now: datetime) -> Snapshot:
        """Return the snapshot of this tick; a ClusterError of a read passes on."""
        wanted = needs(tuning, now)
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
        config_maps = {
            name: content
            for name in wanted.config_maps
            if (content := self._namespace.fetch_config_map(where, name)) is not None
        }
        return Snapshot(
            now=now,
            tuning=tuning,
            target=target,
            autoscaler=autoscalers[0] if autoscalers else None,
            jobs=jobs,
            selectors=self._namespace.list_selectors(where) if choosing else (),
            config_maps=config_maps,
            live=self._live(tuning, wanted, target, now),
            installation=self._installation,
            node_labels=self._world.node_labels(target, jobs, now) if wanted.surroundings else {},
            access_modes=self._world.access_modes(target, where) if choosing else {},
            rival=self._cache.rival_of(tuning),
            watched=self._reader.watched(tuning) if wanted.watch else None,
            quotas=self._namespace.list_quotas(where) if wanted.limits else (),
            budgets=self._namespace.list_budgets(where) if wanted.limits else (),
            other_autoscalers=tuple(str(raw["metadata"]["name"]) for raw in autoscalers[1:]),
            frozen=wanted.switches and self._frozen(),
        )

    def _frozen(self) -> bool:
        """Return whether an admin has frozen all rollouts; a failed read ends the tick."""
        where = self._installation.switches
        if where is None:
            return False
        content = self._namespace.fetch_config_map(where.namespace, where.name) or {}
        return content.get("freeze", "").strip().lower() == "true"

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
            return None
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
