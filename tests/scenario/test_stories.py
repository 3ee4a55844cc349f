"""The loop over fakes, end to end: what the target holds when the story is over.

The server carries 20, 40 or 60 requests/s with a batch cap of 1, 4 or 16. The promise is a P95 of
200 ms, which holds up to 85 % of that; the peak is 60. So a cap of 16 carries 30 (two replicas),
and bounds of 1-3 leave the autoscaler its tolerance. It starts with a cap of 1 and bounds of 2-2.
"""

import json
from typing import Any

import pytest

from infertune.core.evidence import NoData
from infertune.core.snapshot import LiveEvidence
from infertune.ports import LiveQuery
from tests.fakes import envelopes
from tests.fakes.cases import FASTER_IMAGE, IMAGE, NAMESPACE, served_p95
from tests.fakes.controllers import World
from tests.fakes.metrics import steady
from tests.scenario.stories import LIVE_RATE, Stage

BEFORE = (IMAGE, "1")
TUNED = (IMAGE, "16")
QUALITY = {"quality": {"goldenConfigMap": "golden"}}
KNOBS_WITH_IMAGE = {
    "batchSize": {"env": "MAX_BATCH_SIZE", "values": [1, 4, 16]},
    "replicas": {"min": 1, "max": 6},
    "images": [FASTER_IMAGE],
}
QUICK = {"warmupSeconds": 5, "applyTimeoutSeconds": 120}


def slow_once_tuned(query: LiveQuery, stage: Stage) -> LiveEvidence | NoData:
    """Traffic that is fine today and breaks the promise with any other batch cap."""
    return steady(query, 150.0 if stage.values() == BEFORE else 900.0, LIVE_RATE)


def verifying(**spec: Any) -> Stage:
    """Return a stage at the point where the change is live and not judged yet."""
    stage = Stage(mode="Apply", **spec)
    stage.until("Verifying")
    assert stage.values() == TUNED
    return stage


def with_golden(**spec: Any) -> Stage:
    stage = Stage(**spec)
    stage.cluster.store.add(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"namespace": NAMESPACE, "name": "golden"},
            "data": {"golden.json": "[]"},
        }
    )
    return stage


def test_apply_finds_the_cheapest_configuration_writes_it_and_verifies_it() -> None:
    stage = Stage(mode="Apply")
    stage.settle()
    status = stage.status()
    assert (stage.state(), stage.values(), stage.bounds()) == ("Stable", TUNED, (1, 3))
    assert stage.jobs() == []
    assert status.recommendation is not None
    assert status.recommendation.configuration.batch_size == 16
    assert stage.conditions()["Applied"] == ("True", "RolledOut")
    assert stage.conditions()["Verified"] == ("True", "PromiseKept")
    record = json.loads(stage.annotations()["infertune.io/last-good"])
    assert (record["state"], record["intent"]["before"]) == ("Settled", {"batchValue": "1"})
    assert (
        stage.cluster.store.read("InferenceTuning", *stage.place())["metadata"]["finalizers"] == []
    )


def test_recommend_changes_nothing_on_target_and_autoscaler() -> None:
    stage = Stage(mode="Recommend")
    target = stage.target()["spec"]
    stage.settle()
    assert (stage.state(), stage.bounds()) == ("Stable", (2, 2))
    assert stage.target()["spec"] == target
    assert stage.annotations() == {}
    assert "apply_fields" not in stage.cluster.writes
    assert stage.conditions()["Applied"] == ("False", "RecommendOnly")
    (published,) = stage.cluster.store.all("ConfigMap")
    patch = json.loads(published["data"]["patch.json"])
    assert patch["spec"]["template"]["spec"]["containers"] == [
        {"env": [{"name": "MAX_BATCH_SIZE", "value": "16"}], "image": IMAGE, "name": "server"}
    ]


def test_a_promise_that_nothing_keeps_gets_an_honest_answer_and_no_change() -> None:
    stage = Stage(mode="Apply", slo={"percentile": 95, "latencyMilliseconds": 25})
    stage.settle()
    assert (stage.state(), stage.values(), stage.bounds()) == ("Stable", BEFORE, (2, 2))
    assert stage.conditions()["SLOAchievable"] == ("False", "Unreachable")
    assert stage.message("SLOAchievable").startswith("P95 <= 25 ms cannot be kept: best is ")
    assert "apply_fields" not in stage.cluster.writes


