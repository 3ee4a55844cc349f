"""GPU_NOT_USED as a pure judgement: when, and which cause it names."""

from __future__ import annotations

import pytest

from infertune_probes.gpu.use import DeviceUse, Surmise, judge_use
from infertune_probes.gpu.window import Statistics, statistics_of

HAS_FILES = Surmise(device_files=True)


def a_use(sm: Statistics | None, gigabytes: float | None = 10.0) -> DeviceUse:
    memory = None if gigabytes is None else statistics_of([gigabytes * 1e9] * 6)
    return DeviceUse("device 0 (GPU-a)", sm, memory)


@pytest.mark.parametrize(
    ("samples", "code", "verdict"),
    [
        pytest.param([0.0] * 6, "GPU_NOT_USED", "fail", id="nothing-at-all"),
        pytest.param([0.0] * 9 + [9.0], "GPU_NOT_USED", "fail", id="a-flicker"),
        pytest.param([2.0] * 6, "GPU_BUSY", "pass", id="a-little-all-the-time"),
        pytest.param([0.0] * 9 + [10.0], "GPU_BUSY", "pass", id="a-burst"),
        pytest.param([0.0] * 4, "GPU_USE_UNKNOWN", "unknown", id="too-few-samples"),
        pytest.param([], "GPU_USE_UNKNOWN", "unknown", id="not-told"),
    ],
)
def test_near_zero_is_a_finding_and_no_data_is_not_zero(
    samples: list[float], code: str, verdict: str
) -> None:
    (finding,) = judge_use([a_use(statistics_of(samples))], HAS_FILES)
    assert (finding.code, finding.verdict) == (code, verdict)


@pytest.mark.parametrize(
    ("surmise", "gigabytes", "cause", "fix"),
    [
        (
            Surmise("torch 2.8.0", built_for_cuda=False, sees_devices=0, device_files=True),
            *(0.0, "torch 2.8.0 is a build without CUDA", "image with a CUDA build"),
        ),
        (
            Surmise("torch 2.8.0", built_for_cuda=True, sees_devices=0, device_files=False),
            *(0.0, "no device file is in this container", "nvidia.com/gpu: 1"),
        ),
        (
            Surmise(
                "torch 2.8.0",
                built_for_cuda=True,
                sees_devices=0,
                complaint="driver too old",
                device_files=True,
            ),
            *(0.0, "torch 2.8.0 cannot use the driver: driver too old", "update the node's driver"),
        ),
        (HAS_FILES, 0.05, "nothing is loaded on it (0.05 GB in use)", "start-up log"),
        (HAS_FILES, 10.0, "a model is loaded (10.0 GB) and does not compute there", "this replica"),
        (HAS_FILES, None, "the cause is not known", "start-up log"),
    ],
    ids=["cpu-build", "no-device", "driver", "not-loaded", "not-asked", "not-known"],
)
def test_the_likely_cause_and_its_fix(
    surmise: Surmise, gigabytes: float | None, cause: str, fix: str
) -> None:
    (finding,) = judge_use([a_use(statistics_of([0.0] * 6), gigabytes)], surmise)
    assert finding.evidence == (f"device 0 (GPU-a): SM mean 0.0 %, peak 0 % in 6 samples; {cause}")
    assert fix in finding.fix


def test_no_device_at_all_under_load_is_not_used_and_a_hung_driver_is_unknown() -> None:
    (absent,) = judge_use([], Surmise(device_files=False))
    assert (absent.code, absent.verdict) == ("GPU_NOT_USED", "fail")
    (hung,) = judge_use([], Surmise(device_files=None))
    assert (hung.code, hung.verdict) == ("GPU_USE_UNKNOWN", "unknown")


def test_each_device_of_the_server_is_judged() -> None:
    uses = [a_use(statistics_of([50.0] * 6)), a_use(statistics_of([0.0] * 6))]
    assert [f.code for f in judge_use(uses, HAS_FILES)] == ["GPU_BUSY", "GPU_NOT_USED"]
