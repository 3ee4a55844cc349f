"""One trial: which Job comes next, when it ended, and what its result is worth."""

from dataclasses import replace
from typing import Any

import pytest

from infertune.api.conditions import Observation
from infertune.core.budget import exceeded, spent_now
from infertune.core.manifests.naming import trial_name
from infertune.core.plan import CreateObject, DeleteObject
from infertune.core.resolve import Resolved, resolve
from infertune.core.snapshot import JobView, LivePod, Selector
from infertune.core.space import Candidate
from infertune.core.trial_result import Ending
from infertune.core.trials import (
    Finished,
    StartLoad,
    StartServer,
    TrialJobs,
    Wait,
    jobs_of,
    load_blocked,
    next_step,
)
from tests.builders import (
    IMAGE,
    NOW,
    after,
    conditions_of,
    container_of,
    decide,
    deployment_of,
    ended_job,
    job_of,
    snapshot_of,
    spec_of,
    status_of,
    target_of,
    trial_of,
    tuning_of,
    with_condition,
)
from tests.fakes import envelopes

RESULT = envelopes.load([10.0, 20.0], lambda _: 60.0, 200, 30, NOW)
SERVER, LOAD = job_of("t-server"), job_of("t-load", "load")
DONE = ended_job("t-load", "load", RESULT)
WAITING_POD = LivePod("resnet-2", "", "rev-1", ready=False, no_room="0/1 nodes are available")
RUNNING = trial_of(1, phase="Running", finished_at=None, name="t", rates=(10.0,))


def resolved_of(ready: bool = True) -> Resolved:
    container = container_of() if ready else container_of(readinessProbe=None)
    found = resolve(snapshot_of(target=target_of(deployment_of(container))), spec_of())
    assert isinstance(found, Resolved)
    return found


def step(
    server: JobView | None, load: JobView | None = None, seconds: float = 1, **how: Any
) -> Any:
    return next_step(TrialJobs(server, load), resolved_of(**how), spec_of(), after(seconds))


def failing(reason: str, **changes: Any) -> JobView:
    return job_of("t-server", failure_reason=reason, failure_message="as told", **changes)


def test_server_then_load_then_result() -> None:
    assert step(None) == StartServer()
    assert step(job_of("t-server", pod_phase="Pending", pod_ip=None)) == Wait(
        "the server is starting"
    )
    assert step(SERVER) == StartLoad("10.0.0.9")
    assert step(SERVER, LOAD) == Wait("load is offered")
    assert step(SERVER, DONE) == Finished(RESULT)
    assert step(None, DONE) == Finished(RESULT)


def test_without_a_readiness_path_the_pods_own_ready_is_waited_for_and_not_for_ever() -> None:
    unready = job_of("t-server", pod_ready=False)
    assert step(unready, ready=False) == Wait("the server is not ready")
    late = step(unready, seconds=901, ready=False)
    assert late == Ending("Failed", "NotReady", "not ready after 901 s")
    assert step(SERVER, ready=False) == StartLoad("10.0.0.9")


@pytest.mark.parametrize(
    ("server", "wanted"),
    [
        (failing("OOMKilled"), ("Failed", "OutOfMemory")),
        (failing("Error", finished=True), ("Failed", "Crashed")),
        (failing("InvalidImageName"), ("Failed", "ImageUnavailable")),
        (failing("FailedCreate", pod_phase=None), ("Failed", "Refused")),
        (failing("RunContainerError"), ("Failed", "Refused")),
        (failing("Evicted", finished=True), ("Invalid", "Evicted")),
        (failing("PreemptionByScheduler", finished=True), ("Invalid", "Evicted")),
        (failing("DeletionByTaintManager", finished=True), ("Invalid", "Evicted")),
        (failing("DeadlineExceeded", finished=True), ("Invalid", "DeadlineExceeded")),
        (failing("BackoffLimitExceeded", finished=True, pod_name=None), ("Invalid", "ServerLost")),
        (job_of("t-server", finished=True), ("Failed", "Crashed")),
    ],
)
@pytest.mark.parametrize("load", [None, LOAD, DONE])
def test_a_server_that_ended_ends_the_trial_at_once_whatever_the_load_says(
    server: JobView, load: JobView | None, wanted: tuple[str, str]
) -> None:
    found = step(server, load)
    assert (found.phase, found.reason) == wanted


