"""The versions probe as a process: on this machine, and over stand-ins for NVML and torch."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from infertune_probes.versions import codes
from tests.probes.versions.staging import (
    CPU_BUILD,
    H100,
    OPEN_MODULE,
    TORCH,
    result_of,
    run_versions,
    the_535_node,
)

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("smi", "capability"),
    [
        ("echo '535.98, 1, GPU-b, NVIDIA A10, 8.6'", "8.6"),
        ("echo '535.98, 1, GPU-b, NVIDIA A10, [N/A]'", None),
        ('case "$*" in *compute_cap*) exit 2;; esac; echo "535.98, 1, GPU-b, NVIDIA A10"', None),
    ],
)
def test_without_nvml_for_python_nvidia_smi_tells_of_the_devices(
    tmp_path: Path, smi: str, capability: str | None
) -> None:
    ran = run_versions(tmp_path, "--host-only", tools={"nvidia-smi": smi})
    assert [(f.code, f.verdict) for f in ran.envelope.findings] == [("DRIVER_KNOWN", "pass")]
    (device,) = result_of(ran).devices
    assert (device.index, device.uuid, device.name) == (1, "GPU-b", "NVIDIA A10")
    assert (device.compute_capability, device.brand) == (capability, None)


def test_without_a_gpu_everything_is_unknown_with_its_reason_and_quick(tmp_path: Path) -> None:
    began = time.monotonic()
    ran = run_versions(tmp_path)
    assert time.monotonic() - began < 20.0
    assert (ran.exit_code, ran.stderr) == (0, "")
    assert {f.code: f.verdict for f in ran.envelope.findings} == {
        "DRIVER_UNKNOWN": "unknown",
        "STACK_UNKNOWN": "unknown",
        "KERNEL_NOT_TRIED": "unknown",
    }
    assert "nvml: Driver Not Loaded; nvidia-smi: not installed" in ran.envelope.findings[0].evidence
    silent = [told for told in result_of(ran).libraries if not (told.version or told.reason)]
    assert silent == []


def test_torch_2_7_of_cuda_12_6_on_driver_535_is_minor_version_compatible(tmp_path: Path) -> None:
    ran = the_535_node(tmp_path)
    assert [(f.code, f.verdict) for f in ran.envelope.findings] == [
        ("DRIVER_KNOWN", "pass"),
        ("STACK_MINOR_VERSION", "warn"),
        ("ARCHITECTURE_SUPPORTED", "pass"),
        ("CUDNN_FITS", "pass"),
        ("KERNEL_LAUNCHED", "pass"),
    ]
    result = result_of(ran)
    assert (result.driver_version, result.cuda_driver_version) == ("535.98", "12.2")
    assert [(told.name, told.version) for told in result.driver_sources] == [
        ("kernel module", "535.98"),
        ("nvml", "535.98"),
        ("nvidia-smi", "535.98"),
    ]
    assert [device.model_dump() for device in result.devices] == [
        {
            "index": 0,
            "uuid": "GPU-a",
            "name": "NVIDIA H100",
            "brand": "nvidia",
            "compute_capability": "9.0",
        }
    ]
    assert result.torch is not None
    assert result.torch.model_dump(exclude={"python"}) == {
        "version": "2.7.0+cu126",
        "git": "abc123",
        "cuda": "12.6",
        "hip": None,
        "architectures": ("sm_80", "sm_90", "compute_90"),
        "cudnn_compiled": "9.5.1",
        "cudnn_loaded": "9.5.1",
        "nccl": "2.26.2",
    }
    assert result.launches is not None
    assert [(one.device, one.ok) for one in result.launches] == [(0, True)]
    assert [(m.name, m.unit, m.n) for m in ran.envelope.measurements] == [
        ("gpu0_first_kernels", "s", 1)
    ]


@pytest.mark.parametrize(
    ("changed", "code", "verdict", "evidence"),
    [
        pytest.param(
            {"module": OPEN_MODULE.replace("535.98", "535.104.05")},
            "DRIVER_DISAGREES",
            "fail",
            "kernel module: 535.104.05; nvml: 535.98",
            id="an update without a reboot",
        ),
        pytest.param(
            {"nvml": {"init": "Driver/library version mismatch"}, "tools": {}},
            "DRIVER_DISAGREES",
            "fail",
            "version mismatch",
            id="NVML says so itself",
        ),
        pytest.param(
            {
                "torch": {**TORCH, "version": "2.15.0", "cuda": "13.2"},
                "nvml": {"driver": "545.23.08", "cuda": 12030, "devices": [H100]},
                "tools": {},
                "module": None,
            },
            "STACK_UNSUPPORTED",
            "fail",
            "needs 580 or newer",
            id="a torch too new for the driver",
        ),
        pytest.param(
            {"torch": {**TORCH, "version": "2.4.1", "cuda": "12.1"}},
            "STACK_NATIVE",
            "pass",
            "knows CUDA 12.2",
            id="a torch older than the driver",
        ),
        pytest.param(
            {"torch": {**TORCH, "version": "2.7.0+cpu", "cuda": None}},
            "STACK_CPU_ONLY",
            "fail",
            "built without CUDA",
            id="a CPU build beside a GPU",
        ),
        pytest.param(
            {"torch": {**TORCH, "cuda": None, "hip": "6.3"}},
            "STACK_UNKNOWN",
            "unknown",
            "ROCm 6.3",
            id="a build for another vendor",
        ),
        pytest.param(
            {"torch": {**TORCH, "architectures": "sm_70 compute_70"}},
            "ARCHITECTURE_PTX_ONLY",
            "warn",
            "compute capability 9.0",
            id="only PTX",
        ),
        pytest.param(
            {"torch": {**TORCH, "architectures": "sm_100 sm_120"}},
            "ARCHITECTURE_MISSING",
            "fail",
            "sm_100 sm_120",
            id="no code at all",
        ),
        pytest.param(
            {"torch": {**TORCH, "architectures": ""}},
            "ARCHITECTURE_UNKNOWN",
            "unknown",
            "the architecture list cannot be read",
            id="no list",
        ),
        pytest.param(
            {"torch": {**TORCH, "cudnn_loaded": 8902}},
            "CUDNN_TOO_OLD",
            "fail",
            "compiled with cuDNN 9.5.1, loaded 8.9.2",
            id="another cuDNN is found first",
        ),
        pytest.param(
            {"hints": {"CUDA_VERSION": "11.8.0"}},
            "RELEASE_DISAGREES",
            "warn",
            "CUDA_VERSION is 11.8.0, torch is built with CUDA 12.6",
            id="base image and torch of two CUDA majors",
        ),
        pytest.param(
            {"hints": {"CUDA_VISIBLE_DEVICES": ""}},
            "DEVICES_HIDDEN",
            "warn",
            "CUDA_VISIBLE_DEVICES=''",
            id="no device is visible",
        ),
        pytest.param(
            {"hints": {"NVIDIA_REQUIRE_CUDA": "cuda>=12.4", "NVIDIA_DISABLE_REQUIRE": "1"}},
            "REQUIREMENT_NOT_MET",
            "fail",
            "NVIDIA_DISABLE_REQUIRE let the container start",
            id="a demand that was switched off",
        ),
        pytest.param(
            {"hints": {"NVIDIA_REQUIRE_CUDA": "cuda>=12.4 brand=nvidia,driver>=535,driver<536"}},
            "REQUIREMENT_MET",
            "pass",
            "brand nvidia",
            id="met by the driver's branch",
        ),
        pytest.param(
            {"hints": {"NVIDIA_REQUIRE_CUDA": "cuda => 12.4"}},
            "REQUIREMENT_UNKNOWN",
            "unknown",
            "'cuda' is no comparison",
            id="a demand nobody can read",
        ),
    ],
)
def test_what_is_told_of_a_node(
    tmp_path: Path, changed: dict[str, Any], code: str, verdict: str, evidence: str
) -> None:
    ran = the_535_node(tmp_path, **changed)
    (found,) = [finding for finding in ran.envelope.findings if finding.code == code]
    assert (found.verdict, evidence in found.evidence) == (verdict, True), found.evidence
    assert ran.exit_code == (1 if ran.envelope.verdict == "fail" else 0)
    assert bool(found.fix) is (verdict != "pass")


def test_kernels_are_tried_on_every_device_until_one_hangs(tmp_path: Path) -> None:
    kernels = ("right", "wrong", "no kernel image is available for execution", "hang", "right")
    devices = [{"capability": [9, 0], "kernel": kernel} for kernel in kernels]
    flags = ("--deadline-seconds", "2")
    ran = the_535_node(tmp_path, *flags, torch={**TORCH, "devices": devices})
    told = [(f.code, f.evidence) for f in ran.envelope.findings if f.code.startswith("KERNEL_")]
    assert told == [
        ("KERNEL_LAUNCHED", "device 0 (GPU 0): right results"),
        ("KERNEL_FAILED", "device 1: the sum is 1000001.0, the product 65.0"),
        ("KERNEL_FAILED", "device 2: no kernel image is available for execution"),
        ("KERNEL_HUNG", "after 3 devices: no answer within 2 s"),
    ]
    assert ran.exit_code == 1


@pytest.mark.parametrize("sign", [{"processes": 1, "used": 900}, {"processes": 0, "used": 60_000}])
@pytest.mark.parametrize("launch", ["idle", "all"])
def test_a_device_in_use_is_spared_unless_all_are_asked_for(
    tmp_path: Path, sign: dict[str, int], launch: str
) -> None:
    """Of three devices the middle one serves: a context would take memory that it may need."""
    states = ({"processes": 0, "used": 900}, sign, {"processes": 0, "used": 900})
    seen = [{**H100, "uuid": f"GPU-{i}", **state} for i, state in enumerate(states)]
    nvml = {"driver": "535.98", "cuda": 12020, "devices": seen}
    devices = [{"capability": [9, 0], "kernel": "right", "uuid": f"GPU-{i}"} for i in range(3)]
    ran = the_535_node(tmp_path, "--launch", launch, nvml=nvml, torch={**TORCH, "devices": devices})
    launches = result_of(ran).launches
    assert launches is not None
    told = [f.evidence[:16] for f in ran.envelope.findings if f.code == "KERNEL_NOT_TRIED"]
    if launch == "all":
        assert ([one.device for one in launches], told) == ([0, 1, 2], [])
    else:
        assert ([one.device for one in launches], told) == ([0, 2], ["device 1: in use"])


def test_whoever_interrupts_it_still_learns_of_the_driver(tmp_path: Path) -> None:
    """A kernel hangs beyond the whole deadline: driver and devices were told before."""
    hanging = {**TORCH, "devices": [{"capability": [9, 0], "kernel": "hang"}]}
    ran = the_535_node(tmp_path, "--total-seconds", "4", torch=hanging)
    assert (ran.exit_code, ran.envelope.partial) == (2, True)
    assert ran.codes == ["DRIVER_KNOWN", "DEADLINE_EXCEEDED"]
    assert (result_of(ran).driver_version, result_of(ran).torch) == ("535.98", None)


def test_sixteen_devices_are_sixteen_answers(tmp_path: Path) -> None:
    seen = [{**H100, "uuid": f"GPU-{i}"} for i in range(16)]
    nvml = {"driver": "535.98", "cuda": 12020, "devices": seen}
    devices = [{"capability": [9, 0], "kernel": "right"}] * 16
    ran = the_535_node(tmp_path, nvml=nvml, torch={**TORCH, "devices": devices})
    assert ran.codes.count("KERNEL_LAUNCHED") == ran.codes.count("ARCHITECTURE_SUPPORTED") == 16
    assert ran.exit_code == 0


def test_no_kernel_is_launched_when_nobody_asks_for_it(tmp_path: Path) -> None:
    hanging = {**TORCH, "devices": [{"capability": [9, 0], "kernel": "hang"}]}
    ran = the_535_node(tmp_path, "--launch", "none", torch=hanging)
    assert [code for code in ran.codes if code.startswith("KERNEL_")] == []
    assert (result_of(ran).launches, ran.envelope.measurements) == (None, ())


def test_the_host_alone_says_nothing_of_the_image_it_is_asked_from(tmp_path: Path) -> None:
    ran = the_535_node(tmp_path, "--host-only", torch={**TORCH, "cuda": "13.2"})
    assert [(f.code, f.verdict) for f in ran.envelope.findings] == [("DRIVER_KNOWN", "pass")]
    told = result_of(ran)
    assert (told.driver_version, told.torch, told.libraries) == ("535.98", None, ())
    assert [device.compute_capability for device in told.devices] == ["9.0"]


def test_a_driver_that_hangs_is_a_finding_and_nothing_else_is_asked_of_it(tmp_path: Path) -> None:
    began = time.monotonic()
    asked = tmp_path / "asked"
    smi = {"nvidia-smi": f"touch {asked}; echo 535.98"}
    ran = the_535_node(tmp_path, "--deadline-seconds", "1.5", nvml={"hang": 60}, tools=smi)
    assert time.monotonic() - began < 15.0
    assert (ran.exit_code, asked.exists()) == (1, False)
    assert "DRIVER_HUNG" in ran.codes
    assert [f.evidence for f in ran.envelope.findings if f.code == "KERNEL_NOT_TRIED"] == [
        "not tried, because NVML hung"
    ]


def test_a_cpu_build_where_there_is_no_gpu_is_no_failure(tmp_path: Path) -> None:
    ran = run_versions(tmp_path, torch=CPU_BUILD)
    (found,) = [f for f in ran.envelope.findings if f.code == codes.STACK_CPU_ONLY.name]
    assert (found.verdict, ran.exit_code) == ("warn", 0)


def test_only_the_environment_that_speaks_of_cuda_leaves_the_container(tmp_path: Path) -> None:
    hints = {"CUDA_VERSION": "12.6.3", "DATABASE_PASSWORD": "secret"}
    ran = run_versions(tmp_path, hints=hints)
    assert result_of(ran).hints == {"CUDA_VERSION": "12.6.3"}
    assert "secret" not in json.dumps(ran.envelope.model_dump(mode="json"))
