"""A Job and its pod, as one view.

Role: pick the newest pod of a Job and say how far both are, with the most telling reason when they
fail. Must not know: requests, what follows from a failure. Trade-off: reasons are passed on as
Kubernetes names them; which are final is decided in the core.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast, get_args

from infertune.adapters.kube.device_looks import device_look
from infertune.adapters.kube.pod_times import pod_times
from infertune.core.garbage import OwnObject
from infertune.core.manifests.device_containers import OUR_CONTAINERS
from infertune.core.manifests.naming import ANNOTATION_TUNING, LABEL_ROLE, LABEL_TUNING_UID
from infertune.core.snapshot import (
    JobRole,
    JobView,
    Key,
    PodPhase,
    ProbeFailure,
    RawObject,
)
from infertune_probes.contract.load import Envelope

PROBE_CONTAINER = "probe"
_HARMLESS_WAITS = frozenset({"ContainerCreating", "PodInitializing", ""})
_ROLES = frozenset(get_args(JobRole))


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a Job does not do what it should, in the words of Kubernetes."""

    reason: str
    message: str


def role_of(job: RawObject) -> JobRole | None:
    """Return what the Job is for, or None when its label says nothing we know."""
    role = job["metadata"].get("labels", {}).get(LABEL_ROLE)
    return cast("JobRole", role) if role in _ROLES else None


def newest_pod(job: RawObject, pods: Iterable[RawObject]) -> RawObject | None:
    """Return the pod of this Job that was created last, or None."""
    uid = job["metadata"]["uid"]
    mine = [pod for pod in pods if _controller(pod) == uid]
    return max(mine, key=lambda pod: str(pod["metadata"]["creationTimestamp"]), default=None)


def job_view(
    job: RawObject,
    role: JobRole,
    pod: RawObject | None,
    created_failure: Reason | None,
    result: Envelope | ProbeFailure | None,
) -> JobView:
    """Return the view; ``created_failure`` is the Job's FailedCreate event, when it has no pod."""
    metadata = job["metadata"]
    failure = _failure(job, pod) or created_failure
    status = pod.get("status", {}) if pod else {}
    container = _served_container(pod) if pod else {}
    complete, failed = _has_condition(job, "Complete"), _has_condition(job, "Failed")
    return JobView(
        name=metadata["name"],
        uid=metadata["uid"],
        role=role,
        owner_uid=_controller(job),
        created_at=parse_time(metadata["creationTimestamp"]),
        finished=complete or failed or pod_finished(pod),
        succeeded=complete or (not failed and status.get("phase") == "Succeeded"),
        pod_name=pod["metadata"]["name"] if pod else None,
        pod_phase=cast("PodPhase", status.get("phase", "Unknown")) if pod else None,
        pod_ip=status.get("podIP") or None,
        pod_ready=pod is not None and is_ready(pod),
        node=(pod.get("spec", {}).get("nodeName") or None) if pod else None,
        image_id=container.get("imageID") or None,
        restarts=int(container.get("restartCount", 0)),
        failure_reason=failure.reason if failure else None,
        failure_message=failure.message if failure else "",
        result=result,
        image_ids=image_ids(pod) if pod else {},
        times=pod_times(pod) if pod else None,
        devices=device_look(pod) if pod else None,
    )


def pod_finished(pod: RawObject | None) -> bool:
    """Return whether every container of the pod has ended for good."""
    return pod is not None and pod.get("status", {}).get("phase") in {"Succeeded", "Failed"}


def is_ready(pod: RawObject) -> bool:
    """Return whether the pod is Ready and not on its way out."""
    conditions = pod.get("status", {}).get("conditions") or ()
    ready = any(c.get("type") == "Ready" and c.get("status") == "True" for c in conditions)
    return ready and "deletionTimestamp" not in pod["metadata"]


def own_object(api_version: str, kind: str, raw: RawObject) -> OwnObject:
    """Return a Job or ConfigMap of ours, with the tuning that it was made for."""
    metadata = raw["metadata"]
    labels, notes = metadata.get("labels") or {}, metadata.get("annotations") or {}
    return OwnObject(
        api_version=api_version,
        kind=kind,
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        tuning=Key(metadata["namespace"], notes.get(ANNOTATION_TUNING, "")),
        tuning_uid=labels[LABEL_TUNING_UID],
        role=role_of(raw) if kind == "Job" else None,
        created_at=parse_time(metadata["creationTimestamp"]),
        finished=_has_condition(raw, "Complete") or _has_condition(raw, "Failed"),
    )


