"""Trials on a GPU: what gate and watch see decides whether their figures count."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pytest

from infertune.api.status import TrialRecord
from infertune.ports import Unavailable
from infertune_probes.contract.load import Envelope
from tests.fakes.cases import NAMESPACE
from tests.fakes.devices import UUID, WHO
from tests.fakes.envelopes import envelope, finding
from tests.scenario.stories import Stage

SPARSE: dict[str, Any] = {"benchmark": "Disabled", "versions": "Disabled"}
UNREAD = finding("TRIAL_DEVICES_UNKNOWN", "unknown", "nobody says")
XID = finding("XID_HARDWARE", "fail", f"{WHO}: XID 79 on 0000:3b:00 (1x)")


def on_gpus(gpu_check: str = "WhenPresent", **spec: Any) -> Stage:
    stage = Stage(mode="Recommend", probes={**SPARSE, "gpuCheck": gpu_check}, **spec)
    stage.world.seconds_by_role["load"] = 60.0

    def ask(raw: dict[str, Any]) -> None:
        container = raw["spec"]["template"]["spec"]["containers"][0]
        container["resources"]["limits"]["nvidia.com/gpu"] = "1"

    stage.cluster.store.edit("Deployment", NAMESPACE, "server", ask)
    return stage


def healthy(node: str, now: datetime) -> Envelope:
    return envelope("gpu", node, now, [finding("DEVICE_HEALTHY", "pass", WHO)])


def first_trial(stage: Stage) -> TrialRecord:
    """Return the first trial, once it has ended."""

    def ended() -> bool:
        trials = stage.status().trials
        return bool(trials) and trials[0].phase != "Running"

    stage.harness.until(ended, seconds=600)
    return stage.status().trials[0]


def told(stage: Stage, reason: str) -> list[str]:
    return [e.message for _, e in stage.cluster.events if (e.type, e.reason) == ("Warning", reason)]


def test_a_device_that_is_well_and_works_is_named_in_every_record() -> None:
    stage = on_gpus()
    stage.settle()
    assert stage.state() == "Stable"
    trials = stage.status().trials
    assert trials
    for trial in trials:
        assert trial.devices is not None
        assert (trial.phase, trial.devices.uuids, trial.devices.used) == (
            *("Completed", (UUID,), "Yes"),
        )
        assert trial.devices.note == "before: well; during: well"
    assert told(stage, "GpuNotUsed") == []


def test_the_log_of_the_watch_is_read_only_when_the_load_has_ended() -> None:
    stage = on_gpus()
    stage.harness.until(lambda: len(stage.jobs()) == 2)
    assert "fetch_device_watch" not in stage.cluster.calls
    first_trial(stage)
    reads = stage.cluster.calls.count("fetch_device_watch")
    assert 1 <= reads <= 3


@pytest.mark.parametrize(
    ("gate", "reason"),
    [
        pytest.param(
            [finding("ECC_UNCORRECTED", "fail", f"{WHO}: 3 uncorrected ECC errors")],
            "DeviceUnhealthy",
            id="sick",
        ),
        pytest.param(
            [finding("TRIAL_DEVICE_SHARED", "fail", f"{WHO}: 30.0 GB of its memory are in use")],
            "DeviceShared",
            id="shared",
        ),
    ],
)
def test_a_device_that_is_sick_or_shared_before_is_never_a_slow_configuration(
    gate: Sequence[dict[str, str]], reason: str
) -> None:
    stage = on_gpus()
    stage.world.devices.gate = gate
    trial = first_trial(stage)
    assert (trial.phase, trial.reason, trial.levels) == ("Invalid", reason, ())
    assert UUID in (trial.message or "")
    assert not any(name.endswith("-load") for name in stage.jobs())
    stage.world.devices.gate = ()
    stage.settle()
    assert stage.status().trials[1].candidate == trial.candidate
    assert [t.phase for t in stage.status().trials[1:]].count("Completed") >= 1


@pytest.mark.parametrize(
    ("during", "reason"),
    [
        pytest.param([XID], "DeviceUnhealthy", id="an-xid"),
        pytest.param(
            [finding("HW_SLOWDOWN", "fail", f"{WHO}: under load, power brake")],
            "DeviceUnhealthy",
            id="a-brake",
        ),
        pytest.param(
            [finding("ECC_GROWING", "warn", f"{WHO}: 2 corrected ECC errors")],
            "DeviceUnhealthy",
            id="memory-errors",
        ),
        pytest.param(
            [XID, finding("TRIAL_DEVICE_SHARED", "fail", f"{WHO}: under load, also pid 7")],
            "DeviceShared",
            id="somebody-else",
        ),
    ],
)
def test_what_happens_to_the_device_under_load_voids_the_figures(
    during: Sequence[dict[str, str]], reason: str
) -> None:
    stage = on_gpus()
    stage.world.devices.watch = lambda: during
    trial = first_trial(stage)
    assert (trial.phase, trial.reason) == ("Invalid", reason)
    assert UUID in (trial.message or "")


def test_an_idle_device_is_told_and_a_promise_kept_without_it_still_counts() -> None:
    stage = on_gpus()
    stage.world.devices.busy = 0.0
    stage.world.serve = lambda _container, _rate: 40.0
    trial = first_trial(stage)
    assert trial.phase == "Completed"
    assert trial.knee_rate is not None
    assert trial.devices is not None
    assert trial.devices.used == "No"
    (warned,) = told(stage, "GpuNotUsed")
    assert WHO in warned
    assert "a model is loaded (12.0 GB) and does not compute there" in warned


def test_a_slow_server_whose_device_was_idle_is_void_and_not_slow() -> None:
    stage = on_gpus()
    stage.world.devices.busy = 0.0
    stage.world.serve = lambda _container, _rate: 4000.0
    trial = first_trial(stage)
    assert (trial.phase, trial.reason) == ("Invalid", "GpuNotUsed")
    assert told(stage, "GpuNotUsed")


@pytest.mark.parametrize("blind", ["no-log", "unread", "silent-gate"])
def test_what_nobody_could_see_is_told_and_rejects_nothing(blind: str) -> None:
    stage = on_gpus()
    if blind == "no-log":
        stage.world.devices.watch = lambda: None
    elif blind == "unread":
        stage.world.devices.watch = lambda: [UNREAD]
    else:
        stage.world.devices.silent_gate = True
    trial = first_trial(stage)
    assert trial.phase == "Completed"
    assert trial.devices is not None
    words = {
        "no-log": "during: unknown: no log of the watch",
        "unread": "during: TRIAL_DEVICES_UNKNOWN: nobody says",
        "silent-gate": "before: NoResult: the termination message is empty",
    }
    assert words[blind] in trial.devices.note


@pytest.mark.parametrize("blind", ["no-log", "unread", "silent-gate"])
def test_where_a_healthy_device_is_required_it_has_to_be_shown(blind: str) -> None:
    stage = on_gpus("WhenPresent")
    stage.harness.until(lambda: stage.state() == "Searching")
    stage.edit_spec(lambda spec: spec["probes"].update(gpuCheck="Required"))
    stage.world.gpu = lambda node, now: (
        stage.world.devices.seen(now, "any") or pytest.fail("no watch")
    )
    if blind == "no-log":
        stage.harness.until(lambda: stage.state() == "Searching" and len(stage.jobs()) == 2)
        stage.world.devices.watch = lambda: None
    elif blind == "unread":
        stage.harness.until(lambda: stage.state() == "Searching" and len(stage.jobs()) == 2)
        stage.world.devices.watch = lambda: [UNREAD]
    else:
        stage.world.devices.silent_gate = True
    stage.harness.until(
        lambda: any(t.reason == "DeviceUnproven" for t in stage.status().trials), seconds=600
    )


def test_a_check_that_is_switched_off_puts_nothing_into_the_pod() -> None:
    stage = on_gpus("Disabled")
    stage.harness.until(lambda: bool(stage.jobs()))
    stage.harness.step()
    pods = stage.cluster.store.all("Pod", NAMESPACE)
    server = next(p for p in pods if p["metadata"]["labels"].get("infertune.io/role") == "server")
    assert "initContainers" not in server["spec"]


def test_a_log_that_cannot_be_read_now_is_read_at_the_next_look() -> None:
    stage = on_gpus()
    stage.harness.until(lambda: len(stage.jobs()) == 2)
    stage.cluster.fail("fetch_device_watch", Unavailable("the kubelet does not answer"), times=2)
    trial = first_trial(stage)
    assert trial.devices is not None
    assert (trial.phase, trial.devices.used) == ("Completed", "Yes")
