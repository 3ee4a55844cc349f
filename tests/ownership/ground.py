"""The ground of these tests: the whole operator over a real API server, a rollout, other hands.

Role: run the operator with kopf's real watches on one namespace, bring a tuning to Stable, and let
other tools work on its target. Trade-off: the search needs a node, so the tuning begins with the
intent already recorded, as one does whose operator was started anew; live traffic is made up, and
the clock runs faster than the day so that a verdict takes seconds.
"""

import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry

from devcluster.binaries import cache_folder
from devcluster.settings import current
from infertune.adapters.kube.cluster import KubeCluster
from infertune.adapters.kube.connection import Connection, Request, load_configuration
from infertune.adapters.kube.paths import object_path
from infertune.adapters.telemetry import RuntimeMetrics
from infertune.api.conditions import first_conditions
from infertune.api.status import (
    BatchPlace,
    Bounds,
    Configuration,
    RolloutIntent,
    RolloutStatus,
    TargetFacts,
    TemplateValues,
    TuningStatus,
)
from infertune.api.v1alpha1 import parse_spec
from infertune.core.adoption import owners_before
from infertune.core.snapshot import Installation, Key
from infertune.core.trial_basis import spec_digest
from infertune.main import EventLoopBeat, build, run_watches
from infertune.runtime import engine
from infertune.runtime.settings import Settings
from tests.conformance.stages import RealStage
from tests.fakes import cases
from tests.fakes.metrics import FakeMetrics, steady

CHART = Path(__file__).parent / "chart"
FASTER = 20.0
DEADLINE_SECONDS = 60.0
Raw = dict[str, Any]


class FastClock:
    """The day's time, running faster from the moment the clock was made."""

    def __init__(self) -> None:
        self._began, self._start = time.monotonic(), datetime.now(UTC)

    def now(self) -> datetime:
        return self._start + timedelta(seconds=FASTER * (time.monotonic() - self._began))

    def steady(self) -> datetime:
        return self.now()


def hasten(monkeypatch: pytest.MonkeyPatch, kubeconfig: Path) -> None:
    """Let an operator of this process find the cluster, and look as often as its clock is fast."""
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    monkeypatch.setattr(engine, "SCHEDULER_STEP_SECONDS", engine.SCHEDULER_STEP_SECONDS / FASTER)
    # Its watches are as slow as ever, and have to have shown what there is.
    monkeypatch.setattr(engine, "FIRST_RESYNC_SECONDS", 2.0)


class CountingConnection(Connection):
    """Counts our server-side applies by kind: what a fight would show in."""

    applied: list[str]

    def send(self, request: Request) -> Any:
        if request.method == "PATCH" and "apply-patch" in request.content_type:
            self.applied.append(request.path.split("/")[-2])
        return super().send(request)


