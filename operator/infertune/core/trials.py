"""Drive one running trial: which Job comes next, or how it ended.

Role: from the trial's record and its two Jobs to an effect, a result, or patience. Must not know:
which candidate comes next. Trade-off: permanent reasons end a trial at once, passing ones (a slow
image pull, no room while an autoscaler adds nodes) after a grace, because both cost a GPU.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from infertune.api.spec import TuningSpec
from infertune.api.status import TrialRecord
from infertune.core.admission import refusal_of
from infertune.core.device_gate import held_back
from infertune.core.image_trouble import IMAGE_UNAVAILABLE, image_trouble
from infertune.core.load_access import secret_missing
from infertune.core.resolve import Resolved
from infertune.core.snapshot import JobView, ProbeFailure
from infertune.core.trial_result import Ending
from infertune_probes.contract.load import Envelope

_PERMANENT: Mapping[str, str] = {
    "OOMKilled": "OutOfMemory",
    "CrashLoopBackOff": "Crashed",
    "Error": "Crashed",
    "ContainerCannotRun": "Crashed",
    "StartError": "Crashed",
    "InvalidImageName": "ImageUnavailable",
    "ErrImageNeverPull": "ImageUnavailable",
    "CreateContainerConfigError": "Refused",
    "CreateContainerError": "Refused",
    "RunContainerError": "Refused",
    "DeadlineExceeded": "DeadlineExceeded",
    "Evicted": "Evicted",
    "Preempting": "Evicted",
    "PreemptionByScheduler": "Evicted",
    "EvictionByEvictionAPI": "Evicted",
    "DeletionByTaintManager": "Evicted",
    "DeletionByPodGC": "Evicted",
    "TerminationByKubelet": "Evicted",
    "NodeLost": "Evicted",
    "NodeShutdown": "Evicted",
    "Terminated": "Evicted",
}
_TRANSIENT: Mapping[str, str] = {
    "ErrImagePull": "ImageUnavailable",
    "ImagePullBackOff": "ImageUnavailable",
    "Unschedulable": "NoCapacity",
}
LOAD_BLOCKED = "LoadBlocked"
_NO_SERVER = ("connect", "broken")
# A pod lost to eviction, preemption or a vanished node says nothing about the candidate.
_NOT_THE_CANDIDATE = frozenset({"Evicted", "DeadlineExceeded"})


@dataclass(frozen=True, slots=True)
class TrialJobs:
    """The two Jobs of a trial, as far as they exist."""

    server: JobView | None
    load: JobView | None


@dataclass(frozen=True, slots=True)
class StartServer:
    """The server's Job has to be created."""


@dataclass(frozen=True, slots=True)
class StartLoad:
    """The server answers at this address: the load's Job has to be created."""

    address: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do yet; ``sentence`` says for what."""

    sentence: str


@dataclass(frozen=True, slots=True)
class Finished:
    """The load's result is here."""

    result: Envelope | ProbeFailure


TrialStep = StartServer | StartLoad | Wait | Finished | Ending


def jobs_of(record: TrialRecord, jobs: tuple[JobView, ...]) -> TrialJobs:
    """Return the Jobs of this trial among all of the tuning's."""
    by_name = {job.name: job for job in jobs}
    return TrialJobs(by_name.get(f"{record.name}-server"), by_name.get(f"{record.name}-load"))


def next_step(jobs: TrialJobs, resolved: Resolved, spec: TuningSpec, now: datetime) -> TrialStep:
    """Return what this trial needs now."""
    server, load = jobs.server, jobs.load
    if load is not None and load.result is not None:
        return _believed(server, load.result, spec, now)
    if server is None:
        return (
            StartServer() if load is None else Ending("Invalid", "ServerLost", "its Job vanished")
        )
    ending = _server_ending(server, spec, now)
    if ending is not None:
        return ending
    if load is not None:
        return _load_step(load, spec, now)
    return _before_load(server, resolved, spec, now)


def _believed(
    server: JobView | None, result: Envelope | ProbeFailure, spec: TuningSpec, now: datetime
) -> TrialStep:
    """A server that ended or restarted makes numbers that none of its kind would give.

    The rates before a crash look good, and yet nobody wants that server.
    """
    if server is None:
        return Finished(result)
    ending = _server_ending(server, spec, now)
    if ending is not None:
        return ending
    if server.restarts > 0:
        return Ending("Invalid", "ServerRestarted", f"{server.restarts} restarts during the load")
    return Finished(result)


