"""What the kubelet says of gate and watch, and what the watch's log holds."""

import json
from typing import Any

import pytest

from infertune.adapters.kube.device_looks import device_look, newest_look
from infertune.adapters.kube.jobs import job_view
from infertune.core.snapshot import DeviceLook, ProbeFailure
from infertune_probes.contract.emit import seal
from infertune_probes.contract.load import Envelope, Summary
from tests.fakes.clock import FakeClock
from tests.fakes.devices import Devices

NOW = FakeClock().now()
UID = "pod-uid"


def pod_with(*statuses: dict[str, Any], phase: str = "Pending") -> dict[str, Any]:
    names = [{"name": "infertune-gate"}, {"name": "infertune-watch"}]
    return {
        "metadata": {"uid": UID, "name": "server-1", "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"initContainers": names, "containers": [{"name": "server"}]},
        "status": {"phase": phase, "initContainerStatuses": list(statuses)},
    }


def waiting(name: str, reason: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "state": {"waiting": {"reason": reason, "message": "why"}}, **more}


def test_a_pod_of_an_earlier_version_has_no_looks() -> None:
    pod = pod_with()
    pod["spec"]["initContainers"] = [{"name": "fetch-model"}]
    assert device_look(pod) is None


def test_the_gates_last_word_is_its_summary() -> None:
    look = device_look(pod_with(Devices().status(NOW)))
    assert look is not None
    assert isinstance(look.gate, Summary)
    assert (look.pod_uid, look.blocked) == (UID, "")


@pytest.mark.parametrize(
    ("status", "look"),
    [
        pytest.param(
            {"name": "infertune-gate", "state": {"running": {}}}, DeviceLook(UID), id="still-looks"
        ),
        pytest.param(
            waiting("infertune-gate", "PodInitializing"), DeviceLook(UID), id="not-yet-there"
        ),
        pytest.param(
            waiting("infertune-gate", "ImagePullBackOff"),
            DeviceLook(UID, None, "container 'infertune-gate': ImagePullBackOff: why"),
            id="no-image",
        ),
        pytest.param(
            waiting("infertune-watch", "CrashLoopBackOff", restartCount=3),
            DeviceLook(UID),
            id="a-watch-that-ran-holds-nobody-back",
        ),
    ],
)
def test_how_far_they_are(status: dict[str, Any], look: DeviceLook) -> None:
    assert device_look(pod_with(status)) == look


def test_a_gate_that_was_killed_without_a_word_has_failed_and_is_not_the_candidates_crash() -> None:
    killed = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}
    pod = pod_with({"name": "infertune-gate", "state": killed}, phase="Failed")
    look = device_look(pod)
    assert look is not None
    assert look.blocked == "container 'infertune-gate': OOMKilled, exit code 137"
    assert isinstance(look.gate, ProbeFailure)
    job = {
        "metadata": {"name": "t-server", "uid": "j", "creationTimestamp": "2026-01-01T00:00:00Z"}
    }
    view = job_view(job, "server", pod, None, None)
    assert (view.failure_reason, view.devices) == ("Failed", look)


def sealed(uid: str) -> str:
    seen = Devices().seen(NOW, uid)
    assert seen is not None
    return seal(json.dumps(seen.model_dump(mode="json", by_alias=True)).encode())


def test_the_newest_look_must_be_of_this_pod() -> None:
    found = newest_look(UID, f"words\n{sealed('another')}{sealed(UID)}")
    assert isinstance(found, Envelope)
    foreign = newest_look(UID, sealed("another"))
    assert foreign == ProbeFailure("PayloadForeign", "the look names pod another, not pod-uid")


def test_a_log_without_a_whole_look_is_lost() -> None:
    assert newest_look(UID, "") == ProbeFailure("PayloadLost", "the log holds no payload")
    cut = newest_look(UID, sealed(UID)[:300])
    assert isinstance(cut, ProbeFailure)
    assert cut.reason == "PayloadLost"
