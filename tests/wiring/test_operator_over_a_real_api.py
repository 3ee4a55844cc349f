"""kopf really watches, the queue really ticks, and nobody leaves a mark on the objects.

The decision is replaced by one that counts: what is tested is everything around it.
"""

import json
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from infertune.adapters.clock import SystemClock
from infertune.adapters.telemetry import RuntimeMetrics
from infertune.core.evidence import NoData
from infertune.core.plan import Plan
from infertune.core.snapshot import Installation, Key, Snapshot
from infertune.main import EventLoopBeat, build, run_watches
from infertune.runtime.settings import Settings
from tests.conformance.objects import job, target
from tests.conformance.stages import RealStage
from tests.fakes import cases
from tests.fakes.metrics import FakeMetrics

pytestmark = pytest.mark.real_api
DEADLINE_SECONDS = 20.0


@dataclass
class Counting:
    """A decision that records its snapshots and marks the generation as seen."""

    seen: list[Snapshot] = field(default_factory=list)

    def __call__(self, snapshot: Snapshot) -> Plan:
        self.seen.append(snapshot)
        status = snapshot.tuning.status
        generation = snapshot.tuning.generation
        changed = status.model_copy(update={"observed_generation": generation, "state": "Stable"})
        return Plan(changed)

    def ticks(self, key: Key) -> int:
        return sum(1 for snapshot in self.seen if snapshot.tuning.key == key)


def eventually(reached: Callable[[], bool], what: str) -> None:
    ends = time.monotonic() + DEADLINE_SECONDS
    while not reached():
        assert time.monotonic() < ends, f"{what}: not within {DEADLINE_SECONDS} s"
        time.sleep(0.05)


@dataclass
class Running:
    stage: RealStage
    decide: Counting
    engine: Any
    beat: EventLoopBeat


@pytest.fixture
def running(monkeypatch: pytest.MonkeyPatch, kubeconfig: Path) -> Iterator[Running]:
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    stage, decide, stop = RealStage(kubeconfig), Counting(), threading.Event()
    settings = Settings(Installation("probes:test"), namespaces=(stage.namespace,))
    metrics = FakeMetrics(lambda _: NoData("Missing", "no Prometheus here"))
    telemetry = RuntimeMetrics(CollectorRegistry())
    operator = build(settings, stage.cluster, metrics, SystemClock(), telemetry, decide)
    beat = EventLoopBeat()
    thread = threading.Thread(target=run_watches, args=(operator, beat, stop))
    operator.engine.start(workers=2, resync_seconds=3600)
    thread.start()
    try:
        eventually(lambda: beat.ready, "kopf is ready")
        yield Running(stage, decide, operator.engine, beat)
    finally:
        stop.set()
        thread.join(30)
        operator.engine.stop()
        stage.close()
        assert not thread.is_alive()


def test_events_ring_ticks_and_leave_no_mark(running: Running) -> None:
    """Created, changed, its target changed, its Job appeared: each gives a tick; then silence."""
    stage, decide = running.stage, running.decide
    stored = stage.add(cases.tuning())
    key = Key(stage.namespace, "demo")
    eventually(lambda: _observed(stage, stored) == 1, "the first tick records")

    settled = decide.ticks(key)
    stage.edit(stored, lambda raw: raw["spec"]["slo"].update(latencyMilliseconds=150))
    eventually(lambda: _observed(stage, stored) == 2, "a new generation is seen")

    time.sleep(1.0)
    settled = decide.ticks(key)
    deployment = stage.add(target())
    eventually(lambda: decide.ticks(key) > settled, "the target appeared")

    time.sleep(1.0)
    settled = decide.ticks(key)
    owned = stage.add(job("ours", stored, stored["metadata"]["uid"]))
    eventually(lambda: decide.ticks(key) > settled, "a Job of ours appeared")

    time.sleep(1.0)
    settled = decide.ticks(key)
    stage.add(job("foreign", None, "another-uid"))
    time.sleep(1.0)
    assert decide.ticks(key) == settled, "a foreign Job, our own status writes: no bell"

    for raw in (stored, deployment, owned):
        found = stage.read(raw)
        assert found is not None
        assert "finalizers" not in found["metadata"]
        assert not [a for a in found["metadata"].get("annotations", {}) if "kopf" in a]
        managers = {entry["manager"] for entry in found["metadata"]["managedFields"]}
        assert not [manager for manager in managers if "kopf" in manager]


def test_a_deleted_tuning_is_forgotten_and_its_successor_is_seen(running: Running) -> None:
    stage = running.stage
    stored = stage.add(cases.tuning())
    eventually(lambda: _observed(stage, stored) == 1, "the first tick records")
    stage.remove(stored)
    eventually(lambda: stage.read(stored) is None, "the tuning goes")
    eventually(lambda: len(running.engine.schedule) == 0, "nothing is due for it")
    again = stage.add(cases.tuning())
    assert again["metadata"]["uid"] != stored["metadata"]["uid"]
    eventually(lambda: _observed(stage, again) == 1, "the successor is ticked")
    assert running.engine.problems() == ()


def _observed(stage: RealStage, raw: dict[str, Any]) -> int:
    found = stage.read(raw)
    assert found is not None
    return int((found.get("status") or {}).get("observedGeneration", 0))


def test_health_and_metrics_are_served(running: Running) -> None:
    from infertune.adapters.health import HealthServer

    problems: list[str] = []
    server = HealthServer(0, {"/healthz": lambda: tuple(problems)})
    server.start()
    try:
        address = f"http://127.0.0.1:{server.port}/healthz"
        with urllib.request.urlopen(address) as answer:
            assert json.load(answer) == {"problems": []}
        problems.append("the watch is behind")
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(address)
        assert caught.value.code == 503
        caught.value.close()
    finally:
        server.stop()