def image_ids(pod: RawObject) -> dict[str, str]:
    """Return what each container really runs, as far as they have started."""
    statuses = pod.get("status", {}).get("containerStatuses") or ()
    return {status["name"]: status["imageID"] for status in statuses if status.get("imageID")}


def termination_message(pod: RawObject) -> str:
    """Return the termination message of the probe's container; empty when there is none."""
    ended = _served_container(pod).get("state", {}).get("terminated") or {}
    return str(ended.get("message") or "")


def parse_time(text: str) -> datetime:
    """Return a Kubernetes timestamp as a time with its zone."""
    return datetime.fromisoformat(text)


def never_created(event: RawObject) -> Reason:
    """Return the reason that a FailedCreate event gives."""
    return Reason("FailedCreate", str(event.get("message", "")))


def _served_container(pod: RawObject) -> Mapping[str, Any]:
    statuses = pod.get("status", {}).get("containerStatuses") or ()
    named: Mapping[str, Any] | None = next(
        (status for status in statuses if status.get("name") == PROBE_CONTAINER), None
    )
    return named or next(iter(statuses), {})


def _failure(job: RawObject, pod: RawObject | None) -> Reason | None:
    if pod is not None:
        status = pod.get("status", {})
        taken_away = _taken_away(status)
        if taken_away is not None:
            return taken_away
        for key in ("initContainerStatuses", "containerStatuses"):
            for container in status.get(key) or ():
                if container.get("name") in OUR_CONTAINERS:
                    continue  # told by itself: it says nothing about the candidate
                found = _container_failure(container)
                if found is not None:
                    return found
        found = _pod_failure(status)
        if found is not None:
            return found
    return _job_failure(job)


def _container_failure(container: Mapping[str, Any]) -> Reason | None:
    name = container.get("name", "")
    current = container.get("state") or {}
    last = container.get("lastState") or {}
    ended = current.get("terminated") or last.get("terminated") or {}
    # An OOM kill explains the crash loop that follows it.
    if ended.get("reason") == "OOMKilled":
        return Reason("OOMKilled", f"container {name!r} went over its memory limit")
    waiting = current.get("waiting") or {}
    if waiting.get("reason", "") not in _HARMLESS_WAITS:
        return Reason(str(waiting["reason"]), str(waiting.get("message", "")))
    ended = current.get("terminated") or {}
    if ended and int(ended.get("exitCode", 0)) != 0:
        reason = str(ended.get("reason") or "Error")
        return Reason(reason, f"container {name!r} ended with exit code {ended['exitCode']}")
    return None


def _taken_away(status: Mapping[str, Any]) -> Reason | None:
    """Return why the pod was ended from outside: its containers' exit codes then blame nobody."""
    for condition in status.get("conditions") or ():
        if condition.get("type") == "DisruptionTarget" and condition.get("status") == "True":
            reason = str(condition.get("reason") or "Disrupted")
            return Reason(reason, str(condition.get("message", "")))
    if status.get("phase") == "Failed" and status.get("reason"):
        return Reason(str(status["reason"]), str(status.get("message", "")))
    return None


def _pod_failure(status: Mapping[str, Any]) -> Reason | None:
    for condition in status.get("conditions") or ():
        if condition.get("reason") == "Unschedulable" and condition.get("status") == "False":
            return Reason("Unschedulable", str(condition.get("message", "")))
    if status.get("phase") == "Failed":
        return Reason("Failed", str(status.get("message", "")))
    return None


def _job_failure(job: RawObject) -> Reason | None:
    for condition in job.get("status", {}).get("conditions") or ():
        if condition.get("type") == "Failed" and condition.get("status") == "True":
            reason = str(condition.get("reason") or "Failed")
            return Reason(reason, str(condition.get("message", "")))
    return None


def _has_condition(job: RawObject, name: str) -> bool:
    conditions = job.get("status", {}).get("conditions") or ()
    return any(c.get("type") == name and c.get("status") == "True" for c in conditions)


def _controller(raw: RawObject) -> str:
    owners = raw["metadata"].get("ownerReferences") or ()
    return str(next((owner["uid"] for owner in owners if owner.get("controller")), ""))