@pytest.mark.parametrize(
    ("reason", "wanted"),
    [
        ("Unschedulable", "NoCapacity"),
        ("ImagePullBackOff", "ImageUnavailable"),
        (None, "NoCapacity"),
    ],
)
def test_passing_reasons_get_a_grace(reason: str | None, wanted: str) -> None:
    server = job_of("t-server", pod_phase="Pending", pod_ip=None, failure_reason=reason)
    assert isinstance(step(server, seconds=299), Wait)
    found = step(server, seconds=301)
    assert (found.phase, found.reason) == ("Failed", wanted)


def test_results_that_cannot_be_had_or_believed_are_invalid() -> None:
    lost = step(None, LOAD)
    never = step(SERVER, job_of("t-load", "load", pod_phase="Pending"), seconds=301)
    empty = step(SERVER, job_of("t-load", "load", finished=True))
    restarted = step(job_of("t-server", restarts=2), DONE)
    assert [(e.phase, e.reason) for e in (lost, never, empty, restarted)] == [
        ("Invalid", "ServerLost"),
        ("Invalid", "LoadNotScheduled"),
        ("Invalid", "NoResult"),
        ("Invalid", "ServerRestarted"),
    ]


def test_jobs_are_found_by_name() -> None:
    assert jobs_of(RUNNING, (LOAD, SERVER, job_of("other"))) == TrialJobs(SERVER, LOAD)


def test_the_search_decides_a_trial_in_one_tick_and_starts_it_in_the_next() -> None:
    decided = decide(status_of("Searching"))
    (trial,) = decided.status.trials
    assert (trial.phase, trial.candidate.batch_size, decided.effects) == ("Running", 1, ())
    assert trial.name == trial_name(tuning_of(), Candidate(IMAGE, 1), 0)
    started = decide(decided.status)
    assert [e.manifest["metadata"]["name"] for e in started.effects if isinstance(e, CreateObject)]
    server = job_of(f"{trial.name}-server")
    loaded = decide(decided.status, jobs=(server,))
    (effect,) = loaded.effects
    assert isinstance(effect, CreateObject)
    assert effect.manifest["metadata"]["name"] == f"{trial.name}-load"
    waiting = decide(decided.status, jobs=(server, job_of(f"{trial.name}-load", "load")))
    assert (waiting.status, waiting.effects) == (decided.status, ())


def test_a_finished_trial_is_recorded_before_its_jobs_go() -> None:
    status = status_of("Searching", trials=(RUNNING,))
    recorded = decide(status, jobs=(SERVER, DONE))
    assert recorded.effects == ()
    assert recorded.status.trials[0].finished_at == NOW
    cleaned = decide(recorded.status, jobs=(SERVER, DONE))
    assert [e.name for e in cleaned.effects if isinstance(e, DeleteObject)] == [
        "t-server",
        "t-load",
    ]
    assert cleaned.status == recorded.status


GREEDY = Selector("PodMonitor", "all", {"app.kubernetes.io/managed-by": "infertune"})


def test_a_trial_whose_labels_something_picks_is_refused() -> None:
    found = decide(status_of("Searching", trials=(RUNNING,)), selectors=(GREEDY,))
    assert (found.status.trials[0].reason, found.effects) == ("Refused", ())


@pytest.mark.parametrize(
    ("world", "reason", "words"),
    [
        ({"selectors": (GREEDY,)}, "TrialsSelected", "PodMonitor 'all'"),
        (
            {"target": target_of(deployment_of(pod={"hostNetwork": True}))},
            "HostNetwork",
            "remove hostNetwork",
        ),
        (
            {"target": replace(target_of(), pods=(WAITING_POD,))},
            "LivePodsPending",
            "live pod resnet-2 waits for room",
        ),
    ],
)
def test_nothing_is_tried_while_something_speaks_against_it_and_it_is_told_once(
    world: dict[str, Any], reason: str, words: str
) -> None:
    held = decide(status_of("Searching"), **world)
    assert (held.status.trials, held.effects, held.status.state) == ((), (), "Searching")
    assert conditions_of(held.status)["TrialsAllowed"] == ("False", reason)
    assert words in held.decision
    assert [event.reason for event in held.events] == [reason]
    again = decide(held.status, **world)
    assert (again.status, again.events, again.decision) == (held.status, (), "")
    assert again.requeue_seconds is not None
    free = decide(held.status)
    assert conditions_of(free.status)["TrialsAllowed"] == ("True", "Clear")
    assert len(free.status.trials) == 1


