"""NVIDIA_REQUIRE_CUDA is read as the container toolkit reads it, and unknown facts stay unknown."""

from __future__ import annotations

import pytest

from infertune_probes.contract.require_cuda import (
    Condition,
    Malformed,
    driver_branches,
    holds,
    parse,
)

BRANCHES = (
    "cuda>=13.0 brand=tesla,driver>=535,driver<536 brand=nvidia,driver>=535,driver<536 "
    "brand=tesla,driver>=550,driver<551"
)


def test_spaces_are_or_and_commas_are_and() -> None:
    assert parse("cuda>=12.4 brand=tesla,driver<536") == (
        (Condition("cuda", ">=", "12.4"),),
        (Condition("brand", "=", "tesla"), Condition("driver", "<", "536")),
    )


@pytest.mark.parametrize(
    ("text", "host", "answer"),
    [
        (BRANCHES, {"cuda": "13.0", "driver": "580.65"}, True),
        (BRANCHES, {"cuda": "12.4", "driver": "550.54.15", "brand": "Tesla"}, True),
        (BRANCHES, {"cuda": "12.4", "driver": "550.54.15", "brand": "nvidia"}, False),
        (BRANCHES, {"cuda": "12.4", "driver": "550.54.15"}, None),
        (BRANCHES, {"cuda": "12.4", "driver": "545.23"}, False),
        (BRANCHES, {}, None),
        ("arch>=7.5", {"arch": "7.0"}, False),
        ("arch>=7.5", {"arch": "12.0"}, True),
        ("driver=535", {"driver": "535.0"}, True),
        ("driver!=535", {"driver": "535.0"}, False),
        ("driver<=535,driver>534", {"driver": "535"}, True),
        ("brand!=geforce", {"brand": "geforce"}, False),
        ("cuda>=12.x", {"cuda": "12.4"}, True),
        ("cuda>=x", {"cuda": "12.4"}, None),
        ("", {}, True),
    ],
)
def test_whether_a_host_meets_it(
    text: str, host: dict[str, str | None], answer: bool | None
) -> None:
    assert holds(text, host) is answer


@pytest.mark.parametrize("text", ["cuda >= 12.4", "cuda>=12.4,", "gpu>=1", "cuda=>12", "cuda"])
def test_what_is_no_expression_is_refused_by_its_word(text: str) -> None:
    with pytest.raises(Malformed, match="is no comparison"):
        parse(text)


def test_the_branches_that_an_image_brings_cuda_compat_for() -> None:
    assert driver_branches(BRANCHES) == (535, 550)
    assert driver_branches("cuda>=13.0 driver>=580") == ()
