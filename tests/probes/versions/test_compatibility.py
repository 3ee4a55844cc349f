"""Which software runs on which driver: cases whose answer is published or was read off an image."""

from __future__ import annotations

import pytest

from infertune_probes.contract.compatibility import (
    Driver,
    Judgement,
    Software,
    code_for,
    completed,
    cuda_of_driver,
    judge,
    newest_sets,
)
from infertune_probes.contract.cuda_facts import (
    FORWARD_BRANCHES,
    MINOR_VERSION_FLOOR,
    TOOLKITS,
    WHEELS,
)
from infertune_probes.contract.release import numbers, reaches, series

# What the image nvidia/cuda:12.4.1-base demands, shortened to two brands and two branches.
CUDA_12_4 = (
    "cuda>=12.4 brand=tesla,driver>=470,driver<471 brand=unknown,driver>=470,driver<471 "
    "brand=tesla,driver>=535,driver<536 brand=unknown,driver>=535,driver<536"
)


@pytest.mark.parametrize(
    ("software", "driver", "kind"),
    [
        pytest.param(
            Software(torch="2.7.0", cuda="12.6", cudnn="9"),
            Driver("535.98"),
            "minor-version",
            id="torch 2.7.0 with CUDA 12.6 on the 535 driver of a long-term branch",
        ),
        pytest.param(Software(torch="2.7.0"), Driver("560.28.03"), "native", id="by its wheel"),
        pytest.param(Software(torch="2.15.0"), Driver("580.65.06"), "minor-version", id="13.2"),
        pytest.param(Software(cuda="13.0.2"), Driver("580.65.06"), "native", id="the very driver"),
        pytest.param(Software(cuda="12.4"), Driver("550.40.07"), "minor-version", id="one too old"),
        pytest.param(Software(cuda="12.4"), Driver("550.54"), "native", id="a branch's short name"),
        pytest.param(Software(cuda="12.1"), Driver("595.10"), "native", id="driver of the future"),
        pytest.param(
            Software(cuda="13.2"), Driver("600.1", cuda="13.3"), "native", id="the driver says it"
        ),
        pytest.param(Software(cuda="11.8"), Driver("450.80.02"), "minor-version", id="the floor"),
        pytest.param(Software(cuda="11.8", compat=False), Driver("450.51"), "none", id="below it"),
        pytest.param(
            Software(torch="2.15.0", compat=False), Driver("550.54"), "none", id="neither"
        ),
        pytest.param(
            Software(cuda="13.0", compat=True),
            Driver("550.54.15", brand="tesla"),
            "forward",
            id="cuda-compat on a data-centre GPU",
        ),
        pytest.param(
            Software(cuda="13.0", compat=True),
            Driver("550.54.15", brand="geforce"),
            "none",
            id="cuda-compat on a gaming GPU",
        ),
        pytest.param(
            Software(cuda="13.0", compat=True), Driver("550.54.15"), "unknown", id="brand unknown"
        ),
        pytest.param(
            Software(cuda="13.0"),
            Driver("550.54.15", brand="tesla"),
            "unknown",
            id="has it compat?",
        ),
        pytest.param(
            Software(cuda="13.0", compat=True), Driver("470.82", brand="tesla"), "none", id="branch"
        ),
        pytest.param(
            Software(cuda="12.4", requires=CUDA_12_4),
            Driver("535.98", brand="geforce"),
            "none",
            id="the runtime refuses what the driver would run",
        ),
        pytest.param(
            Software(cuda="12.4", requires=CUDA_12_4),
            Driver("535.98"),
            "minor-version",
            id="a requirement that hangs on an unknown brand refuses nothing",
        ),
        pytest.param(
            Software(cuda="12.4", requires="cuda >= 12.4"),
            Driver("550.90"),
            "unknown",
            id="garbled",
        ),
        pytest.param(
            Software(cuda="13.0"), Driver("580.65.06", capabilities=("7.0",)), "none", id="Volta"
        ),
        pytest.param(
            Software(cuda="12.1"), Driver("580.65.06", capabilities=("12.0",)), "unknown", id="PTX?"
        ),
        pytest.param(Software(torch="2.7.0+cpu"), Driver(), "cpu", id="a build for the CPU"),
        pytest.param(Software(torch="2.7.0+rocm6.3"), Driver("550.54"), "unknown", id="ROCm"),
        pytest.param(Software(torch="9.9.9"), Driver("550.54"), "unknown", id="torch not listed"),
        pytest.param(Software(), Driver("550.54"), "unknown", id="nothing is known"),
        pytest.param(Software(cuda="12.4"), Driver(), "unknown", id="no driver is known"),
        pytest.param(Software(cuda="12.4"), Driver("nouveau"), "unknown", id="no version"),
        pytest.param(Software(cuda="10.2"), Driver("440.33"), "unknown", id="before the tables"),
    ],
)
def test_what_runs_on_which_driver(software: Software, driver: Driver, kind: str) -> None:
    judgement = judge(software, driver)
    assert (judgement.kind, judgement.runs) == (
        kind,
        {"none": False, "unknown": None}.get(kind, True),
    )
    assert judgement.reason
    assert bool(judgement.fix) or judgement.runs is not False