def test_an_image_that_answers_wrongly_is_out_however_fast() -> None:
    wrong = World(served_p95, quality=lambda image: (1, 2) if image == FASTER_IMAGE else (2, 2))
    stage = with_golden(mode="Apply", world=wrong, knobs=KNOBS_WITH_IMAGE, **QUALITY)
    stage.settle()
    refused = [t for t in stage.status().trials if t.candidate.image == FASTER_IMAGE]
    assert [(t.phase, t.reason, t.levels) for t in refused] == [("Failed", "QualityFailed", ())]
    assert (stage.state(), stage.values()) == ("Stable", TUNED)


def test_an_image_that_answers_right_is_applied() -> None:
    right = World(served_p95, quality=lambda _: (2, 2))
    stage = with_golden(mode="Apply", world=right, knobs=KNOBS_WITH_IMAGE, **QUALITY)
    stage.settle()
    assert (stage.state(), stage.values()) == ("Stable", (FASTER_IMAGE, "16"))
    assert stage.conditions()["Verified"] == ("True", "PromiseKept")


def test_an_image_without_a_quality_check_is_recommended_and_not_applied() -> None:
    stage = Stage(mode="Apply", knobs=KNOBS_WITH_IMAGE)
    stage.settle()
    recommendation = stage.status().recommendation
    assert recommendation is not None
    assert recommendation.image_only_recommended == FASTER_IMAGE
    assert stage.values()[0] == IMAGE


def test_required_gpu_stops_before_any_trial_where_there_is_none() -> None:
    stage = Stage(mode="Apply", probes={"gpuCheck": "Required"})
    stage.settle()
    assert (stage.state(), stage.values()) == ("Halted", BEFORE)
    assert stage.conditions()["ProbesHealthy"] == ("False", "ProbeFailed")
    assert stage.status().trials == ()
    assert stage.jobs() == []


def test_a_gpu_that_is_there_and_healthy_lets_the_search_begin() -> None:
    def healthy(node: str, now: Any) -> Any:
        return envelopes.envelope("gpu", node, now, [envelopes.finding("GPU_PRESENT", "pass")])

    stage = Stage(probes={"gpuCheck": "Required"}, world=World(served_p95, gpu=healthy))
    stage.settle()
    assert stage.state() == "Stable"
    assert stage.conditions()["ProbesHealthy"] == ("True", "ProbesDone")


def test_live_traffic_that_breaks_the_promise_brings_exactly_the_old_values_back() -> None:
    stage = Stage(mode="Apply")
    stage.live = lambda query: slow_once_tuned(query, stage)
    before = stage.target()["spec"]
    stage.until("Verifying")
    assert stage.values() == TUNED
    stage.settle()
    assert (stage.state(), stage.bounds(), stage.annotations()) == ("Halted", (2, 2), {})
    assert stage.target()["spec"] == before
    rollout = stage.status().rollout
    assert rollout is not None
    assert rollout.verdict == "Fail"
    assert stage.conditions()["Verified"] == ("False", "PromiseBroken")
    assert stage.conditions()["Stalled"] == ("True", "RolledBack")


def test_an_entry_that_was_absent_is_absent_again_after_the_way_back() -> None:
    stage = Stage(mode="Apply", batch=None)
    stage.live = lambda query: steady(
        query, 150.0 if stage.values()[1] is None else 900.0, LIVE_RATE
    )
    before = stage.target()["spec"]
    stage.settle()
    assert stage.state() == "Halted"
    assert stage.target()["spec"] == before


@pytest.mark.parametrize(
    ("wish", "state", "values"),
    [("Rollback", "Halted", BEFORE), ("Keep", "Stable", TUNED)],
)
def test_no_verdict_in_time_ends_as_the_user_wishes(
    wish: str, state: str, values: tuple[str, str]
) -> None:
    stage = Stage(mode="Apply", rollout=QUICK | {"onInconclusive": wish})

    def silent_once_tuned(query: LiveQuery) -> LiveEvidence | NoData:
        if stage.values() == BEFORE:
            return steady(query, 150.0, LIVE_RATE)
        return NoData("Unavailable", "Prometheus does not answer")

    stage.live = silent_once_tuned
    stage.settle()
    assert (stage.state(), stage.values()) == (state, values)
    assert stage.conditions()["Verified"] == ("Unknown", "Inconclusive")
    assert stage.conditions()["MetricsAvailable"] == ("False", "Unavailable")


