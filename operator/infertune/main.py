"""Start-up: settings, adapters, runtime, handlers; nothing else.

Role: put the parts together and run until told to stop. Must not know: anything about tuning.
Trade-off: kopf's event loop stays in the main thread (signals arrive there); ticks run in threads.
"""

import asyncio
import os
import signal
import socket
import sys
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

import kopf
from prometheus_client import start_http_server

from infertune.adapters.clock import SystemClock, seconds_since_boot
from infertune.adapters.health import HealthServer
from infertune.adapters.kube.cluster import KubeCluster
from infertune.adapters.kube.connection import Connection, load_configuration, own_namespace
from infertune.adapters.kube.leases import KubeLease
from infertune.adapters.prometheus import PrometheusMetrics
from infertune.adapters.prometheus_access import Credential, PrometheusAccess
from infertune.adapters.prometheus_queries import PrometheusQueries
from infertune.adapters.telemetry import RuntimeMetrics, log_as_json, seconds_since
from infertune.core.reconcile import plan
from infertune.handlers import kopf_settings, register
from infertune.ports import Clock, Cluster, MetricsSource
from infertune.runtime.cache import WatchCache
from infertune.runtime.doorbell import Doorbell
from infertune.runtime.engine import Engine
from infertune.runtime.lease import Leadership, LeaseKeeper
from infertune.runtime.observe import Observer
from infertune.runtime.reconciler import Decide, Reconciler
from infertune.runtime.settings import Settings, SettingsError, settings_from
from infertune.runtime.slots import TrialSlots
from infertune.runtime.sweep import Sweeper

IDENTITY = "infertune"
SILENT_LOOP_SECONDS = 60.0
CLOSING_SECONDS = 0.25
# A Lease is renewed every few seconds: a request for it that takes longer has failed.
LEASE_REQUEST_SECONDS = 3.0
_BEAT_SECONDS = 5.0


@dataclass(slots=True)
class EventLoopBeat:
    """When kopf's event loop was last seen alive, and whether its watches have begun."""

    last: float = field(default_factory=time.monotonic)
    ready: bool = False

    async def keep(self, ready: asyncio.Event) -> None:
        """Note the time every few seconds."""
        while True:
            self.last = time.monotonic()
            self.ready = self.ready or ready.is_set()
            await asyncio.sleep(_BEAT_SECONDS if self.ready else 0.2)

    def problems(self) -> tuple[str, ...]:
        """Return why the loop is taken for dead; empty when it is alive."""
        silent = time.monotonic() - self.last
        return (f"the event loop is silent for {silent:.0f} s",) * (silent > SILENT_LOOP_SECONDS)

    def not_ready(self) -> tuple[str, ...]:
        """Return why there is no service yet."""
        return () if self.ready else ("the watches have not begun",)


@dataclass(frozen=True, slots=True)
class Operator:
    """The parts of one running operator."""

    settings: Settings
    engine: Engine
    bell: Doorbell

    async def watch(self, beat: EventLoopBeat, stop: Event | None = None) -> None:
        """Run kopf's watches until a signal or the stop flag ends them."""
        registry = kopf.OperatorRegistry()
        kopf.on.login(registry=registry)(login)
        register(registry, self.bell)
        ready = asyncio.Event()
        keeper = asyncio.create_task(beat.keep(ready))
        try:
            await kopf.operator(
                registry=registry,
                settings=kopf_settings(),
                # Without it kopf asks for the name of a user whom the image does not have.
                identity=IDENTITY,  # type: ignore[arg-type]  # a NewType that kopf keeps private
                standalone=True,
                clusterwide=not self.settings.namespaces,
                namespaces=self.settings.namespaces,
                ready_flag=ready,
                stop_flag=stop,
            )
        finally:
            keeper.cancel()
            if stop is not None:
                # kopf waits for the flag in a thread that the event loop waits for when it ends.
                stop.set()
            # Connections that kopf has just closed get the moment that TLS needs to say so.
            await asyncio.sleep(CLOSING_SECONDS)


def build(
    settings: Settings,
    cluster: Cluster,
    metrics: MetricsSource,
    clock: Clock,
    telemetry: RuntimeMetrics,
    decide: Decide = plan,
) -> Operator:
    """Return an operator over these adapters; nothing runs yet."""
    cache = WatchCache(cluster)
    slots = TrialSlots(settings.trial_limits)
    observer = Observer(cluster, metrics, cache, settings.installation, slots)
    reconciler = Reconciler(cluster, observer, cache, clock, telemetry, decide)
    engine = Engine(reconciler.run, cluster, cache, clock, telemetry)
    engine.housekeeping = Sweeper(cluster, cache, clock, slots).sweep
    telemetry.watch_figure(
        "infertune_queue_depth", "Keys that wait for a worker.", lambda: engine.queue.depth
    )
    telemetry.watch_figure(
        "infertune_last_reconcile_age_seconds",
        "Time since the last tick ended.",
        seconds_since(lambda: engine.last_tick),
    )
    telemetry.watch_figure(
        "infertune_watch_behind_seconds",
        "How long the watch has been behind the list.",
        lambda: engine.lag.seconds(time.monotonic()),
    )
    return Operator(settings, engine, Doorbell(cache, engine.queue.add, engine.lag.heard))


