"""Signs of sickness of a device at rest, one at a time, on an otherwise healthy one."""

from __future__ import annotations

import pytest

from tests.probes.gpu.machine import Machine, evidence, gpu_result, verdicts
from tests.probes.gpu.scenarios import NO_PERMISSION, Value, h100, t4, uuid_of

WHO = f"device 0 ({uuid_of(0)})"


@pytest.mark.parametrize(
    ("change", "code", "verdict", "words"),
    [
        pytest.param(
            {"ecc_uncorrected": 2, "ecc_uncorrected_aggregate": 2},
            *("ECC_UNCORRECTED", "fail", "2 uncorrected ECC errors since the driver was loaded"),
            id="uncorrected-ecc",
        ),
        pytest.param(
            {"ecc_uncorrected_aggregate": 7},
            *("ECC_HISTORY", "warn", "7 uncorrected ECC errors in its life"),
            id="old-ecc",
        ),
        pytest.param(
            {"ecc_mode": 0},
            *("ECC_OFF", "warn", "ECC is off; it will be on after the next reset"),
            id="ecc-off-until-a-reset",
        ),
        pytest.param(
            {"rows_failure": 1, "rows_uncorrected": 9},
            *("ROW_REMAP_FAILED", "fail", "9 rows remapped after such errors"),
            id="no-spare-row-left",
        ),
        pytest.param(
            {"rows_pending": 1}, "ROW_REMAP_PENDING", "warn", "a remap is pending", id="row-pending"
        ),
        pytest.param({"inforom": "!14"}, "INFOROM_CORRUPT", "fail", "corrupted", id="inforom"),
        pytest.param(
            {"field230": 4},
            *("RECOVERY_NEEDED", "fail", "the driver asks to drain, then reset the GPU"),
            id="driver-wants-a-reset",
        ),
        pytest.param(
            {"field230": 99}, "RECOVERY_NEEDED", "fail", "recovery action 99", id="a-newer-action"
        ),
        pytest.param(
            {"reasons": 0x48},
            *("HW_SLOWDOWN", "warn", "hardware slowdown, hardware thermal slowdown, in one look"),
            id="hardware-slowdown-at-rest-is-a-hint",
        ),
        pytest.param(
            {"reasons": 0x20, "temperature": 83},
            *("SW_THERMAL_SLOWDOWN", "warn", "83 degrees Celsius"),
            id="driver-cools",
        ),
        pytest.param(
            {"temperature": 85},
            *("TEMPERATURE_HIGH", "warn", "85 degrees Celsius, 4 degrees below its slowdown"),
            id="little-margin",
        ),
        pytest.param(
            {"temperature": 90, "margin": -1},
            *("TEMPERATURE_HIGH", "fail", "-1 degrees below"),
            id="no-margin-in-the-driver's-own-words",
        ),
        pytest.param(
            {"power_limit": 500_000},
            *("POWER_LIMIT_LOWERED", "warn", "limit 500 W, default 700 W"),
            id="power-limit",
        ),
        pytest.param(
            {"app_graphics": 1000, "app_default_graphics": 1980},
            *("CLOCKS_LOCKED", "warn", "application clock 1000 MHz, default 1980 MHz"),
            id="application-clocks",
        ),
        pytest.param(
            {"reasons": 0x2, "sm_clock": 900},
            *("CLOCKS_LOCKED", "warn", "clocks held by a setting, now 900 MHz"),
            id="locked-clocks",
        ),
        pytest.param(
            {"persistence": 0}, "PERSISTENCE_OFF", "warn", "persistence mode is off", id="persist"
        ),
        pytest.param(
            {"compute_mode": 2}, "COMPUTE_PROHIBITED", "fail", "Prohibited", id="prohibited"
        ),
        pytest.param({"compute_mode": 3}, "COMPUTE_EXCLUSIVE", "warn", "Exclusive", id="exclusive"),
        pytest.param(
            {"mig_mode": 1, "mig_pending": 1, "mig_max": 7},
            *("MIG_EMPTY", "warn", "no instance is visible"),
            id="mig-without-instances",
        ),
        pytest.param({"mig_pending": 1}, "MIG_PENDING", "warn", "MIG will be on", id="mig-pending"),
        pytest.param(
            {"link3": 0, "link17": 0},
            *("NVLINK_DOWN", "warn", "2 of 18 links are down: 3, 17"),
            id="links-down",
        ),
        pytest.param(
            {"link0_recovery": 1, "link5_crc_flit": 12},
            *("NVLINK_ERRORS", "warn", "1 recoveries, 12 crcFlits"),
            id="link-errors",
        ),
        pytest.param(
            {"pcie_width": 8}, "PCIE_LINK", "unknown", "width 8 of 16, at rest", id="narrow-at-rest"
        ),
    ],
)
def test_a_sign(
    machine: Machine, change: dict[str, Value], code: str, verdict: str, words: str
) -> None:
    machine.driver(h100(**change))
    ran = machine.run()
    assert verdicts(ran)[code] == verdict
    assert evidence(ran, code).startswith(WHO)
    assert words in evidence(ran, code)
    assert ran.exit_code == (1 if verdict == "fail" else 0)
    expected = {"GPU_PRESENT", "XID_NONE", "PCIE_LINK", code}
    assert set(ran.codes) == (expected if verdict == "fail" else {*expected, "DEVICE_HEALTHY"})