def test_a_rollout_that_does_not_complete_in_time_goes_back() -> None:
    stage = Stage(mode="Apply")
    stage.until("Applying")
    stage.world.startup_seconds = 10_000.0
    stage.harness.until(lambda: stage.values() == TUNED)
    stage.until("RollingBack")
    stage.world.startup_seconds = 2.0
    stage.settle()
    assert (stage.state(), stage.values(), stage.bounds()) == ("Halted", BEFORE, (2, 2))
    assert "is not complete after" in stage.message("Applied")


def test_a_field_that_a_human_takes_while_applying_is_theirs() -> None:
    stage = Stage(mode="Apply")
    stage.until("Applying")
    stage.set_batch("7")
    stage.settle()
    applied = stage.cluster.writes.count("apply_fields")
    for _ in range(60):
        stage.harness.step(10.0)
    assert (stage.state(), stage.values()) == ("Halted", (IMAGE, "7"))
    assert stage.conditions()["FieldConflict"] == ("True", "FieldTaken")
    assert stage.cluster.writes.count("apply_fields") == applied


def test_a_field_that_a_human_takes_while_verifying_is_theirs_and_nothing_is_called_verified() -> (
    None
):
    stage = verifying()
    stage.set_batch("7")
    stage.settle()
    assert (stage.state(), stage.values()) == ("Halted", (IMAGE, "7"))
    assert stage.conditions()["FieldConflict"] == ("True", "FieldTaken")
    assert stage.conditions()["Verified"] == ("Unknown", "Verifying")


def test_bounds_that_a_human_raised_stay_and_the_template_goes_back_all_the_same() -> None:
    stage = verifying()
    stage.cluster.store.edit(
        "HorizontalPodAutoscaler",
        NAMESPACE,
        "server",
        lambda raw: raw["spec"].update(maxReplicas=9),
        "kubectl-edit",
    )
    stage.live = lambda query: slow_once_tuned(query, stage)
    stage.settle()
    assert (stage.state(), stage.values(), stage.bounds()) == ("Halted", BEFORE, (1, 9))
    assert stage.conditions()["FieldConflict"] == ("True", "FieldTaken")


def test_an_autoscaler_that_was_replaced_does_not_keep_the_template_from_going_back() -> None:
    stage = verifying()
    place = ("HorizontalPodAutoscaler", NAMESPACE, "server")
    found = stage.cluster.store.read(*place)
    stage.cluster.store.delete(*place)
    stage.cluster.store.add(
        {name: found[name] for name in ("apiVersion", "kind", "spec")}
        | {"metadata": {"namespace": NAMESPACE, "name": "server"}}
    )
    stage.live = lambda query: slow_once_tuned(query, stage)
    stage.settle()
    assert (stage.state(), stage.values(), stage.bounds()) == ("Halted", BEFORE, (1, 3))


def test_a_spec_edited_while_searching_starts_anew_and_leaves_no_old_job() -> None:
    stage = Stage(mode="Apply")
    stage.until("Searching")
    stage.harness.until(lambda: len(stage.jobs()) == 2)
    old = set(stage.jobs())
    stage.edit_spec(lambda spec: spec["slo"].update(latencyMilliseconds=210))
    stage.harness.step()
    assert stage.status().observed_generation == 2
    assert stage.status().trials == ()
    assert not old & set(stage.jobs())
    stage.settle()
    assert (stage.state(), stage.values()) == ("Stable", TUNED)


def test_a_spec_edited_while_verifying_goes_back_first_by_the_knob_of_the_old_spec() -> None:
    stage = verifying()
    stage.edit_spec(lambda spec: spec["knobs"]["batchSize"].update(env="OTHER_NAME", values=[2, 3]))
    stage.until("RollingBack")
    stage.until("Probing")
    container = stage.target()["spec"]["template"]["spec"]["containers"][0]
    assert container["env"] == [
        {"name": "LOG_LEVEL", "value": "info"},
        {"name": "MAX_BATCH_SIZE", "value": "1"},
    ]
    stage.until("Searching")
    assert stage.status().observed_generation == 2


