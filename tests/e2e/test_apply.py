"""Apply, from a server that misses its promise to one that keeps it, whatever dies on the way."""

import json
import re
from collections import Counter

import pytest

from demo.image_set import SERVER_FP32, SERVER_INT8
from demo.workload import SERVER
from infertune.api.status import TuningStatus
from tests.e2e.stage import ADMIN, TUNINGS, Setting, Stage, condition, setting_reported
from tests.e2e.tunings import NAME, SLO_MS, tuning

pytestmark = [pytest.mark.e2e, pytest.mark.ci, pytest.mark.timeout(500, func_only=True)]


def test_apply_reaches_stable_though_the_operator_is_killed_twice(stage: Stage) -> None:
    """Killed while a trial's load runs and again while the new pods start: the next one goes on.

    It ends Stable with exactly the reported values on the live objects, every trial ran once, and
    the Deployment was rolled out once.
    """
    assert stage.setting() == Setting(SERVER_FP32, "1", 2, 2)
    stage.apply(tuning(stage.namespace, "Apply"))
    stage.until(lambda: load_runs(stage), "a trial's load runs", 120)
    killed = [stage.kill_operator()]
    stage.until_state("Applying", 200)
    stage.until(lambda: stage.setting().image == SERVER_INT8, "the template is written", 30)
    killed.append(stage.kill_operator())
    status = stage.until_state("Stable", 240)

    assert_values_are_the_reported_ones(stage, status)
    assert_answers_come_from_the_new_image(stage)
    assert_nothing_was_repeated(stage, status)
    assert_nothing_is_left(stage)
    assert_kubectl_tells_it(stage, status)
    assert len({*killed, *stage.operator_pods()}) == 3, "two were killed, a third one finished"


def load_runs(stage: Stage) -> bool:
    running = [trial.name for trial in stage.status().trials if trial.phase == "Running"]
    return any(f"{name}-load" in stage.seen.jobs for name in running)


def assert_values_are_the_reported_ones(stage: Stage, status: TuningStatus) -> None:
    assert status.recommendation is not None
    reported = setting_reported(status.recommendation.configuration)
    assert stage.setting() == reported
    assert reported.image == SERVER_INT8
    assert condition(status, "Applied")[0] == "True"
    assert condition(status, "Verified") == ("True", "PromiseKept")
    assert condition(status, "Stalled")[0] == "False"
    assert status.rollout is not None
    assert (status.rollout.verdict, status.rollout.rolled_back_at) == ("Pass", None)
    intent = status.rollout.intent
    assert intent is not None
    assert (intent.before.image, intent.before.batch_value) == (SERVER_FP32, "1")


def assert_answers_come_from_the_new_image(stage: Stage) -> None:
    """Each live pod says which model answers, and answers."""
    (payload,) = (
        one["data"]["payload.json"]
        for one in stage.objects("v1", "ConfigMap")
        if one["metadata"]["name"] == "demo-payload"
    )
    pods = stage.live_pods()
    told = [stage.ask(pod, ADMIN) for pod in pods]
    batch = int(stage.setting().batch_size or 0)
    assert told == [{"max_batch_size": batch, "batch_wait_ms": 0, "variant": "int8"}] * len(pods)
    for pod in pods:
        (scores,) = stage.ask(pod, "/predict", json.loads(payload))["scores"]
        assert len(scores) == 8
        assert sum(scores) == pytest.approx(1, abs=0.01)


def assert_nothing_was_repeated(stage: Stage, status: TuningStatus) -> None:
    """A busy machine may void a measurement (the client was late); a kill of ours may not.

    Each Job was created once, each belongs to a trial of the status, and no trial is missing one.
    """
    void = {trial.reason for trial in status.trials if trial.phase != "Completed"}
    assert void <= {"GateBroken"}
    assert len({trial.name for trial in status.trials}) == len(status.trials)
    loads = {f"{trial.name}-load" for trial in status.trials}
    servers = {f"{trial.name}-server" for trial in status.trials}
    probes = {name for name in stage.seen.jobs if name.endswith("-gpu")}
    assert set(stage.seen.jobs) == loads | servers | probes
    assert {name: len(uids) for name, uids in stage.seen.jobs.items() if len(uids) > 1} == {}
    assert len(probes) == 1
    revisions = [
        one["metadata"]["name"]
        for one in stage.objects("apps/v1", "ReplicaSet")
        if one["metadata"]["ownerReferences"][0]["name"] == SERVER
    ]
    assert len(revisions) == 2, "one rollout: the old template and the new one"
    started = Counter(
        one["message"] for one in stage.objects("v1", "Event") if one["reason"] == "TrialStarted"
    )
    assert [message for message, count in started.items() if count > 1] == []


def assert_nothing_is_left(stage: Stage) -> None:
    def clean() -> bool:
        found = stage.find_tuning()
        assert found is not None
        kept = [one for one in stage.left_over() if not one.startswith("ConfigMap/")]
        return "finalizers" not in found["metadata"] and not kept

    stage.until(clean, "no finalizer, no Job and no trial pod", 30)


def assert_kubectl_tells_it(stage: Stage, status: TuningStatus) -> None:
    """`kubectl get` pads columns with three blanks; no cell may be empty."""
    header, row = stage.kubectl_lines("get", TUNINGS).splitlines()
    columns = re.split(r"\s{3,}", header.strip())
    cells = dict(zip(columns, re.split(r"\s{3,}", row.strip()), strict=True))
    shown = {name: cells[name] for name in ("NAME", "TARGET", "MODE", "STATE")}
    assert shown == {"NAME": NAME, "TARGET": SERVER, "MODE": "Apply", "STATE": "Stable"}
    told = status.summary
    assert cells["BEST"] == told.best
    assert cells["VERDICT"] == told.verdict
    assert cells["SPENT"] == told.spent
    assert str(SLO_MS) in cells["SLO"]
    assert cells["P95"].split()[-1] == "ms"
