"""Answers of a real API server (recorded, shortened) and of things that stand in front of one."""

import json

import pytest

from infertune.adapters.kube.errors import NotServed, error_of
from infertune.ports import (
    AlreadyExists,
    Conflict,
    FieldTaken,
    Forbidden,
    Gone,
    Refused,
    Unavailable,
)


def status(reason: str, message: str, *causes: dict[str, str]) -> str:
    details = {"causes": list(causes)} | ({"name": "server"} if reason == "NotFound" else {})
    return json.dumps({"kind": "Status", "reason": reason, "message": message, "details": details})


RBAC = 'pods is forbidden: User "x" cannot list resource "pods" in API group "" in the namespace'


@pytest.mark.parametrize(
    ("code", "body", "kind"),
    [
        pytest.param(403, status("Forbidden", RBAC), Forbidden, id="RBAC"),
        pytest.param(
            403, status("Forbidden", "jobs is forbidden: exceeded quota: q"), Refused, id="quota"
        ),
        pytest.param(
            403,
            status("Forbidden", 'violates PodSecurity "restricted:latest"'),
            Refused,
            id="pod security",
        ),
        pytest.param(
            403,
            status("Forbidden", "being terminated", {"reason": "NamespaceTerminating"}),
            Gone,
            id="the namespace is going",
        ),
        pytest.param(401, status("Unauthorized", "Unauthorized"), Forbidden, id="credentials"),
        pytest.param(404, status("NotFound", "not found"), Gone, id="not found"),
        pytest.param(404, "404 page not found\n", NotServed, id="group not served"),
        pytest.param(
            404,
            status("", "the server could not find the requested resource"),
            NotServed,
            id="kind not served: no object is gone",
        ),
        pytest.param(410, status("Expired", "too old"), Gone, id="expired"),
        pytest.param(409, status("AlreadyExists", "exists"), AlreadyExists, id="name taken"),
        pytest.param(409, status("Conflict", "modified"), Conflict, id="old version"),
        pytest.param(422, status("Invalid", "spec is invalid"), Refused, id="invalid"),
        pytest.param(400, status("BadRequest", "bad"), Refused, id="malformed"),
        pytest.param(429, status("TooManyRequests", "slow down"), Unavailable, id="too many"),
        pytest.param(500, "", Unavailable, id="broken and silent"),
        pytest.param(503, "<html>gateway</html>", Unavailable, id="a proxy's page"),
        pytest.param(409, "[]", Conflict, id="not even an object"),
    ],
)
def test_the_type_says_who_acts(code: int, body: str, kind: type[Exception]) -> None:
    assert type(error_of(code, body)) is kind


def test_a_field_conflict_names_field_and_owner() -> None:
    cause = {
        "reason": "FieldManagerConflict",
        "message": 'conflict with "helm" using apps/v1 at 2026-01-01T00:00:00Z',
        "field": '.spec.template.spec.containers[name="server"].image',
    }
    error = error_of(409, status("Conflict", "Apply failed with 1 conflict", cause))
    assert isinstance(error, FieldTaken)
    assert error.owner == "helm"
    assert error.field == 'spec.template.spec.containers[name="server"].image'