def test_pages_that_wait_for_a_reset_on_an_older_card(machine: Machine) -> None:
    machine.driver(t4(retired_pending=1, retired_double=2))
    ran = machine.run()
    assert verdicts(ran)["PAGES_PENDING"] == "warn"
    assert "2 retired after double-bit errors" in evidence(ran, "PAGES_PENDING")


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"reasons": 0x4}, id="software-power-cap"),
        pytest.param({"pcie_generation": 1}, id="a-link-that-saves-power"),
        pytest.param({f"link{i}": 0 for i in range(18)}, id="nvlinks-that-lead-nowhere"),
        pytest.param({"ecc_corrected": 5}, id="errors-that-ecc-corrected"),
        pytest.param({"pcie_replays": 12}, id="old-replays"),
        pytest.param({"power_limit": 699_500}, id="a-limit-that-the-driver-rounded"),
    ],
)
def test_what_is_normal_raises_nothing(machine: Machine, change: dict[str, Value]) -> None:
    machine.driver(h100(**change))
    assert set(verdicts(machine.run()).values()) == {"pass"}


def test_what_nvml_may_not_tell_is_unknown_with_its_reason_and_never_zero(
    machine: Machine,
) -> None:
    hidden = {"ecc_uncorrected": NO_PERMISSION, "temperature": None, "reasons": "!999"}
    machine.driver(h100(**hidden))
    ran = machine.run()
    assert verdicts(ran)["HEALTH_PARTLY_UNKNOWN"] == "unknown"
    assert evidence(ran, "HEALTH_PARTLY_UNKNOWN") == (
        f"{WHO}: cannot be read: temperatureCelsius (Not Supported), "
        "eccUncorrected (Insufficient Permissions), eventReasons (Unknown Error)"
    )
    (device,) = gpu_result(ran).devices
    assert (device.ecc_uncorrected, device.temperature_celsius, device.event_reasons) == (
        *(None, None, None),
    )
    figure = next(m for m in ran.envelope.measurements if m.name == "gpu0_temperatureCelsius")
    assert (figure.value, figure.reason) == (None, "NVML: Not Supported")


def test_one_sick_device_of_two_is_named_by_its_uuid(machine: Machine) -> None:
    machine.driver(h100(0), h100(1, ecc_uncorrected=1))
    ran = machine.run()
    assert evidence(ran, "ECC_UNCORRECTED").startswith(f"device 1 ({uuid_of(1)}): 1 uncorrected")
    assert evidence(ran, "DEVICE_HEALTHY").startswith(WHO)
