"""Which GPUs are there: the real nvidia-ml-py on a scripted driver, and all other witnesses."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.probes.gpu.machine import Machine, codes_of, evidence, gpu_result, verdicts
from tests.probes.gpu.scenarios import GIB, h100, orin, t4, uuid_of

if TYPE_CHECKING:
    from pathlib import Path


def test_a_healthy_h100_on_which_all_agree(machine: Machine) -> None:
    machine.driver(h100())
    machine.smi(f"echo {uuid_of(0)}")
    machine.torch(devices=["NVIDIA H100 80GB HBM3"], cuda="12.8")
    ran = machine.run()
    codes = ["GPU_PRESENT", "DEVICE_HEALTHY", "PCIE_LINK", "XID_NONE"]
    assert (ran.exit_code, ran.codes, ran.envelope.verdict) == (0, codes, "pass")
    result = gpu_result(ran)
    assert (result.driver_version, result.cuda_driver_version) == ("580.65.06", "13.0")
    seen = {source.name: source.devices for source in result.sources}
    assert seen == {"pci": 1, "nvml": 1, "nvidia-smi": 1, "torch": 1, "tensorflow": None}
    (device,) = result.devices
    told = device.model_dump(exclude_none=True, exclude={"nvlinks", "unread", "clocks"})
    assert told == {
        "index": 0,
        "uuid": uuid_of(0),
        "name": "NVIDIA H100 80GB HBM3",
        "pci_bus_id": "00000000:3b:00.0",
        "serial": "1320920000",
        "vbios": "96.00.74.00.01",
        "minor_number": 0,
        "architecture": "Hopper",
        "compute_capability": "9.0",
        "memory_total_bytes": 80 * GIB,
        "memory_used_bytes": GIB // 2,
        "memory_free_bytes": 80 * GIB - GIB // 2,
        "inforom_valid": True,
        "bar1_total_bytes": 128 * GIB,
        "bar1_used_bytes": 1 << 20,
        "utilisation_percent": 0.0,
        "memory_utilisation_percent": 0.0,
        "temperature_celsius": 31.0,
        "power_watts": 70.5,
        "power_limit_watts": 700.0,
        "ecc_uncorrected": 0,
        "event_reasons": 1,
        "processes": 0,
        "recovery_action": 0,
        "performance_state": 0,
        "persistence_mode": True,
        "compute_mode": 0,
        "tenants": (),
        "thermal": {
            "slowdown_celsius": 89,
            "shutdown_celsius": 94,
            "max_operating_celsius": 87,
            "memory_celsius": 42,
        },
        "power": {"default_limit_watts": 700.0, "min_limit_watts": 200.0, "max_limit_watts": 700.0},
        "ecc": {
            "corrected": 0,
            "aggregate_corrected": 0,
            "aggregate_uncorrected": 0,
            "enabled": True,
            "enabled_after_reset": True,
        },
        "rows": {
            "remapped_correctable": 0,
            "remapped_uncorrectable": 0,
            "pending": False,
            "failure": False,
        },
        "violations": {
            "power_nanoseconds": 0,
            "thermal_nanoseconds": 0,
            "reliability_nanoseconds": 0,
            "board_limit_nanoseconds": 0,
        },
        "pcie": {
            "generation": 5,
            "max_generation": 5,
            "device_max_generation": 5,
            "width": 16,
            "max_width": 16,
            "replays": 0,
        },
        "mig": {"enabled": False, "enabled_after_reset": False},
    }
    assert device.clocks is not None
    assert (device.clocks.sm_megahertz, device.clocks.max_sm_megahertz) == (345, 1980)
    assert [link.active for link in device.nvlinks or ()] == [True] * 18
    assert device.unread["pages.pending"] == "Not Supported"
    assert ran.envelope.software is not None
    assert ran.envelope.software.torch == "2.8.0"


def test_a_healthy_t4_has_pages_in_place_of_rows_and_a_link_that_rests(machine: Machine) -> None:
    machine.driver(t4())
    ran = machine.run()
    assert ran.envelope.verdict == "pass"
    assert evidence(ran, "PCIE_LINK") == (
        f"device 0 ({uuid_of(0)}): generation 1 of 3, width 16 of 16, "
        "at rest: not judged under load"
    )
    (device,) = gpu_result(ran).devices
    assert device.pages is not None
    assert (device.rows, device.nvlinks, device.pages.pending) == (None, None, False)


@pytest.mark.parametrize(("flags", "code"), [((), 0), (("--require",), 1)])
def test_no_gpu_is_a_fact_and_only_a_failure_when_one_is_required(
    tmp_path: Path, flags: tuple[str, ...], code: int
) -> None:
    bare = Machine(tmp_path, None)
    bare.put_on_bus(0)
    ran = bare.run(*flags)
    (finding,) = ran.envelope.findings
    assert (ran.exit_code, finding.code) == (code, "NO_DEVICE")
    assert finding.verdict == ("fail" if flags else "unknown")
    words = "pci: 0; nvml: NVML Shared Library Not Found; nvidia-smi: not installed; torch: "
    assert finding.evidence.startswith(words)


def test_a_driver_with_zero_devices_is_no_device(machine: Machine) -> None:
    machine.driver()
    ran = machine.run()
    assert (ran.exit_code, ran.codes, gpu_result(ran).device_count) == (0, ["NO_DEVICE"], 0)


def test_sixteen_gpus_are_all_read(machine: Machine) -> None:
    machine.driver(*(h100(index) for index in range(16)))
    machine.smi("; ".join(f"echo {uuid_of(index)}" for index in range(16)))
    ran = machine.run("--window", "0.3", "--interval", "0.1")
    result = gpu_result(ran)
    assert [device.uuid for device in result.devices] == [uuid_of(index) for index in range(16)]
    assert ran.codes.count("DEVICE_HEALTHY") == 16
    assert result.window is not None
    assert [device.samples for device in result.window.devices] == [3] * 16


def test_a_jetson_is_recognised_and_no_pci_device_is_missed(machine: Machine) -> None:
    machine.driver(orin(), bus=0)
    (machine.root / "proc/device-tree").mkdir()
    model = "NVIDIA Jetson AGX Orin Developer Kit\0"
    (machine.root / "proc/device-tree/model").write_text(model)
    ran = machine.run()
    assert gpu_result(ran).integrated == "NVIDIA Jetson AGX Orin Developer Kit"
    assert ran.codes == ["INTEGRATED_GPU", "GPU_PRESENT", "HEALTH_PARTLY_UNKNOWN", "XID_NONE"]
    assert "temperatureCelsius (Not Supported)" in evidence(ran, "HEALTH_PARTLY_UNKNOWN")


def test_a_jetson_without_nvml_is_neither_absent_nor_present(tmp_path: Path) -> None:
    jetson = Machine(tmp_path, None)
    (jetson.root / "etc").mkdir()
    (jetson.root / "etc/nv_tegra_release").write_text("# R35 (release), REVISION: 4.1\n")
    assert verdicts(jetson.run()) == {"INTEGRATED_GPU": "pass", "GPU_UNKNOWN": "unknown"}


def test_mig_instances_are_listed_and_one_torch_device_is_no_disagreement(
    machine: Machine,
) -> None:
    divided = h100(
        mig_mode=1,
        mig_pending=1,
        mig_max=7,
        **{
            f"mig{i}__{name}": value
            for i in (0, 2)
            for name, value in {
                "uuid": f"MIG-{i}",
                "name": "NVIDIA H100 MIG 3g.40gb",
                "gpu_instance": i + 1,
                "compute_instance": 0,
                "memory_total": 40 * GIB,
                "memory_used": 0,
            }.items()
        },
    )
    machine.driver(divided, h100(1))
    machine.torch(devices=["NVIDIA H100 MIG 3g.40gb"], cuda="12.8")
    ran = machine.run()
    assert codes_of(ran, "MIG_ENABLED", "TORCH_DISAGREES", "MIG_EMPTY") == ["MIG_ENABLED"]
    first = gpu_result(ran).devices[0].mig
    assert first is not None
    assert first.instances is not None
    told = [(each.index, each.uuid, each.gpu_instance) for each in first.instances]
    assert told == [(0, "MIG-0", 1), (2, "MIG-2", 3)]


def test_a_device_that_no_driver_serves_is_not_called_absent(machine: Machine) -> None:
    machine.driver(init="!9", bus=1)
    ran = machine.run("--require")
    assert (ran.exit_code, ran.codes) == (1, ["GPU_NOT_USABLE", "XID_NONE"])
    assert "Driver Not Loaded" in evidence(ran, "GPU_NOT_USABLE")


def test_a_bus_that_cannot_be_read_proves_no_absence(machine: Machine) -> None:
    machine.script("init !9\n")
    (machine.root / "sys/bus/pci/devices").rmdir()
    ran = machine.run()
    assert (ran.exit_code, verdicts(ran)) == (0, {"GPU_UNKNOWN": "unknown"})


def test_a_container_that_was_given_one_of_eight_says_so(machine: Machine) -> None:
    machine.driver(h100(3), bus=8)
    machine.env |= {"NVIDIA_VISIBLE_DEVICES": uuid_of(3), "KUBERNETES_SERVICE_HOST": "10.0.0.1"}
    ran = machine.run()
    assert verdicts(ran)["FEWER_THAN_HOST"] == "pass"
    assert evidence(ran, "FEWER_THAN_HOST").startswith(
        f"NVIDIA_VISIBLE_DEVICES={uuid_of(3)}, 1 device files; 0000:3b:00.0, 0000:3c:00.0, "
        "0000:3d:00.0, 0000:3f:00.0"
    )


@pytest.mark.parametrize(
    ("env", "files"),
    [
        pytest.param({"NVIDIA_VISIBLE_DEVICES": "0"}, 2, id="by-the-variable"),
        pytest.param({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, 1, id="by-the-device-files"),
    ],
)
def test_either_sign_is_enough_that_a_container_was_given_less(
    machine: Machine, env: dict[str, str], files: int
) -> None:
    machine.driver(h100(), bus=2)
    machine.device_files(files)
    machine.env |= env
    assert verdicts(machine.run())["FEWER_THAN_HOST"] == "pass"


def test_a_device_on_the_bus_that_another_driver_holds_is_named_with_it(machine: Machine) -> None:
    machine.driver(h100(), bus=1)
    machine.put_on_bus(2, driver="vfio-pci")
    ran = machine.run()
    assert verdicts(ran)["ON_BUS_NOT_IN_NVML"] == "warn"
    assert evidence(ran, "ON_BUS_NOT_IN_NVML").startswith("bound to vfio-pci: 0000:3c:00.0;")


def test_a_device_on_the_bus_that_the_driver_left_out(machine: Machine) -> None:
    machine.driver(h100(), bus=2)
    machine.device_files(2)
    ran = machine.run()
    assert evidence(ran, "ON_BUS_NOT_IN_NVML").startswith("0000:3c:00.0;")


def test_a_device_that_fell_off_the_bus_reads_as_all_ones(machine: Machine) -> None:
    machine.driver(h100(), bus=2)
    (machine.function(machine.address(1)) / "config").write_bytes(b"\xff" * 64)
    ran = machine.run()
    assert (ran.exit_code, verdicts(ran)["GPU_OFF_BUS"]) == (1, "fail")
    assert evidence(ran, "GPU_OFF_BUS") == "0000:3c:00.0 reads as all ones"
    assert "ON_BUS_NOT_IN_NVML" not in ran.codes


def test_nvidia_smi_that_lists_other_devices_is_a_broken_driver(machine: Machine) -> None:
    machine.driver(h100())
    machine.smi("echo No devices were found")
    ran = machine.run()
    assert (ran.exit_code, verdicts(ran)["SOURCES_DISAGREE"]) == (1, "fail")
    assert evidence(ran, "SOURCES_DISAGREE").endswith(f"in one only: {uuid_of(0)}")


@pytest.mark.parametrize(
    ("torch", "env", "code"),
    [
        pytest.param({}, {}, "TORCH_CPU_BUILD", id="a-build-without-cuda"),
        pytest.param(
            {"cuda": "13.0", "complaint": "The NVIDIA driver on your system is too old (found ..)"},
            {},
            "TORCH_DRIVER_TOO_OLD",
            id="a-driver-that-is-too-old",
        ),
        pytest.param(
            {"cuda": "12.8", "complaint": "No CUDA GPUs are available"},
            {"CUDA_VISIBLE_DEVICES": ""},
            "TORCH_DEVICES_HIDDEN",
            id="hidden-by-an-empty-list",
        ),
        pytest.param(
            {"cuda": "12.8", "complaint": "No CUDA GPUs are available"},
            {"CUDA_VISIBLE_DEVICES": "7"},
            "TORCH_DEVICES_HIDDEN",
            id="hidden-by-an-index-that-is-not-there",
        ),
        pytest.param(
            {"cuda": "12.8", "complaint": "CUDA unknown error"},
            {},
            "TORCH_SEES_NONE",
            id="for-no-known-reason",
        ),
    ],
)
def test_why_torch_sees_no_device_that_nvml_sees(
    machine: Machine, torch: dict[str, object], env: dict[str, str], code: str
) -> None:
    machine.driver(h100())
    machine.torch(**torch)
    machine.env |= env
    ran = machine.run()
    assert [name for name in ran.codes if name.startswith("TORCH")] == [code]
    assert (ran.exit_code, verdicts(ran)[code]) == (1, "fail")
    assert str(torch.get("complaint", "built for CUDA none")) in evidence(ran, code)


def test_torch_without_the_device_file_that_cuda_needs(machine: Machine) -> None:
    machine.driver(h100())
    (machine.root / "dev/nvidia-uvm").unlink()
    machine.torch(cuda="12.8", complaint="CUDA unknown error")
    assert verdicts(machine.run())["TORCH_NO_DEVICE_NODE"] == "fail"


def test_torch_that_sees_fewer_devices_quotes_the_variable(machine: Machine) -> None:
    machine.driver(h100(0), h100(1))
    machine.torch(devices=["NVIDIA H100 80GB HBM3"], cuda="12.8")
    machine.env["CUDA_VISIBLE_DEVICES"] = "0"
    ran = machine.run()
    assert verdicts(ran)["TORCH_DISAGREES"] == "warn"
    assert evidence(ran, "TORCH_DISAGREES").startswith("CUDA_VISIBLE_DEVICES=0; torch 2.8.0")


def test_a_tensorflow_without_cuda_is_a_warning_beside_a_torch_that_works(
    machine: Machine,
) -> None:
    machine.driver(h100())
    machine.torch(devices=["NVIDIA H100 80GB HBM3"], cuda="12.8")
    machine.tensorflow()
    ran = machine.run()
    assert (ran.exit_code, verdicts(ran)["TENSORFLOW_SEES_NONE"]) == (0, "warn")
    assert evidence(ran, "TENSORFLOW_SEES_NONE").endswith(
        "torch: 1; tensorflow: 0; built for CUDA none"
    )


def test_a_library_that_cannot_be_imported_says_why(machine: Machine) -> None:
    machine.driver(h100())
    machine.tensorflow(devices=["/physical_device:GPU:0"], cuda="12.5")
    seen = {
        source.name: (source.devices, source.reason) for source in gpu_result(machine.run()).sources
    }
    assert seen["tensorflow"] == (1, None)
    assert seen["torch"] == (None, "cannot be imported: not one of this test")


def test_nothing_of_the_section_is_lost_on_the_way(machine: Machine) -> None:
    """What the envelope says is what the load side has read, word for word."""
    machine.driver(h100(), t4(1))
    ran = machine.run("--window", "0.2", "--interval", "0.1")
    wire = json.loads((machine.folder / "envelope.json").read_text())["result"]
    again = json.loads(gpu_result(ran).model_dump_json(by_alias=True, exclude_unset=True))
    assert again == wire
