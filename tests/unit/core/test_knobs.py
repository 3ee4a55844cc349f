"""Where knobs stand in a container, how they are read, and what is refused by name."""

from typing import Any

import pytest

from infertune.api.knobs import SettingKnob
from infertune.api.status import BatchPlace
from infertune.core.arguments import Flag
from infertune.core.knobs import (
    FlagSpot,
    KnobProblem,
    duplicate_env,
    find_container,
    locate_flag,
    read_batch,
)
from infertune.core.turning import Stand, read_setting
from tests.builders import container_of

ENV = BatchPlace(env="MAX_BATCH")
FLAG = BatchPlace(argument="--max-batch")


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
        ({"command": ["bash", "serve.sh", "-c", "x", "--max-batch", "8"]}, FLAG, 8),
        ({"command": ["serve", "--max-batch=8"]}, FLAG, 8),
        ({"env": [{"name": "MAX_BATCH", "value": "many"}]}, ENV, "KnobUnreadable"),
        ({"env": [{"name": "MAX_BATCH"}]}, ENV, "KnobUnreadable"),
        ({"env": [{"name": "MAX_BATCH", "valueFrom": {}}]}, ENV, "KnobFromReference"),
        ({"env": [{"name": "MAX_BATCH", "value": "1"}] * 2}, ENV, "KnobDuplicated"),
        ({"args": ["--max-batch=1", "--max-batch", "2"]}, FLAG, "KnobDuplicated"),
        (
            {"command": ["serve", "--max-batch=1"], "args": ["--max-batch=1"]},
            FLAG,
            "KnobDuplicated",
        ),
        ({"args": ["--max-batch"]}, FLAG, "KnobUnreadable"),
        ({"args": ["--max-batch", "--verbose"]}, FLAG, "KnobUnreadable"),
        ({"args": ["--max-batch=$(CAP)"]}, FLAG, "KnobUnreadable"),
        ({"args": ["x" * 20_000]}, FLAG, "ArgumentsTooLong"),
        ({"args": ["x"] * 513}, FLAG, "ArgumentsTooLong"),
        ({}, FLAG, "ArgumentsInImage"),
        ({"command": ["sh", "-c", "serve --max-batch=8"]}, FLAG, 8),
        ({"command": ["/bin/sh"], "args": ["-c", "serve --max-batch 8 &"]}, FLAG, 8),
        ({"args": ["/usr/bin/bash", "-ec", "serve\nrun --max-batch 8\n"]}, FLAG, 8),
        ({"command": ["/usr/bin/env", "bash", "-o", "pipefail", "-c", "a --max-batch=8"]}, FLAG, 8),
        ({"command": ["tini", "--", "sh", "-c", "'serve --max-batch=8'"]}, FLAG, 8),
        ({"command": ["sh", "-c", "serve"]}, FLAG, "ShellCommand"),
        ({"command": ["sh", "-c", "serve --max-batch=$CAP"]}, FLAG, "ShellCommand"),
        ({"command": ["sh", "-c", "serve --max-batch='8 9'"]}, FLAG, "ShellCommand"),
        ({"command": ["sh", "-c", "a --max-batch=8; b --max-batch=4"]}, FLAG, "ShellCommand"),
        ({"command": ["sh", "-c", "a --max-batch 8 # --max-batch 4"]}, FLAG, "ShellCommand"),
        ({"command": ["sh", "-c", "serve # --max-batch 4"]}, FLAG, "ShellCommand"),
        ({"command": ["sh", "-c", 'serve "$@"', "--", "--max-batch=8"]}, FLAG, "ShellCommand"),
    ],
)
def test_the_cap_is_read_or_the_reason_is_named(
    container: dict[str, Any], place: BatchPlace, wanted: int | str | None
) -> None:
    found = read_batch(container, place)
    assert (found.reason if isinstance(found, KnobProblem) else found) == wanted
    if isinstance(found, KnobProblem):
        assert (place.env or place.argument or "") in found.message
        assert ":" in found.message or "not a whole number" in found.message


def test_a_flag_belongs_where_it_stands_and_an_absent_one_into_the_arguments() -> None:
    flag = Flag("--f")
    assert locate_flag({"command": ["s", "--f=1"], "args": ["x"]}, flag) == FlagSpot("command")
    assert locate_flag({"command": ["s"], "args": ["--f=1"]}, flag) == FlagSpot("args")
    assert locate_flag({"command": ["s"]}, flag) == FlagSpot("args")
    assert locate_flag({"command": ["sh", "-c"], "args": ["s --f 1"]}, flag) == FlagSpot("args", 0)
    assert locate_flag({"command": ["sh", "-c", "s --f 1"]}, flag) == FlagSpot("command", 2)


def test_any_variable_that_stands_twice_is_named_though_it_is_no_knob() -> None:
    doubled = {"name": "server", "env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]}
    found = duplicate_env(doubled)
    assert found == KnobProblem(
        "KnobDuplicated", "env A stands 2 times in container 'server': keep one"
    )
    assert duplicate_env(container_of("1")) is None
    assert duplicate_env({}) is None


def cpu(bound: str, *values: str) -> SettingKnob:
    place = {"name": "cpu", "bound": bound}
    return SettingKnob.model_validate({"name": "cores", "resource": place, "values": values})


@pytest.mark.parametrize(
    ("requests", "limits", "bound", "wanted"),
    [
        (None, None, "Both", None),
        ("1000m", "1", "Both", "1"),
        (None, "2", "Both", "2"),
        ("1", "2", "Both", "ResourcesDiffer"),
        ("1", None, "Both", "ResourcesDiffer"),
        ("500m", None, "Requests", "500m"),
        (None, "2", "Requests", None),
        ("500m", "1500m", "Requests", "ResourceBoundCrossed"),
        ("500m", "1e3", "Requests", "500m"),
        ("500m", "4", "Limits", "ResourceBoundCrossed"),
        ("5", "8", "Limits", "ResourceBoundCrossed"),
        (None, "8", "Limits", "8"),
    ],
)
def test_a_resource_is_read_in_the_servers_spelling_and_never_crosses_its_other_bound(
    requests: str | None, limits: str | None, bound: str, wanted: str | None
) -> None:
    amounts = {"requests": {"cpu": requests}, "limits": {"cpu": limits}}
    resources = {part: of for part, of in amounts.items() if of["cpu"] is not None}
    container = container_of("1", resources=resources)
    found = read_setting(Stand({}, container, {}), cpu(bound, "2", "0.25"))
    assert (found.reason if isinstance(found, KnobProblem) else found) == wanted


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