def main() -> int:
    """Run the operator until it is told to stop; return the exit status."""
    try:
        settings = settings_from(os.environ)
    except SettingsError as error:
        sys.stderr.write(f"infertune: {error}\n")
        return 2
    log_as_json(settings.log_level)
    clock, telemetry = SystemClock(), RuntimeMetrics()
    lease_connection = Connection(
        load_configuration(), pool_size=1, read_seconds=LEASE_REQUEST_SECONDS
    )
    leadership = leadership_of(settings, lease_connection, clock)
    connection = Connection(
        load_configuration(),
        pool_size=settings.workers + 2,
        counted=telemetry.asked_cluster,
        permitted=leadership.ensure,
    )
    cluster = KubeCluster(connection, clock, settings.namespaces)
    queries = PrometheusQueries(counted=telemetry.asked_prometheus, access=access_of(settings))
    metrics = PrometheusMetrics(queries)
    operator = build(settings, cluster, metrics, clock, telemetry)
    run(operator, leadership)
    connection.close()
    lease_connection.close()
    return 1 if leadership.standing == "lost" else 0


def access_of(settings: Settings) -> PrometheusAccess:
    """Return which Prometheus may be asked, and with which mounted credentials."""
    mounted = settings.prometheus_credentials
    credentials = tuple(Credential(pattern, Path(folder)) for pattern, folder in mounted)
    return PrometheusAccess(settings.prometheus_rules, credentials)


def leadership_of(settings: Settings, connection: Connection, clock: Clock) -> Leadership:
    """Return this process's side of the Lease; its name in it is used once and never again."""
    namespace = settings.lease_namespace or own_namespace()
    store = KubeLease(connection, clock, namespace, settings.lease_name)
    identity = f"{socket.gethostname()}_{uuid.uuid4().hex[:12]}"
    return Leadership(store, identity, seconds_since_boot)


def run(operator: Operator, leadership: Leadership) -> None:
    """Wait for the Lease, then run the operator's threads and watches until they end."""
    settings, beat, stop = operator.settings, EventLoopBeat(), Event()
    keeper = LeaseKeeper(leadership, stop.set)
    health = HealthServer(
        settings.health_port,
        {
            "/healthz": lambda: problems_of(operator, beat, keeper),
            "/readyz": lambda: () if leadership.standing == "waiting" else beat.not_ready(),
        },
        leadership.sentence,
    )
    health.start()
    metrics_server, _ = start_http_server(settings.metrics_port)
    for number in (signal.SIGTERM, signal.SIGINT):
        # Until kopf takes them over.
        signal.signal(number, lambda *_: stop.set())
    keeper.start()
    try:
        if keeper.wait_until_leading(stop):
            operator.engine.start(settings.workers, settings.resync_seconds)
            beat.last = time.monotonic()
            run_watches(operator, beat, stop)
    finally:
        operator.engine.stop()
        keeper.stop()
        metrics_server.shutdown()
        metrics_server.server_close()
        health.stop()


def problems_of(operator: Operator, beat: EventLoopBeat, keeper: LeaseKeeper) -> tuple[str, ...]:
    """Return why this process should be restarted; who waits has only its Lease to look after."""
    if keeper.waiting:
        return keeper.problems()
    return (*keeper.problems(), *operator.engine.problems(), *beat.problems())


def run_watches(operator: Operator, beat: EventLoopBeat, stop: Event | None = None) -> None:
    """Run kopf's event loop in this thread until it is told to stop."""
    asyncio.run(operator.watch(beat, stop))


async def login(**_: object) -> kopf.ConnectionInfo:
    """Give kopf the credentials that our own client uses, read anew each time it asks."""
    configuration = load_configuration()
    header = configuration.get_api_key_with_prefix("BearerToken") or ""
    scheme, _space, token = header.rpartition(" ")
    return kopf.ConnectionInfo(
        server=configuration.host,
        ca_path=configuration.ssl_ca_cert,
        insecure=not configuration.verify_ssl,
        username=configuration.username or None,
        password=configuration.password or None,
        scheme=scheme or None,
        token=token or None,
        certificate_path=configuration.cert_file,
        private_key_path=configuration.key_file,
    )
