"""The most telling reason wins: container state, then the pod, then the Job, then its events."""

from datetime import UTC, datetime
from typing import Any

import pytest

from infertune.adapters.kube.jobs import Reason, job_view, newest_pod
from infertune.core.snapshot import JobView, PodTimes

CREATED = "2026-03-01T12:00:00Z"


def job(*conditions: dict[str, str]) -> dict[str, Any]:
    owner = {"uid": "tuning", "controller": True}
    metadata = {
        "name": "j",
        "uid": "job-1",
        "creationTimestamp": CREATED,
        "ownerReferences": [owner],
    }
    return {"metadata": metadata, "status": {"conditions": list(conditions)}}


def pod(phase: str = "Running", *containers: dict[str, Any], **status: Any) -> dict[str, Any]:
    metadata = {
        "name": "p",
        "uid": "pod-1",
        "creationTimestamp": CREATED,
        "ownerReferences": [{"uid": "job-1", "controller": True}],
    }
    found = {"phase": phase, "containerStatuses": list(containers), **status}
    return {"metadata": metadata, "spec": {"nodeName": "n1"}, "status": found}


def container(restarts: int = 0, **state: Any) -> dict[str, Any]:
    last = state.pop("last", None)
    found = {"name": "server", "restartCount": restarts, "imageID": "sha256:1", "state": state}
    return found | ({"lastState": {"terminated": last}} if last else {})


FAILED = {"type": "Failed", "status": "True", "reason": "DeadlineExceeded", "message": "too long"}
UNPLACED = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1"}
QUOTA = Reason("FailedCreate", "exceeded quota")


@pytest.mark.parametrize(
    ("raw", "its_pod", "event", "reason"),
    [
        pytest.param(job(), pod("Running", container(running={})), None, None, id="all is well"),
        pytest.param(
            job(),
            pod("Pending", container(waiting={"reason": "ContainerCreating"})),
            None,
            None,
            id="on its way",
        ),
        pytest.param(
            job(),
            pod("Pending", container(waiting={"reason": "ErrImagePull", "message": "m"})),
            None,
            ("ErrImagePull", "m"),
            id="no image",
        ),
        pytest.param(
            job(FAILED),
            pod(
                "Failed",
                container(terminated={"reason": "Error", "exitCode": 143}),
                conditions=[
                    {
                        "type": "DisruptionTarget",
                        "status": "True",
                        "reason": "PreemptionByScheduler",
                        "message": "made room",
                    }
                ],
            ),
            None,
            ("PreemptionByScheduler", "made room"),
            id="preempted, so its exit code blames nobody",
        ),
        pytest.param(
            job(FAILED),
            pod(
                "Failed",
                container(terminated={"reason": "Error", "exitCode": 137}),
                reason="Evicted",
                message="node low on memory",
            ),
            None,
            ("Evicted", "node low on memory"),
            id="evicted by the kubelet, so its exit code blames nobody",
        ),
        pytest.param(
            job(FAILED),
            pod("Failed", container(terminated={"reason": "OOMKilled"})),
            None,
            ("OOMKilled", "container 'server' went over its memory limit"),
            id="memory explains more than the Job's word",
        ),
        pytest.param(
            job(),
            pod(
                "Running",
                container(3, waiting={"reason": "CrashLoopBackOff"}, last={"reason": "OOMKilled"}),
            ),
            None,
            ("OOMKilled", "container 'server' went over its memory limit"),
            id="memory explains the crash loop",
        ),
        pytest.param(
            job(),
            pod("Failed", container(terminated={"reason": "Error", "exitCode": 3})),
            None,
            ("Error", "container 'server' ended with exit code 3"),
            id="it crashed",
        ),
        pytest.param(
            job(),
            pod("Succeeded", container(terminated={"reason": "Completed", "exitCode": 0})),
            None,
            None,
            id="it ended well",
        ),
        pytest.param(
            job(),
            pod("Pending", conditions=[UNPLACED]),
            None,
            ("Unschedulable", "0/1"),
            id="no room",
        ),
        pytest.param(
            job(),
            pod("Failed", reason="Evicted", message="low on memory"),
            None,
            ("Evicted", "low on memory"),
            id="evicted",
        ),
        pytest.param(job(FAILED), None, None, ("DeadlineExceeded", "too long"), id="deadline"),
        pytest.param(
            job(), None, QUOTA, ("FailedCreate", "exceeded quota"), id="no pod may be made"
        ),
    ],
)
def test_why_a_job_does_not_run(
    raw: Any, its_pod: Any, event: Reason | None, reason: tuple[str, str] | None
) -> None:
    view = job_view(raw, "server", its_pod, event, None)
    assert (view.failure_reason, view.failure_message) == (reason or (None, ""))


def test_the_whole_view_of_a_ready_server() -> None:
    ready = {"type": "Ready", "status": "True"}
    seen = pod("Running", container(2, running={}), podIP="10.0.0.9", conditions=[ready])
    assert job_view(job(), "server", seen, None, None) == JobView(
        name="j",
        uid="job-1",
        role="server",
        owner_uid="tuning",
        created_at=datetime(2026, 3, 1, 12, tzinfo=UTC),
        finished=False,
        succeeded=False,
        pod_name="p",
        pod_phase="Running",
        pod_ip="10.0.0.9",
        pod_ready=True,
        node="n1",
        image_id="sha256:1",
        restarts=2,
        failure_reason=None,
        failure_message="",
        result=None,
        image_ids={"server": "sha256:1"},
        times=PodTimes(None, None, {}),
    )


def test_the_newest_own_pod_is_the_jobs_pod() -> None:
    older, newer, foreign = pod(), pod(), pod()
    newer["metadata"] |= {"name": "newer", "creationTimestamp": "2026-03-01T12:00:05Z"}
    foreign["metadata"] |= {
        "creationTimestamp": "2026-03-01T13:00:00Z",
        "ownerReferences": [{"uid": "another", "controller": True}],
    }
    assert newest_pod(job(), [older, newer, foreign]) is newer
    assert newest_pod(job(), [foreign]) is None
