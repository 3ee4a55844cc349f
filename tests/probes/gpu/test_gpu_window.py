"""A window of samples: its figures, what a working device shows, and GPU_NOT_USED."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from infertune_probes.contract.terminal import table
from infertune_probes.gpu.reading import Device
from infertune_probes.gpu.section import tables
from infertune_probes.gpu.window import DeviceSample, Window, device_window, growth
from tests.probes.gpu.machine import Machine, codes_of, evidence, gpu_result, verdicts
from tests.probes.gpu.scenarios import GIB, LOST, Value, h100, uuid_of

if TYPE_CHECKING:
    from infertune_probes.gpu.witnesses import Sight

WHO = f"device 0 ({uuid_of(0)})"
WATCH = ("--window", "0.6", "--interval", "0.1")
# What the child that samples sees; a list of values starts anew with it.
BUSY: dict[str, Value] = {"sm": 97, "memory_controller": 60, "reasons": 0}


def test_a_window_has_the_fields_of_dmon_with_their_numbers_of_samples(machine: Machine) -> None:
    """Power: 100, 200 and 300 W; the mean is 200 W. All else stays as it is."""
    changes: dict[str, Value] = {"power": "100000,200000,300000", "pcie_rx": 2_000}
    machine.driver(h100(**{**BUSY, **changes}, encoder=5, decoder=7, pcie_tx=1_000))
    ran = machine.run("--window", "0.3", "--interval", "0.1")
    window = gpu_result(ran).window
    assert window is not None
    assert (window.ticks, window.interval_seconds, window.failure) == (3, 0.1, None)
    (device,) = window.devices
    told = {name: (f.n, f.minimum, f.mean, f.maximum) for name, f in device.fields.items()}
    assert told == {
        "powerWatts": (3, 100.0, 200.0, 300.0),
        **{name: (3, value, value, value) for name, value in constant_fields().items()},
    }
    assert [value for _, value in device.courses["powerWatts"]] == [100.0, 200.0, 300.0]
    mean = next(m for m in ran.envelope.measurements if m.name == "gpu0_window_powerWatts_mean")
    assert (mean.value, mean.unit, mean.n) == (200.0, "W", 3)


def constant_fields() -> dict[str, float]:
    return {
        "temperatureCelsius": 31.0,
        "memoryTemperatureCelsius": 42.0,
        "smPercent": 97.0,
        "memoryControllerPercent": 60.0,
        "encoderPercent": 5.0,
        "decoderPercent": 7.0,
        "jpegPercent": 0.0,
        "opticalFlowPercent": 0.0,
        "memoryClockMegahertz": 2619.0,
        "smClockMegahertz": 345.0,
        "framebufferUsedBytes": GIB / 2,
        "bar1UsedBytes": 2.0**20,
        "pcieReceivedBytesPerSecond": 2e6,
        "pcieSentBytesPerSecond": 1e6,
        "pcieGeneration": 5.0,
        "pcieWidth": 16.0,
        "performanceState": 0.0,
    }


@pytest.mark.parametrize(
    ("change", "code", "verdict", "words"),
    [
        pytest.param(
            {"pcie_generation": 3},
            *("PCIE_UNDER_LOAD", "warn", "generation 3 of 5, width 16 of 16 in 6 samples"),
            id="a-slow-link",
        ),
        pytest.param(
            {"pcie_width": 8}, "PCIE_UNDER_LOAD", "warn", "width 8 of 16", id="a-narrow-link"
        ),
        pytest.param(
            {"pcie_generation": "1,1,5"},
            *("PCIE_UNDER_LOAD", "pass", "generation 5 of 5"),
            id="a-link-that-comes-up-under-load",
        ),
        pytest.param(
            {"reasons": 0x80},
            *("HW_SLOWDOWN", "fail", "under load, power brake in 100 % of 6 samples"),
            id="a-power-brake-under-load-is-a-defect",
        ),
        pytest.param(
            {"reasons": 0x20, "violation1": "0,0,50000000,100000000,150000000,200000000,250000000"},
            *("SW_THERMAL_SLOWDOWN", "warn", "under load, in 100 % of samples, clocks held back"),
            id="the-driver-cools-under-load",
        ),
        pytest.param(
            {"reasons": 0x4},
            *("POWER_CAPPED", "pass", "in 100 % of the loaded samples, limit 700 W"),
            id="a-power-cap-under-load-is-normal",
        ),
        pytest.param(
            {"pstate": 8},
            *("PERFORMANCE_STATE_LOW", "warn", "never better than P8 while it worked"),
            id="a-low-state-under-load",
        ),
        pytest.param(
            {"ecc_corrected": "3,3,3,4,5"},
            *("ECC_GROWING", "warn", "2 corrected ECC errors in the window"),
            id="corrected-errors-that-grow",
        ),
        pytest.param(
            {"ecc_uncorrected": "0,0,0,1"},
            *("ECC_UNCORRECTED", "fail", "1 uncorrected ECC errors in the window"),
            id="an-uncorrected-error-in-the-window",
        ),
        pytest.param(
            {"pcie_replays": "7,7,9"},
            *("PCIE_REPLAYS", "warn", "2 replays in the window"),
            id="replays-that-grow",
        ),
        pytest.param(
            {"temperature": f"31,31,31,{LOST}"},
            *("DEVICE_LOST", "fail", "GPU is lost"),
            id="off-the-bus-in-the-window",
        ),
    ],
)
def test_what_a_working_device_shows(
    machine: Machine, change: dict[str, Value], code: str, verdict: str, words: str
) -> None:
    machine.driver(h100(**{**BUSY, **change}))
    ran = machine.run(*WATCH)
    found = [f for f in ran.envelope.findings if f.code == code and words in f.evidence]
    assert [(f.verdict, f.evidence.startswith(WHO)) for f in found] == [(verdict, True)]


def test_a_device_at_rest_is_not_judged_by_its_link_or_its_clocks(machine: Machine) -> None:
    machine.driver(h100(pcie_generation=1, reasons=0x88, pstate=8))
    ran = machine.run(*WATCH)
    assert codes_of(ran, "PCIE_UNDER_LOAD", "PERFORMANCE_STATE_LOW", "POWER_CAPPED") == []
    assert verdicts(ran)["HW_SLOWDOWN"] == "warn"


def test_a_window_that_the_driver_ends_keeps_what_there_was(machine: Machine) -> None:
    machine.driver(h100(sm_clock="345,1980,hang"))
    ran = machine.run(*WATCH, "--deadline-seconds", "8")
    assert (ran.exit_code, verdicts(ran)["WINDOW_CUT"]) == (1, "fail")
    assert "2 samples in nvmlDeviceGetClockInfo of device 0: no answer" in evidence(
        ran, "WINDOW_CUT"
    )
    window = gpu_result(ran).window
    assert window is not None
    assert (window.ticks, window.devices[0].fields["smClockMegahertz"].n) == (2, 2)


def test_processes_have_their_memory_and_their_mean_use(machine: Machine) -> None:
    """pid 4242 used 80, then 40 % of the SMs in turn; the mean of the six samples is 60 %."""
    use = ",".join(["4242:80:30:0:0;77:1:1:0:0", "4242:40:10:0:0;77:1:1:0:0"] * 3)
    machine.driver(
        h100(**BUSY, compute=f"4242:{20 * GIB};77:na", graphics="99:1048576", process_use=use)
    )
    ran = machine.run(*WATCH)
    (device,) = gpu_result(ran).devices
    told = [(t.pid, t.kind, t.ours, t.used_memory_bytes, t.use) for t in device.tenants]
    fields = ("smPercent", "memoryControllerPercent", "encoderPercent", "decoderPercent")
    busy = dict(zip(fields, (60.0, 20.0, 0.0, 0.0), strict=True))
    assert told == [
        (4242, "compute", None, 20 * GIB, busy),
        (99, "graphics", None, 1 << 20, {}),
        (77, "compute", None, None, dict(zip(fields, (1.0, 1.0, 0.0, 0.0), strict=True))),
    ]
    assert codes_of(ran, "HIDDEN_USE", "GRAPHICS_PROCESS") == ["HIDDEN_USE", "GRAPHICS_PROCESS"]


def test_a_busy_device_passes_where_it_is_expected_to_be_busy(machine: Machine) -> None:
    machine.driver(h100(**BUSY))
    ran = machine.run(*WATCH, "--expect-busy")
    assert (ran.exit_code, verdicts(ran)["GPU_BUSY"]) == (0, "pass")
    assert evidence(ran, "GPU_BUSY") == f"{WHO}: SM mean 97.0 %, peak 97 % in 6 samples"


def test_a_server_with_a_cpu_build_does_not_use_its_device(machine: Machine) -> None:
    machine.driver(h100())
    machine.torch()
    ran = machine.run(*WATCH, "--expect-busy")
    assert (ran.exit_code, verdicts(ran)["GPU_NOT_USED"]) == (1, "fail")
    assert evidence(ran, "GPU_NOT_USED") == (
        f"{WHO}: SM mean 0.0 %, peak 0 % in 6 samples; torch 2.8.0 is a build without CUDA"
    )


def test_use_that_the_driver_does_not_tell_is_unknown(machine: Machine) -> None:
    machine.driver(h100(sm=None))
    ran = machine.run(*WATCH, "--expect-busy")
    assert (ran.exit_code, verdicts(ran)["GPU_USE_UNKNOWN"]) == (0, "unknown")


def test_the_course_of_a_long_window_is_thinned_and_shared_by_the_devices() -> None:
    """1,000 samples: one device keeps every 4th (250), each of sixteen every 7th (143)."""
    for devices, points in ((1, 250), (16, 143)):
        window = Window(1.0)
        window.samples = [
            DeviceSample(float(at), index, {"smPercent": 1.0}, {}, None, (), (), None)
            for index in range(devices)
            for at in range(1000)
        ]
        courses = device_window(window, 0)["courses"]
        assert isinstance(courses, dict)
        assert len(courses["smPercent"]) == points


@pytest.mark.parametrize(
    ("counts", "grown"),
    [([], None), ([5], None), ([5, 5], 0), ([5, 7, 8], 3), ([5, 7, 1, 2], 4)],
    ids=["never", "once", "still", "growing", "after-the-driver-was-loaded-anew"],
)
def test_a_counter_that_was_read_once_says_nothing_about_growth(
    counts: list[int], grown: int | None
) -> None:
    samples = [
        DeviceSample(float(at), 0, {}, {"pcieReplays": count}, None, (), (), None)
        for at, count in enumerate(counts)
    ]
    assert growth(samples, "pcieReplays") == grown


def test_more_samples_than_the_probe_can_hold_are_refused_with_the_fix(machine: Machine) -> None:
    machine.driver(h100())
    process = machine.start("--window", "3600", "--interval", "0.1")
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "--window 3600 has more than 1000 samples; raise --interval" in stderr


def test_a_terminal_is_wide_enough_for_many_devices() -> None:
    """Memory as nvidia-smi counts it; of more than two devices the fields that matter."""
    facts = {
        "name": "NVIDIA H100 80GB HBM3",
        "temperatureCelsius": 31.0,
        "powerWatts": 70.5,
        "powerLimitWatts": 700.0,
        "utilisationPercent": 90.0,
        "memoryUsedBytes": GIB // 2,
        "memoryTotalBytes": 80 * GIB,
        "eventReasons": 4,
    }
    three = [Device({**facts, "index": index}) for index in range(3)]
    sight = cast("Sight", SimpleNamespace(nvml=SimpleNamespace(devices=three)))
    values = {"smPercent": 90.0, "encoderPercent": 0.0}
    window = Window(1.0, [DeviceSample(0.0, i, values, {}, 4, (), (), None) for i in range(3)])
    devices, _, watched = tables(sight, window, {})
    last = ("2", "H100 80GB HBM3", "31", "70.5", "700", "90", "0.5", "80.0", "software power cap")
    assert devices.rows[2] == last
    assert max(map(len, table(devices).splitlines())) <= 80
    assert [row[:2] for row in watched.rows] == [(str(index), "smPercent") for index in range(3)]