def test_a_trial_gives_way_to_a_live_pod_without_room_and_is_run_again() -> None:
    status = status_of("Searching", trials=(RUNNING,))
    crowded = replace(target_of(), pods=(*target_of().pods, WAITING_POD))
    found = decide(status, jobs=(SERVER, LOAD), target=crowded)
    (trial,) = found.status.trials
    assert (trial.phase, trial.reason, found.effects) == ("Invalid", "YieldedToLive", ())
    gone = decide(found.status, jobs=(SERVER, LOAD), target=crowded)
    assert [type(e) for e in gone.effects] == [DeleteObject, DeleteObject]
    for _ in range(2):
        # However often it gave way, the candidate is tried again once there is room.
        again = decide(found.status)
        assert again.status.trials[-1].candidate == RUNNING.candidate
        assert again.status.trials[-1].phase == "Running"
        found = decide(again.status, target=crowded)
        assert found.status.trials[-1].reason == "YieldedToLive"


def labelled(live: str, trial: str) -> dict[str, Any]:
    key = "node.kubernetes.io/instance-type"
    return {"node_labels": {"node-1": {key: live}, "node-2": {key: trial}}}


def test_a_trial_on_another_kind_of_node_is_no_evidence_for_this_one() -> None:
    status = status_of("Searching", trials=(RUNNING,))
    jobs = (replace(SERVER, node="node-2", image_ids={"server": "r@sha256:aa"}), DONE)
    (wrong,) = decide(status, jobs=jobs, **labelled("p4d", "p5")).status.trials
    assert (wrong.phase, wrong.reason, wrong.levels) == ("Invalid", "WrongSku", ())
    assert wrong.message == (
        "node node-2 has node.kubernetes.io/instance-type=p5, live pods run on p4d"
    )
    (right,) = decide(status, jobs=jobs, **labelled("p4d", "p4d")).status.trials
    assert (right.phase, right.node, right.node_kind, right.image_id) == (
        "Completed",
        "node-2",
        "node.kubernetes.io/instance-type=p4d",
        "r@sha256:aa",
    )


def test_live_pods_that_run_something_else_under_the_same_tag_are_told() -> None:
    status = status_of("Searching", trials=(RUNNING,))
    jobs = (replace(SERVER, image_ids={"server": "r@sha256:bb"}), DONE)

    def told(image_id: str) -> list[str]:
        pod = replace(target_of().pods[0], image_ids={"server": image_id})
        target = replace(target_of(), pods=(pod,))
        return [e.reason for e in decide(status, jobs=jobs, target=target).events]

    assert told("r@sha256:aa") == ["TrialCompleted", "TagMoved"]
    assert told("r@sha256:bb") == ["TrialCompleted"]


def test_load_that_never_met_a_ready_server_is_blocked_and_not_slow() -> None:
    status = status_of("Searching", trials=(RUNNING,))
    startup = RESULT.load.startup.model_copy(update={"ready": False})
    load = RESULT.load.model_copy(update={"startup": startup, "levels": ()})
    blocked = ended_job("t-load", "load", RESULT.model_copy(update={"result": load}))
    (trial,) = decide(status, jobs=(SERVER, blocked)).status.trials
    assert (trial.phase, trial.reason) == ("Invalid", "LoadBlocked")
    assert "spec.load.mesh: Inherit" in str(trial.message)
    unready = replace(SERVER, pod_ready=False)
    (slow,) = decide(status, jobs=(unready, blocked)).status.trials
    assert (slow.phase, slow.reason) == ("Failed", "NotReady")
    own_path = spec_of(load={"readyPath": "/typo"})
    (typo,) = decide(status, own_path, jobs=(SERVER, blocked)).status.trials
    assert typo.reason == "NotReady"


