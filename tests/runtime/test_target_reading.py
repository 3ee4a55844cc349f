"""What was read of a target is remembered: a tuning at rest is checked by it, and reads it once."""

from dataclasses import replace

from infertune.api.status import RolloutIntent, RolloutStatus, TuningStatus
from infertune.core.snapshot import TuningView, WatchedObjects
from infertune.runtime.cache import WatchCache, WorkloadKey, projected, view_of
from infertune.runtime.target_reading import TargetReader
from tests.fakes import cases
from tests.fakes.cases import NAMESPACE
from tests.fakes.clock import FakeClock
from tests.fakes.cluster import FakeCluster


def resting(autoscaler: str | None) -> tuple[FakeCluster, TargetReader, TuningView]:
    """Return a tuning that has written once, and a reader whose watches have shown nothing yet."""
    cluster = FakeCluster(FakeClock())
    cases.fill(cluster)
    raw = cluster.fetch_tuning(cases.TUNING)
    assert raw is not None
    intent = RolloutIntent(target_uid="uid", container="server", autoscaler=autoscaler)
    status = RolloutStatus(intent=intent).model_dump(mode="json", by_alias=True, exclude_none=True)
    view = view_of({**raw, "status": {"state": "Stable", "rollout": status}})
    cluster.calls.clear()
    return cluster, TargetReader(cluster, WatchCache(cluster)), view


def test_a_target_that_no_watch_has_shown_yet_is_read_and_kept() -> None:
    cluster, reader, tuning = resting(autoscaler=None)
    target = cluster.store.read("Deployment", NAMESPACE, "server")
    assert reader.watched(tuning) == WatchedObjects(projected(target), None)
    assert reader.watched(tuning) == WatchedObjects(projected(target), None)
    assert cluster.calls == ["fetch_target"]


def test_the_note_of_a_loan_is_kept_for_a_tuning_that_has_written_nothing() -> None:
    cluster, _, tuning = resting(autoscaler=None)
    noted = {"infertune.io/loan": "{}"}
    cluster.store.edit(
        "Deployment", NAMESPACE, "server", lambda raw: raw["metadata"].update(annotations=noted)
    )
    cache = WatchCache(cluster)
    untouched = replace(tuning, status=TuningStatus(state="Stable"))
    reader = TargetReader(cluster, cache)
    assert reader.watched(untouched) == WatchedObjects(None, None)
    raw = cluster.store.read("Deployment", NAMESPACE, "server")
    cache.keep_object(WorkloadKey(NAMESPACE, "Deployment", "server"), raw)
    assert reader.watched(untouched) == WatchedObjects(projected(raw), None)
    assert projected(raw)["metadata"]["annotations"] == noted
    assert cluster.calls == []


def test_so_is_the_autoscaler_that_was_written() -> None:
    cluster, reader, tuning = resting(autoscaler="server")
    target = cluster.store.read("Deployment", NAMESPACE, "server")
    scaler = cluster.store.read("HorizontalPodAutoscaler", NAMESPACE, "server")
    for _ in range(2):
        assert reader.watched(tuning) == WatchedObjects(projected(target), projected(scaler))
    assert cluster.calls == ["fetch_target", "list_autoscalers"]
