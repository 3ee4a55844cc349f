"""Where the batch cap stands, and how it is read and turned without touching anything else."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infertune.api.status import BatchPlace, TemplateValues
from infertune.core.knobs import (
    KnobProblem,
    find_container,
    read_batch,
    set_flag,
    values_of,
    with_values,
)
from tests.builders import IMAGE, OTHER_IMAGE, container_of

ENV = BatchPlace(env="MAX_BATCH")
FLAG = BatchPlace(argument="--max-batch")
OTHERS = st.lists(
    st.sampled_from(["serve", "--port", "8080", "--max-batch-wait=3", "-v", "--max"]), max_size=6
)


@given(before=OTHERS, behind=OTHERS, value=st.integers(1, 999), form=st.sampled_from("= "))
def test_a_flag_is_set_in_its_own_form_and_set_back_to_the_letter(
    before: list[str], behind: list[str], value: int, form: str
) -> None:
    flag = [f"--max-batch={7}"] if form == "=" else ["--max-batch", "7"]
    args = (*before, *flag, *behind)
    turned = set_flag(args, "--max-batch", str(value))
    assert len(turned) == len(args)
    assert read_batch({"args": turned}, FLAG) == value
    assert set_flag(turned, "--max-batch", "7") == args


@given(args=OTHERS, value=st.integers(1, 999))
def test_a_flag_that_was_absent_is_added_and_taken_out_again(args: list[str], value: int) -> None:
    turned = set_flag(tuple(args), "--max-batch", str(value))
    assert turned == (*args, f"--max-batch={value}")
    assert set_flag(turned, "--max-batch", None) == tuple(args)


def test_a_flag_without_its_value_at_the_end_gets_one_or_goes() -> None:
    assert set_flag(("serve", "--f"), "--f", "3") == ("serve", "--f", "3")
    assert set_flag(("serve", "--f"), "--f", None) == ("serve",)
    assert set_flag(("--f", "3", "x"), "--f", None) == ("x",)


@pytest.mark.parametrize(
    ("container", "place", "wanted"),
    [
        (container_of("8"), ENV, 8),
        (container_of(None), ENV, None),
        ({}, ENV, None),
        ({"args": ["--max-batch", "8"]}, FLAG, 8),
        ({"args": ["--max-batch=8"]}, FLAG, 8),
        ({"args": ["--max-batches=8"]}, FLAG, None),
        ({"command": ["python", "serve.py"]}, FLAG, None),
        ({"command": ["bash"], "args": ["serve.sh"]}, FLAG, None),
        ({"env": [{"name": "MAX_BATCH", "value": "many"}]}, ENV, "KnobUnreadable"),
        ({"env": [{"name": "MAX_BATCH"}]}, ENV, "KnobUnreadable"),
        ({"env": [{"name": "MAX_BATCH", "valueFrom": {}}]}, ENV, "KnobFromReference"),
        ({"env": [{"name": "MAX_BATCH", "value": "1"}] * 2}, ENV, "KnobDuplicated"),
        ({"args": ["--max-batch=1", "--max-batch", "2"]}, FLAG, "KnobDuplicated"),
        ({"args": ["--max-batch"]}, FLAG, "KnobUnreadable"),
        ({"command": ["sh", "-c", "serve --max-batch=8"]}, FLAG, "ShellCommand"),
        ({"command": ["/bin/sh"], "args": ["-c", "serve"]}, FLAG, "ShellCommand"),
        ({"args": ["/usr/bin/bash", "-ec", "serve"]}, FLAG, "ShellCommand"),
        ({"command": ["/usr/bin/env", "bash", "-c", "serve"]}, FLAG, "ShellCommand"),
        ({"command": ["serve", "--max-batch=8"]}, FLAG, "KnobInCommand"),
    ],
)
def test_the_cap_is_read_or_the_reason_is_named(
    container: dict[str, Any], place: BatchPlace, wanted: int | str | None
) -> None:
    found = read_batch(container, place)
    assert (found.reason if isinstance(found, KnobProblem) else found) == wanted


def test_values_are_kept_letter_by_letter_so_that_the_way_back_restores_them() -> None:
    assert values_of(container_of("08"), ENV) == TemplateValues(image=IMAGE, batch_value="08")
    assert values_of(container_of(None), ENV) == TemplateValues(image=IMAGE)
    assert values_of(container_of(args=["a"]), FLAG) == TemplateValues(image=IMAGE, args=("a",))
    assert values_of(container_of(), FLAG) == TemplateValues(image=IMAGE)
    assert values_of(container_of("3"), None) == TemplateValues(image=IMAGE)


@pytest.mark.parametrize(
    ("container", "place", "batch", "wanted"),
    [
        (container_of("08"), ENV, 8, TemplateValues(image=OTHER_IMAGE, batch_value="08")),
        (container_of("8"), ENV, 4, TemplateValues(image=OTHER_IMAGE, batch_value="4")),
        (container_of(None), ENV, None, TemplateValues(image=OTHER_IMAGE)),
        (container_of(None), ENV, 4, TemplateValues(image=OTHER_IMAGE, batch_value="4")),
        (container_of(), FLAG, 4, TemplateValues(image=OTHER_IMAGE, args=("--max-batch=4",))),
        (container_of(), FLAG, None, TemplateValues(image=OTHER_IMAGE)),
        (container_of("8"), None, 4, TemplateValues(image=OTHER_IMAGE)),
        (
            container_of(args=["--max-batch", "4", "-v"]),
            FLAG,
            8,
            TemplateValues(image=OTHER_IMAGE, args=("--max-batch", "8", "-v")),
        ),
    ],
)
def test_another_candidate_changes_the_image_and_the_cap_and_nothing_else(
    container: dict[str, Any], place: BatchPlace | None, batch: int | None, wanted: TemplateValues
) -> None:
    found = with_values(values_of(container, place), place, image=OTHER_IMAGE, batch_size=batch)
    assert found == wanted


def test_an_unreadable_cap_is_nobodys_and_is_written_over() -> None:
    values = TemplateValues(image=IMAGE, batch_value="many")
    assert with_values(values, ENV, image=IMAGE, batch_size=4).batch_value == "4"


def test_the_container_is_named_or_the_only_one() -> None:
    one, two = {"name": "server"}, {"name": "proxy"}
    assert find_container({"spec": {"containers": [one]}}, None) == one
    assert find_container({"spec": {"containers": [one, two]}}, "proxy") == two
    several = find_container({"spec": {"containers": [one, two]}}, None)
    missing = find_container({"spec": {"containers": [one]}}, "proxy")
    assert isinstance(several, KnobProblem)
    assert isinstance(missing, KnobProblem)
    assert (several.reason, missing.reason) == ("ContainerAmbiguous", "ContainerMissing")
    assert "server, proxy" in several.message
