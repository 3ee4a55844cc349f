"""May a write happen? Old or new value in every field: yes. Anything else: no, and whose it is."""

from typing import Any

import pytest

from infertune.core.plan import FieldExpectation
from infertune.core.preconditions import AlreadyDone, Holds, Violated, check

BASE = ("spec", "template", "spec", "containers", "name=server")
BATCH = (*BASE, "env", "name=MAX", "value")


def workload(*env: dict[str, Any], name: str = "server", **container: Any) -> dict[str, Any]:
    inside = {"name": name, "image": "a:1", "env": list(env), **container}
    return {"metadata": {}, "spec": {"template": {"spec": {"containers": [inside]}}}}


def batch(value: str) -> dict[str, Any]:
    return {"name": "MAX", "value": value}


OLD_TO_NEW = FieldExpectation(BATCH, "1", "16")
IMAGE = FieldExpectation((*BASE, "image"), "a:1", "b:2")


@pytest.mark.parametrize(
    ("live", "expectations", "expected"),
    [
        pytest.param(workload(batch("1")), (OLD_TO_NEW,), Holds(), id="the old value"),
        pytest.param(workload(batch("16")), (OLD_TO_NEW,), AlreadyDone(), id="the new value"),
        pytest.param(
            workload(batch("16")), (OLD_TO_NEW, IMAGE), Holds(), id="one field new, one still old"
        ),
        pytest.param(
            workload(batch("16"), image="b:2"),
            (OLD_TO_NEW, IMAGE),
            AlreadyDone(),
            id="both fields new",
        ),
        pytest.param(
            workload(), (FieldExpectation(BATCH, None, "16"),), Holds(), id="absent as expected"
        ),
        pytest.param(
            workload(),
            (FieldExpectation(BATCH, "16", None),),
            AlreadyDone(),
            id="absent as it is to be",
        ),
        pytest.param(workload(batch("1")), (), Holds(), id="nothing expected"),
        pytest.param(
            workload(args=["--max", "4"]),
            (FieldExpectation((*BASE, "args"), ("--max", "4"), ("--max", "8")),),
            Holds(),
            id="a whole list",
        ),
        pytest.param(
            {"metadata": {}, "spec": {"minReplicas": 2}},
            (FieldExpectation(("spec", "minReplicas"), 1, 2),),
            AlreadyDone(),
            id="a number",
        ),
    ],
)
def test_a_write_may_happen(live: Any, expectations: Any, expected: object) -> None:
    assert check(live, expectations) == expected


WHERE = "spec.template.spec.containers[name=server].env[name=MAX].value"


@pytest.mark.parametrize(
    ("live", "why"),
    [
        pytest.param(workload(batch("7")), "'7'", id="a third value"),
        pytest.param(workload(), "absent", id="vanished"),
        pytest.param(
            workload(batch("1"), batch("1")), "'MAX' stands 2 times in env", id="stands twice"
        ),
        pytest.param(workload(batch("1"), name="other"), "no container 'server'", id="container"),
        pytest.param(
            workload({"name": "MAX", "valueFrom": {"configMapKeyRef": {}}}),
            "valueFrom: the value comes from elsewhere",
            id="not a literal",
        ),
        pytest.param(workload(batch("1"), env={"MAX": "1"}), "env is not a list", id="odd shape"),
        pytest.param(workload(batch(True)), "True", id="a boolean is not a number"),  # type: ignore[arg-type]
    ],
)
def test_a_write_may_not_happen(live: Any, why: str) -> None:
    assert check(live, (OLD_TO_NEW,)) == Violated(WHERE, why)


def test_the_owner_of_a_taken_field_is_named() -> None:
    live = workload(batch("7"))
    key = 'k:{"name":"MAX"}'
    inside: dict[str, Any] = {'k:{"name":"server"}': {"f:env": {key: {"f:value": {}}}}}
    fields = {"f:spec": {"f:template": {"f:spec": {"f:containers": inside}}}}
    live["metadata"]["managedFields"] = [{"manager": "argocd-controller", "fieldsV1": fields}]
    assert check(live, (OLD_TO_NEW,)) == Violated(WHERE, "'7'", ("argocd-controller",))