class Ground:
    """One namespace with an operator of its own; its target is of one kind."""

    kind = "Deployment"

    def __init__(self, kubeconfig: Path, stage: RealStage | None = None) -> None:
        self.kubeconfig = kubeconfig
        self._stage = stage or RealStage(kubeconfig)
        self.namespace = self._stage.namespace
        self.key = Key(self.namespace, "demo")
        self.connection = CountingConnection(load_configuration(str(kubeconfig)))
        self.connection.applied = []
        self._stop, self._thread, self._engine = threading.Event(), None, None

    def close(self) -> None:
        self.stop()
        self.connection.close()
        self._stage.close()

    def stop(self) -> None:
        """End the operator as a killed pod ends; its objects stay."""
        if self._thread is None:
            return
        self._stop.set()
        self._thread.join(30)
        self._engine.stop()
        assert not self._thread.is_alive()
        self._thread = None

    def start(self) -> None:
        """Start an operator over what the cluster holds."""
        clock, self._stop = FastClock(), threading.Event()
        cluster = KubeCluster(self.connection, clock, (self.namespace,))
        settings = Settings(Installation("probes:test"), namespaces=(self.namespace,))
        metrics = FakeMetrics(lambda query: steady(query, 50.0, 100_000.0))
        telemetry = RuntimeMetrics(CollectorRegistry())
        operator = build(settings, cluster, metrics, clock, telemetry)
        beat = EventLoopBeat()
        self._engine = operator.engine
        self._thread = threading.Thread(target=run_watches, args=(operator, beat, self._stop))
        operator.engine.start(workers=2, resync_seconds=3600)
        self._thread.start()
        self.until(lambda: beat.ready, "kopf is ready")

    def run(self, *command: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a tool beside us on the namespace."""
        return subprocess.run(
            [str(part) for part in command],
            env={"KUBECONFIG": str(self.kubeconfig), "HOME": str(self.kubeconfig.parent)},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    def kubectl(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return self.run(program("kubectl"), "-n", self.namespace, *arguments)

    def target(self) -> Raw:
        return self._read("apps/v1", self.kind)

    def autoscaler(self) -> Raw:
        return self._read("autoscaling/v2", "HorizontalPodAutoscaler")

    def batch(self) -> str:
        container = self.target()["spec"]["template"]["spec"]["containers"][0]
        found = [entry["value"] for entry in container["env"] if entry["name"] == "MAX_BATCH_SIZE"]
        return str(found[0])

    def bounds(self) -> tuple[int, int]:
        spec = self.autoscaler()["spec"]
        return spec["minReplicas"], spec["maxReplicas"]

    def owners(self, part: str) -> set[str]:
        """Return the managers of the batch cap, or of the upper bound."""
        raw = self.target() if part == "batch" else self.autoscaler()
        return {
            entry["manager"]
            for entry in raw["metadata"]["managedFields"]
            if not entry.get("subresource") and _owns(entry["fieldsV1"], part)
        }

    def status(self) -> TuningStatus:
        raw = self._read("infertune.io/v1alpha1", "InferenceTuning", "demo")
        return TuningStatus.model_validate(raw.get("status") or {})

    def condition(self, name: str) -> tuple[str, str, str]:
        found = next(c for c in self.status().conditions if c.type == name)
        return found.status, found.reason, found.message

    def begin(self, **spec: Any) -> None:
        """Record a tuning whose rollout has just been decided: 1 to 16, 1-2 replicas to 2-4."""
        raw = cases.tuning(mode="Apply", **({"rollout": {"warmupSeconds": 0}} | spec))
        raw["spec"]["metrics"]["scrapeIntervalSeconds"] = 1
        raw["spec"]["targetRef"]["kind"] = self.kind
        stored = self._stage.add(raw)
        parsed, target, scaler = parse_spec(stored["spec"]), self.target(), self.autoscaler()
        intent = RolloutIntent(
            id="abcdef012345",
            target_kind=self.kind,
            target_name="server",
            target_uid=target["metadata"]["uid"],
            container="server",
            place=BatchPlace(env="MAX_BATCH_SIZE"),
            before=TemplateValues(batch_value=self.batch()),
            after=TemplateValues(batch_value="16"),
            autoscaler="server",
            autoscaler_uid=scaler["metadata"]["uid"],
            bounds_before=Bounds(min_replicas=1, max_replicas=self.bounds()[1]),
            bounds_after=Bounds(min_replicas=2, max_replicas=4),
            tuning_name="demo",
            tuning_uid=stored["metadata"]["uid"],
            baseline=Configuration(batch_size=1, image="server:1"),
        )
        owners = owners_before(intent, target, scaler)
        intent = intent.model_copy(update={"owners_before": owners})
        now = datetime.now(UTC)
        status = TuningStatus(
            observed_generation=stored["metadata"]["generation"],
            state="Applying",
            conditions=first_conditions(now, 1),
            target=TargetFacts(
                kind=self.kind,
                name="server",
                uid=intent.target_uid,
                container="server",
                autoscaler="server",
                autoscaler_uid=intent.autoscaler_uid,
            ),
            rollout=RolloutStatus(intent=intent, started_at=now, seen_at=now),
            spec_digest=spec_digest(parsed),
        )
        body = status.model_dump(mode="json", by_alias=True, exclude_none=True)
        version = stored["metadata"]["resourceVersion"]
        self._stage.cluster.record_status(self.key, body, version)

    def tune(self, **spec: Any) -> None:
        """Bring the tuning to Stable with a real operator."""
        self.begin(**spec)
        self.start()
        self.rests("Stable")
        assert (self.batch(), self.bounds()) == ("16", (2, 4))
        self.until(lambda: not self._finalizers(), "the rollout is closed")

    def rests(self, state: str) -> None:
        self.until(lambda: self.status().state == state, f"the tuning is {state}")

    def until(self, reached: Callable[[], bool], what: str) -> None:
        ends = time.monotonic() + DEADLINE_SECONDS
        while not reached():
            assert time.monotonic() < ends, f"not in {DEADLINE_SECONDS} s: {what}"
            time.sleep(0.1)

    def stays(self, seconds: float, holds: Callable[[], bool]) -> None:
        """Watch for a while that something does not change."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            assert holds()
            time.sleep(0.1)

    def delete(self) -> None:
        path = object_path("infertune.io/v1alpha1", "InferenceTuning", self.namespace, "demo")
        self._stage.cluster._connection.send(Request("DELETE", path))

    def edit(self, change: Callable[[Raw], None]) -> None:
        """Let the user change the tuning's spec."""
        raw = self._read("infertune.io/v1alpha1", "InferenceTuning", "demo")
        self._stage.edit(raw, lambda live: change(live["spec"]))

    def apply_as(self, manager: str, documents: Sequence[Mapping[str, Any]]) -> None:
        """Apply by force as a GitOps controller does at each of its rounds."""
        for document in documents:
            path = object_path(
                document["apiVersion"],
                document["kind"],
                self.namespace,
                document["metadata"]["name"],
            )
            query = (("fieldManager", manager), ("force", "true"))
            kind = "application/apply-patch+yaml"
            self._stage.cluster._connection.send(Request("PATCH", path, query, document, kind))

    def tuning(self) -> Raw:
        """Return the tuning; Gone when it was deleted."""
        return self._read("infertune.io/v1alpha1", "InferenceTuning", "demo")

    def _finalizers(self) -> list[str]:
        return list(self.tuning()["metadata"].get("finalizers") or ())

    def _read(self, version: str, kind: str, name: str = "server") -> Raw:
        path = object_path(version, kind, self.namespace, name)
        return dict(self._stage.cluster._connection.get(path))


def program(name: str) -> Path:
    """Return a program of the development cluster."""
    return cache_folder(current()) / name


def documents(batch: str = "1", kind: str = "Deployment") -> list[Raw]:
    """Return the chart's objects as a person would write them down, or keep them in Git."""
    text = (CHART / "templates" / "server.yaml").read_text().replace("Deployment", kind)
    values = {
        "{{ .Values.batch | quote }}": f'"{batch}"',
        "{{ .Values.logLevel | quote }}": '"info"',
        "{{ .Values.minReplicas }}": "1",
        "{{ .Values.maxReplicas }}": "2",
        "{{ .Release.Name }}": "server",
    }
    for name, value in values.items():
        text = text.replace(name, value)
    return list(yaml.safe_load_all(text))


def _owns(fields: Mapping[str, Any], part: str) -> bool:
    if part != "batch":
        return "f:maxReplicas" in fields.get("f:spec", {})
    node: Any = fields
    path = ("f:spec", "f:template", "f:spec", "f:containers", 'k:{"name":"server"}', "f:env")
    for key in (*path, 'k:{"name":"MAX_BATCH_SIZE"}', "f:value"):
        node = node.get(key)
        if node is None:
            return False
    return True