def test_a_second_generation_keeps_what_the_first_one_wrote() -> None:
    """The image and the cap are ours by now; an apply without them would delete them."""
    right = World(served_p95, quality=lambda _: (2, 2))
    stage = with_golden(mode="Apply", world=right, knobs=KNOBS_WITH_IMAGE, **QUALITY)
    stage.settle()
    assert stage.values() == (FASTER_IMAGE, "16")

    def only_another_entry(spec: dict[str, Any]) -> None:
        spec["knobs"] = {
            "batchSize": {"env": "THREADS", "values": [2]},
            "replicas": {"min": 1, "max": 6},
        }
        spec["demand"]["peakRequestsPerSecond"] = 200

    stage.world.serve = lambda container, rate: (
        100.0 if any(e["name"] == "THREADS" for e in container["env"]) else 190 * rate / 40.0
    )
    stage.edit_spec(only_another_entry)
    stage.until("Verifying")
    container = stage.target()["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == FASTER_IMAGE
    assert {entry["name"]: entry["value"] for entry in container["env"]} == {
        "LOG_LEVEL": "info",
        "MAX_BATCH_SIZE": "16",
        "THREADS": "2",
    }


@pytest.mark.parametrize("state", ["Probing", "Searching"])
def test_a_tuning_deleted_while_it_measures_leaves_nothing_behind(state: str) -> None:
    stage = Stage(mode="Apply")
    stage.until(state)
    stage.harness.until(lambda: stage.jobs() != [])
    stage.delete()
    for _ in range(5):
        stage.harness.step()
    assert (stage.state(), stage.jobs(), stage.values()) == ("gone", [], BEFORE)
    assert stage.cluster.store.all("ConfigMap") == []


@pytest.mark.parametrize("state", ["Applying", "Verifying"])
def test_a_tuning_deleted_during_a_rollout_goes_back_before_it_goes(state: str) -> None:
    stage = Stage(mode="Apply")
    before = stage.target()["spec"]
    stage.until(state)
    stage.harness.step()
    stage.delete()
    stage.until("gone")
    assert (stage.bounds(), stage.annotations(), stage.jobs()) == ((2, 2), {}, [])
    assert stage.target()["spec"] == before


def test_a_target_that_vanishes_while_verifying_is_not_created_anew() -> None:
    stage = verifying()
    stage.cluster.store.delete("Deployment", NAMESPACE, "server")
    stage.live = lambda _: NoData("Missing", "no pods")
    stage.settle()
    assert stage.state() == "Halted"
    assert stage.cluster.store.find("Deployment", NAMESPACE, "server") is None
    assert stage.conditions()["Stalled"] == ("True", "TargetMissing")


def test_a_server_that_crashes_with_large_batches_is_not_what_is_applied() -> None:
    def out_of_memory(container: Any) -> str | None:
        found = {e["name"]: e["value"] for e in container["env"]}
        return "OOMKilled" if found["MAX_BATCH_SIZE"] == "16" else None

    stage = Stage(mode="Apply", world=World(served_p95, server_fails=out_of_memory))
    stage.settle()
    crashed = [t for t in stage.status().trials if t.candidate.batch_size == 16]
    assert [(t.phase, t.reason) for t in crashed] == [("Failed", "OutOfMemory")]
    assert (stage.state(), stage.values()) == ("Stable", (IMAGE, "4"))


def test_a_quota_that_allows_no_trial_ends_in_unknown_and_not_in_a_verdict() -> None:
    stage = Stage(mode="Apply", probes={"gpuCheck": "Disabled", "benchmark": "Disabled"})
    stage.world.pods_refused = "exceeded quota: pods"
    stage.settle()
    assert {(t.phase, t.reason) for t in stage.status().trials} == {("Failed", "QuotaExceeded")}
    assert len(stage.status().trials) == 2
    assert (stage.state(), stage.values()) == ("Stable", BEFORE)
    assert stage.conditions()["SLOAchievable"] == ("Unknown", "NothingMeasured")
    assert "exceeded quota" in stage.message("SLOAchievable")


def test_trial_pods_match_no_service_and_no_live_pod_is_touched_while_searching() -> None:
    stage = Stage(mode="Recommend")
    stage.until("Searching")
    live = {p["metadata"]["uid"] for p in stage.cluster.store.all("Pod", NAMESPACE) if _live(p)}
    stage.harness.until(lambda: len(stage.jobs()) == 2)
    trial = [p for p in stage.cluster.store.all("Pod", NAMESPACE) if not _live(p)]
    assert trial
    assert all("app" not in pod["metadata"]["labels"] for pod in trial)
    stage.settle()
    still = {p["metadata"]["uid"] for p in stage.cluster.store.all("Pod", NAMESPACE) if _live(p)}
    assert still == live


def _live(pod: dict[str, Any]) -> bool:
    return pod["metadata"]["labels"].get("app") == "server"