def test_a_refusal_names_both_versions_and_two_ways_out() -> None:
    found = judge(Software(torch="2.11.0", compat=False), Driver("550.54"))
    assert found == Judgement(
        "none",
        "driver 550.54 is too old for CUDA 13.x, which needs 580 or newer, and nothing brings "
        "cuda-compat-13-0 along",
        "install driver 580 or newer, or use an image built with CUDA 12.x, or on a data-centre "
        "GPU an image with cuda-compat-13-0",
    )


@pytest.mark.parametrize(
    ("torch", "wanted"),
    [
        ("2.7.1", Software("12.6", "2.7.1", "9.5.1.17", "2.26.2")),
        # Another patch release: only what the whole minor shares.
        ("2.7.0", Software("12.6", "2.7.0")),
        ("2.7.1+cu118", Software("11.8", "2.7.1+cu118")),
        ("2.7.1+cu126", Software("12.6", "2.7.1+cu126")),
        ("2.7.1+git", Software(None, "2.7.1+git")),
        ("2.7.1+cpu", Software(None, "2.7.1+cpu", cpu_only=True)),
    ],
)
def test_what_a_torch_release_brings_along(torch: str, wanted: Software) -> None:
    assert completed(Software(torch=torch)) == wanted


@pytest.mark.parametrize(
    ("driver", "wanted"),
    [
        ("550.54", [("2.10.0", "12.8", "minor-version"), ("2.6.0", "12.4", "native")]),
        ("570.86.15", [("2.10.0", "12.8", "native")]),
        ("595.10", [("2.15.0", "13.2", "minor-version"), ("2.14.1", "13.0", "native")]),
        ("470.82.01", [("2.0.1", "11.7", "minor-version")]),
        ("440.33", []),
    ],
)
def test_the_newest_torch_that_a_driver_runs(driver: str, wanted: list[tuple[str, ...]]) -> None:
    found = [(o.wheel.torch, o.wheel.cuda, o.kind) for o in newest_sets(Driver(driver))]
    assert found == wanted


@pytest.mark.parametrize(
    ("architectures", "capability", "entry"),
    [
        ("sm_80 sm_86 sm_90", "8.9", "sm_80"),
        ("sm_75 sm_86", "8.0", None),
        ("sm_90", "9.0", "sm_90"),
        ("sm_90a", "9.0", "sm_90a"),
        ("sm_100a", "10.3", None),
        ("sm_100f", "10.3", "sm_100f"),
        ("sm_50 sm_90 compute_90", "12.0", "compute_90"),
        ("sm_50 sm_90", "12.0", None),
        ("sm_120", "12.1", "sm_120"),
        ("nonsense sm_x", "8.0", None),
        ("", "8.0", None),
        ("sm_80", "none", None),
    ],
)
def test_which_entry_of_a_build_runs_on_a_device(
    architectures: str, capability: str, entry: str | None
) -> None:
    assert code_for(tuple(architectures.split()), capability) == entry


def test_versions_compare_by_number_and_as_precisely_as_they_are_given() -> None:
    assert numbers("v2.7.0+cu126") == (2, 7, 0)
    assert (numbers("latest"), numbers(None), series("12")) == (None, None, None)
    assert reaches("550.9", "550.10") is False
    assert reaches("550", "550.54.14") is True
    with pytest.raises(ValueError, match="nouveau"):
        reaches("nouveau", "550")


def test_the_tables_fall_from_newest_to_oldest() -> None:
    assert [numbers(c) for c, _ in TOOLKITS] == sorted((numbers(c) or () for c, _ in TOOLKITS))[
        ::-1
    ]
    assert [numbers(d) for _, d in TOOLKITS] == sorted((numbers(d) or () for _, d in TOOLKITS))[
        ::-1
    ]
    assert [numbers(w.torch) for w in WHEELS] == sorted(numbers(w.torch) or () for w in WHEELS)[
        ::-1
    ]
    for toolkit, carried in TOOLKITS:
        floor = MINOR_VERSION_FLOOR[int(toolkit.split(".")[0])]
        # 11.0 and 11.1 .. came out before the driver that makes all of 11.x compatible.
        assert reaches(carried, floor) or toolkit == "11.0"
        known = cuda_of_driver(Driver(carried))
        assert known == toolkit


def test_forward_compatibility_is_only_named_for_drivers_that_are_older() -> None:
    carried = {cuda: numbers(driver) or () for cuda, driver in TOOLKITS}
    for cuda, branches in FORWARD_BRANCHES.items():
        assert list(branches) == sorted(branches)
        assert cuda not in carried or branches[-1] < carried[cuda][0]