@pytest.mark.parametrize(("kind", "wanted"), [("connect", "LoadBlocked"), ("timeout", None)])
def test_without_a_readiness_path_only_refused_connections_say_blocked(
    kind: str, wanted: str | None
) -> None:
    level = RESULT.load.levels[0].model_copy(update={"errors": {kind: 300}, "sent": 300})
    load = RESULT.load.model_copy(update={"startup": None, "levels": (level,)})
    result = RESULT.model_copy(update={"result": load})
    found = load_blocked(SERVER, resolved_of(), spec_of(), result)
    assert (found and found.reason) == wanted
    assert load_blocked(SERVER, resolved_of(ready=False), spec_of(), result) is None
    assert load_blocked(None, resolved_of(), spec_of(), result) is None


def test_two_blocked_trials_end_the_search_as_two_without_room_do() -> None:
    blocked = trial_of(1, phase="Invalid", reason="LoadBlocked")
    ended = decide(status_of("Searching", trials=(blocked, blocked)))
    assert ended.status.state == "Deciding"


def test_a_trial_whose_job_the_api_server_refuses_ends_instead_of_trying_for_ever() -> None:
    words = 'admission webhook "images.policy" denied the request: only from registry.a'
    refused = Observation("Stalled", "True", "Refused", words)
    status = with_condition(status_of("Searching", trials=(RUNNING,)), refused)
    (trial,) = decide(status).status.trials
    assert (trial.phase, trial.reason) == ("Failed", "PolicyDenied")
    assert str(trial.message).startswith(words + "; let the policy allow")


def test_a_trial_that_failed_is_told_with_its_reason() -> None:
    status = status_of("Searching", trials=(RUNNING,))
    found = decide(status, jobs=(failing("OOMKilled"),))
    assert found.decision == "trial 1 (batch 1, fp32): Failed, OutOfMemory: as told"


def test_a_default_batch_that_stands_in_no_list_is_searched_too() -> None:
    target = target_of(deployment_of(container_of(None)))
    (trial,) = decide(status_of("Searching"), target=target).status.trials
    assert trial.candidate.batch_size is None
    only_images = spec_of(knobs={"images": ["registry.test/resnet:int8"]})
    (trial,) = decide(status_of("Searching"), only_images, target=target).status.trials
    assert trial.candidate.image == IMAGE


@pytest.mark.parametrize(
    ("budget", "gpus", "words"),
    [
        ({"maxTrials": 1}, 0, "1 of 1 trials (spec.budget.maxTrials)"),
        ({"gpuHours": "0.01"}, 0, "0.0167 of 0.01 hours (spec.budget.gpuHours)"),
        ({"gpuHours": "0.05"}, 4, "0.0668 of 0.05 hours (spec.budget.gpuHours)"),
        ({"gpuHours": "0.05"}, 2, None),
        ({"wallClockSeconds": 60}, 0, "120 of 60 s (spec.budget.wallClockSeconds)"),
        ({}, 0, None),
    ],
)
def test_the_budget_counts_trials_device_hours_and_time(
    budget: dict[str, Any], gpus: int, words: str | None
) -> None:
    """One trial of 60 s that began 120 s ago: 0.0167 replica-hours, with 4 GPUs 0.0668."""
    status = status_of("Searching", trials=(trial_of(1, 10.0),))
    assert exceeded(spec_of(budget=budget), status, NOW, gpus) == words
    if words is not None and not gpus:
        ended = decide(status, spec_of(budget=budget))
        assert ended.status.state == "Deciding"
        assert words in ended.decision


def test_what_was_spent_is_money_only_where_a_price_is_declared() -> None:
    trials = (trial_of(1, 10.0), trial_of(4, started_at=None))
    free = spent_now(spec_of(), trials, NOW)
    assert (free.trials, free.replica_hours, free.wall_clock_seconds) == (2, 0.0167, 120.0)
    assert free.cost.value is None
    paid = spent_now(spec_of(cost={"replicaHourly": "3", "currency": "EUR"}), trials, NOW)
    assert (paid.cost.value, paid.cost.unit) == (0.0501, "EUR")
    assert spent_now(spec_of(), (), NOW).wall_clock_seconds == 0.0
