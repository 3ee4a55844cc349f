"""May a write happen, who owns a field, and what a failed call means for the status."""

from typing import Any

import pytest

from infertune.api.conditions import Observation
from infertune.api.status import Reading
from infertune.core.failures import Failure, FailureName, clear_failures, record_failure
from infertune.core.ownership import fields_below, is_ours, owners_of
from infertune.core.plan import FieldExpectation
from infertune.core.preconditions import AlreadyDone, Holds, Violated, check, dotted
from infertune.core.render import number, shown, tag_of
from tests.builders import (
    NOW,
    conditions_of,
    container_of,
    deployment_of,
    managed,
    status_of,
    with_condition,
)

POD = ("spec", "template", "spec", "containers", "name=server")
BATCH = (*POD, "env", "name=MAX_BATCH", "value")


@pytest.mark.parametrize(
    ("path", "old", "new", "wanted"),
    [
        (BATCH, "1", "4", Holds()),
        (BATCH, "4", "1", AlreadyDone()),
        ((*POD, "args"), None, ("a",), Holds()),
        (("spec", "absent", "deeper"), None, 3, Holds()),
        ((*POD[:-1], "name=gone", "image"), "a", "b", "no container 'gone'"),
        (BATCH, "2", "4", "'1'"),
        ((*POD, "args"), ("a",), ("b",), "absent"),
        ((*POD, "image", "deeper"), None, 3, "image is not an object"),
        ((*POD, "image", "name=x"), None, 3, "image is not a list"),
        (("spec", "template"), None, 3, "not a plain value"),
        ((*POD, "env", "name=TWICE", "value"), None, "1", "'TWICE' stands 2 times in env"),
        ((*POD, "env", "name=SECRET", "value"), None, "1", "valueFrom: the value comes from"),
        ((*POD, "stdin"), None, 1, "True"),
    ],
)
def test_a_field_may_hold_its_old_or_its_new_value_and_nothing_else(
    path: tuple[str, ...], old: Any, new: Any, wanted: Any
) -> None:
    container = container_of("1", stdin=True)
    container["env"] += [{"name": "TWICE", "value": "1"}] * 2
    container["env"] += [{"name": "SECRET", "valueFrom": {}}]
    found = check(deployment_of(container), [FieldExpectation(path, old, new)])
    if isinstance(wanted, str):
        assert isinstance(found, Violated)
        assert found.value.startswith(wanted)
    else:
        assert found == wanted


def test_no_expectation_holds_and_arguments_are_compared_as_a_list() -> None:
    assert check(deployment_of(), []) == Holds()
    there = deployment_of(container_of(args=["a", "b"]))
    assert check(there, [FieldExpectation((*POD, "args"), None, ("a", "b"))]) == AlreadyDone()


def test_who_took_a_field_is_named() -> None:
    raw = deployment_of(metadata={"managedFields": [managed("argocd", "MAX_BATCH")]})
    found = check(raw, [FieldExpectation(BATCH, "7", "8")])
    where = "spec.template.spec.containers[name=server].env[name=MAX_BATCH].value"
    assert found == Violated(where, "'1'", ("argocd",))
    assert dotted(BATCH) == where


def test_owners_are_read_from_managed_fields_of_the_object_itself() -> None:
    path = ("f:spec", "f:template", "f:spec", "f:containers", 'k:{"name":"server"}', "f:image")
    fields = [
        managed("helm", image=True),
        managed("infertune", "MAX_BATCH", image=True),
        managed("status-writer", image=True) | {"subresource": "status"},
        {"operation": "Update"},
    ]
    assert owners_of(fields, path) == ("helm", "infertune")
    assert is_ours(fields, path)
    assert not is_ours(fields[:1], path)
    assert fields_below(fields, (*path[:-1], "f:env")) == {'k:{"name":"MAX_BATCH"}'}
    assert fields_below(fields[:1], path) == frozenset()


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("Unavailable", {}),
        ("Conflict", {}),
        ("Gone", {}),
        ("Forbidden", {"Ready": ("False", "Forbidden"), "Stalled": ("True", "Forbidden")}),
        ("Refused", {"Ready": ("False", "Refused"), "Stalled": ("True", "Refused")}),
        (
            "AlreadyExists",
            {"Ready": ("False", "AlreadyExists"), "Stalled": ("True", "AlreadyExists")},
        ),
        ("FieldTaken", {"FieldConflict": ("True", "FieldTaken")}),
    ],
)
def test_a_failure_is_told_beside_the_state_and_taken_back_when_it_is_over(
    name: FailureName, told: dict[str, tuple[str, str]]
) -> None:
    failure = Failure(name, "no", "spec.maxReplicas", "argocd")
    found = record_failure(status_of("Applying"), failure, NOW, 1)
    assert (found.state, conditions_of(found)) == ("Applying", told)
    cleared = clear_failures(found, NOW, 1)
    wanted = {"Ready": ("True", "Recovered"), "Stalled": ("False", "Recovered")}
    assert conditions_of(cleared) == (wanted if "Stalled" in told else told)


def test_the_owner_of_a_taken_field_is_in_the_message() -> None:
    for owner, words in (("argocd", "spec.x (owner: argocd): no"), ("", "spec.x: no")):
        found = record_failure(status_of(), Failure("FieldTaken", "no", "spec.x", owner), NOW, 1)
        assert found.conditions[-1].message == words


def test_a_halt_is_not_talked_over_by_a_failure() -> None:
    halted = with_condition(status_of("Halted"), Observation("Stalled", "True", "RolledBack", "x"))
    found = record_failure(halted, Failure("Forbidden", "no"), NOW, 1)
    assert conditions_of(found)["Stalled"] == ("True", "RolledBack")
    assert clear_failures(halted, NOW, 1) == halted


@pytest.mark.parametrize(
    ("image", "tag"),
    [
        ("registry.test:5000/resnet:fp32", "fp32"),
        ("registry.test:5000/resnet", "resnet"),
        ("resnet@sha256:0123456789abcdef0123", "sha256:0123456789ab"),
    ],
)
def test_what_tells_two_images_apart(image: str, tag: str) -> None:
    assert tag_of(image) == tag


def test_figures_for_people() -> None:
    assert [number(v) for v in (187.34, 0.04567, 4.0, 1234567.0)] == [
        "187",
        "0.0457",
        "4",
        "1234567",
    ]
    whole = Reading(value=187.3, unit="ms", low=180.0, high=194.9)
    assert (shown(whole), shown(Reading(reason="x")), shown(Reading(value=2.0), "%")) == (
        "187 [180, 195] ms",
        "-",
        "2 %",
    )