def load_blocked(
    server: JobView | None, resolved: Resolved, spec: TuningSpec, result: Envelope | ProbeFailure
) -> Ending | None:
    """Return that load never reached a server which the kubelet finds ready, or None.

    The same question that the kubelet's probe asks got no good answer from elsewhere; or where it
    was not asked, every single connection failed. A request that timed out proves nothing: it may
    be the server that is slow. Without a readiness probe nobody knows whether the server is ready.
    """
    if server is None or not server.pod_ready or not isinstance(result, Envelope):
        return None
    load = result.load
    if load is None or "readinessProbe" not in resolved.container:
        return None
    if load.startup is not None:
        if load.startup.ready or spec.load.ready_path is not None:
            return None
        what = f"no good answer from {load.startup.url} in {load.startup.seconds:.0f} s"
    else:
        sent = sum(level.sent for level in load.levels)
        failed = sum(level.errors.get(kind, 0) for level in load.levels for kind in _NO_SERVER)
        if sent == 0 or failed < sent:
            return None
        what = f"none of {sent} requests found a connection"
    words = (
        f"{what}, though the kubelet finds the server ready: a NetworkPolicy or a mesh keeps the "
        "load probe away; allow pods labelled app.kubernetes.io/managed-by=infertune to reach "
        f"port {resolved.port}, or set spec.load.mesh: Inherit"
    )
    return Ending("Invalid", LOAD_BLOCKED, words)


def _final_reason(server: JobView) -> Ending | None:
    """Return the ending that no waiting would mend, or None."""
    reason = server.failure_reason or ""
    if reason == "FailedCreate":
        refused = refusal_of(server.failure_message)
        return Ending("Failed", refused.word, refused.message)
    trouble = image_trouble(reason, server.failure_message)
    if trouble is not None and trouble.final:
        return Ending("Failed", IMAGE_UNAVAILABLE, trouble.message)
    if reason not in _PERMANENT:
        return None
    word = _PERMANENT[reason]
    phase = "Invalid" if word in _NOT_THE_CANDIDATE else "Failed"
    return Ending(phase, word, server.failure_message or reason)


def _server_ending(server: JobView, spec: TuningSpec, now: datetime) -> Ending | None:
    final = held_back(server, spec) or _final_reason(server)
    if final is not None:
        return final
    reason = server.failure_reason or ""
    detail = server.failure_message or reason
    if server.finished and server.pod_name is None:
        return Ending("Invalid", "ServerLost", detail or "its pod was deleted by somebody")
    if server.finished:
        return Ending("Failed", "Crashed", detail or "the server ended by itself during the trial")
    waited = (now - server.created_at).total_seconds()
    running = server.pod_phase == "Running"
    if not running and waited > spec.trial.scheduling_timeout_seconds:
        word = _TRANSIENT.get(reason, "NoCapacity")
        trouble = image_trouble(reason, server.failure_message)
        detail = trouble.message if trouble is not None else detail
        return Ending("Failed", word, f"not running after {waited:.0f} s: {detail or 'no reason'}")
    return None


def _load_step(load: JobView, spec: TuningSpec, now: datetime) -> TrialStep:
    if load.finished:
        return Ending(
            "Invalid", "NoResult", load.failure_message or "the load probe left no result"
        )
    waited = (now - load.created_at).total_seconds()
    missing = secret_missing(load, spec, waited)
    if missing is not None:
        return missing
    never_ran = load.pod_phase in {None, "Pending"}
    if never_ran and waited > spec.trial.scheduling_timeout_seconds:
        words = f"the load probe is not running after {waited:.0f} s: {load.failure_reason}"
        return Ending("Invalid", "LoadNotScheduled", words)
    return Wait("load is offered")


def _before_load(server: JobView, resolved: Resolved, spec: TuningSpec, now: datetime) -> TrialStep:
    if server.pod_phase != "Running" or not server.pod_ip:
        return Wait(f"the server is {server.failure_reason or 'starting'}")
    if resolved.ready_path is None and not server.pod_ready:
        rules, waited = spec.trial, (now - server.created_at).total_seconds()
        if waited > rules.scheduling_timeout_seconds + rules.startup_timeout_seconds:
            return Ending("Failed", "NotReady", f"not ready after {waited:.0f} s")
        return Wait("the server is not ready")
    return StartLoad(server.pod_ip)
