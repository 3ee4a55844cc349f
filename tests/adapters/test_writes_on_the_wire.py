"""What the writes carry to the API server so that it refuses what must not happen.

The API server keeps these promises only for those who ask: the UID of what is deleted, the version
that was looked at, ``force`` for the one adoption, a test in every patch.
"""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from infertune.adapters.clock import SystemClock
from infertune.adapters.kube.cluster import KubeCluster
from infertune.adapters.kube.connection import Request
from infertune.adapters.kube.writes import APPLY_ATTEMPTS, KubeWriter
from infertune.api.argument_lists import kept
from infertune.core.manifests.naming import FINALIZER
from infertune.core.plan import ApplyFields, DeleteObject, FieldExpectation, ReleaseFields
from infertune.core.snapshot import Key
from infertune.ports import AlreadyExists, Conflict, FieldTaken, Gone, Refused

KEY = Key("default", "demo")
Answer = Callable[[Request], Mapping[str, Any]]


class Wire:
    """A connection that keeps what is sent, and answers as it is told."""

    def __init__(self, live: Mapping[str, Any], answer: Answer = lambda _: {}) -> None:
        self.live = live
        self.answer = answer
        self.sent: list[Request] = []

    def get(self, path: str, *query: tuple[str, str]) -> Mapping[str, Any]:
        return self.live

    def send(self, request: Request) -> Mapping[str, Any]:
        self.sent.append(request)
        return self.answer(request)

    def one(self) -> Request:
        (request,) = self.sent
        return request

    def body(self) -> Any:
        return self.one().body


def scaler(low: int = 2, **metadata: Any) -> dict[str, Any]:
    found = {"uid": "u-1", "name": "server", "namespace": "default", "resourceVersion": "7"}
    return {"metadata": found | metadata, "spec": {"minReplicas": low}}


def bounds_write(*, adopt: bool) -> ApplyFields:
    document = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "server", "namespace": "default", "uid": "u-1"},
        "spec": {"minReplicas": 1},
    }
    return ApplyFields(document, (FieldExpectation(("spec", "minReplicas"), 2, 1),), adopt)


def writer(wire: Wire) -> KubeWriter:
    return KubeWriter(wire)  # type: ignore[arg-type]


def cluster(wire: Wire) -> KubeCluster:
    return KubeCluster(wire, SystemClock())  # type: ignore[arg-type]


def refusing(error: Exception) -> Answer:
    def answer(_: Request) -> Mapping[str, Any]:
        raise error

    return answer


@pytest.mark.parametrize(("adopt", "force"), [(True, "true"), (False, "false")])
def test_an_apply_carries_uid_and_version_and_forces_only_to_adopt(adopt: bool, force: str) -> None:
    wire = Wire(scaler())
    writer(wire).apply_fields(bounds_write(adopt=adopt))
    metadata = wire.body()["metadata"]
    assert (metadata["uid"], metadata["resourceVersion"]) == ("u-1", "7")
    assert dict(wire.one().query) == {"fieldManager": "infertune", "force": force}


def test_an_apply_to_another_object_sends_nothing() -> None:
    wire = Wire(scaler(uid="u-2"))
    with pytest.raises(Gone):
        writer(wire).apply_fields(bounds_write(adopt=True))
    assert wire.sent == []


def test_an_apply_over_a_foreign_value_sends_nothing() -> None:
    wire = Wire(scaler(low=5))
    with pytest.raises(FieldTaken):
        writer(wire).apply_fields(bounds_write(adopt=True))
    assert wire.sent == []


def test_an_apply_of_what_stands_there_sends_nothing() -> None:
    wire = Wire(scaler(low=1))
    writer(wire).apply_fields(bounds_write(adopt=True))
    assert wire.sent == []


def server(*args: str) -> dict[str, Any]:
    metadata = scaler()["metadata"]
    return {"metadata": metadata, "spec": template_of({"name": "server", "args": list(args)})}


def template_of(container: dict[str, Any]) -> dict[str, Any]:
    return {"template": {"spec": {"containers": [container]}}}


def flag_write() -> ApplyFields:
    old, new = (kept(("serve", "--key", "s3cret", f"--batch={n}"), (3,)) for n in (1, 4))
    document = {**bounds_write(adopt=True).document, "spec": template_of({"name": "server"})}
    path = ("spec", "template", "spec", "containers", "name=server", "args")
    return ApplyFields(document, (FieldExpectation(path, old, new),), adopt=True)


def test_a_list_of_arguments_is_completed_from_the_object_that_was_read() -> None:
    """What is planned knows one argument of it."""
    wire = Wire(server("serve", "--key", "s3cret", "--batch=1"))
    write = flag_write()
    assert "s3cret" not in repr(write)
    writer(wire).apply_fields(write)
    args = ["serve", "--key", "s3cret", "--batch=4"]
    assert wire.body()["spec"] == template_of({"name": "server", "args": args})


@pytest.mark.parametrize(
    "args",
    [
        ("serve", "--key", "another", "--batch=1"),
        ("serve", "--key", "s3cret", "--batch=2"),
        ("serve", "--key", "s3cret", "--batch=1", "--more"),
        (),
    ],
)
def test_a_list_of_arguments_that_somebody_changed_is_not_sent_and_not_told(
    args: tuple[str, ...],
) -> None:
    wire = Wire(server(*args))
    with pytest.raises(FieldTaken) as refused:
        writer(wire).apply_fields(flag_write())
    assert wire.sent == []
    words = f"holds another list of {len(args)} arguments"
    assert str(refused.value).endswith(words)


def test_an_apply_that_somebody_overtook_looks_again_and_not_for_ever() -> None:
    wire = Wire(scaler(), refusing(Conflict("moved")))
    with pytest.raises(Conflict):
        writer(wire).apply_fields(bounds_write(adopt=True))
    assert len(wire.sent) == APPLY_ATTEMPTS


def test_a_deletion_is_by_uid_and_takes_dependents_along() -> None:
    wire = Wire({})
    writer(wire).delete_object(DeleteObject("batch/v1", "Job", "default", "demo-load", "u-9"))
    assert wire.body()["preconditions"] == {"uid": "u-9"}
    assert wire.body()["propagationPolicy"] == "Background"


@pytest.mark.parametrize(
    ("existing", "kind"),
    [
        pytest.param({"ownerReferences": [{"uid": "somebody"}]}, AlreadyExists, id="foreign"),
        pytest.param({}, AlreadyExists, id="nobody's"),
        pytest.param(
            {"ownerReferences": [{"uid": "t-1"}], "deletionTimestamp": "now"}, Conflict, id="going"
        ),
        pytest.param({"ownerReferences": [{"uid": "t-1"}]}, None, id="ours"),
    ],
)
def test_a_taken_name_is_ours_only_by_the_owners_uid(
    existing: dict[str, Any], kind: type[Exception] | None
) -> None:
    wire = Wire({"metadata": {"name": "demo-load"} | existing}, refusing(AlreadyExists("taken")))
    owner = [{"uid": "t-1"}]
    metadata = {"namespace": "default", "name": "demo-load", "ownerReferences": owner}
    manifest = {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata}
    if kind is None:
        writer(wire).create_object(manifest)
        return
    with pytest.raises(kind):
        writer(wire).create_object(manifest)


def test_a_status_is_recorded_on_the_version_that_was_read() -> None:
    wire = Wire({})
    cluster(wire).record_status(KEY, {"state": "Stable"}, "41")
    assert wire.body()["metadata"]["resourceVersion"] == "41"
    assert wire.one().path.endswith("/status")


def tuning(*finalizers: str) -> dict[str, Any]:
    metadata = {"name": "demo", "namespace": "default", "uid": "t-1", "resourceVersion": "41"}
    return {"metadata": metadata | {"finalizers": list(finalizers)}}


def test_a_finalizer_is_set_by_a_patch_that_tests_the_version_and_keeps_the_others() -> None:
    wire = Wire(tuning("theirs"), lambda _: tuning())
    cluster(wire).set_finalizer(KEY, "40", present=True)
    test, add = wire.body()
    assert test == {"op": "test", "path": "/metadata/resourceVersion", "value": "40"}
    assert add["value"] == ["theirs", FINALIZER]


def test_a_finalizer_patch_that_fails_its_test_is_a_conflict() -> None:
    wire = Wire(tuning(), refusing(Refused("the test failed")))
    with pytest.raises(Conflict):
        cluster(wire).set_finalizer(KEY, "40", present=True)


@pytest.mark.parametrize(("there", "present"), [((), False), ((FINALIZER,), True)])
def test_a_finalizer_that_is_as_wanted_sends_nothing(there: tuple[str, ...], present: bool) -> None:
    wire = Wire(tuning(*there))
    assert cluster(wire).set_finalizer(KEY, "40", present=present) == "41"
    assert wire.sent == []


def test_a_finalizer_of_a_tuning_that_is_gone_is_gone() -> None:
    class Empty(Wire):
        def get(self, path: str, *query: tuple[str, str]) -> Mapping[str, Any]:
            msg = "not found"
            raise Gone(msg)

    with pytest.raises(Gone, match="tuning default/demo is gone"):
        cluster(Empty({})).set_finalizer(KEY, "40", present=True)


def ours(**metadata: Any) -> dict[str, Any]:
    fields = {"f:spec": {"f:minReplicas": {}}}
    entry = {"manager": "infertune", "operation": "Apply", "fieldsV1": fields}
    return scaler(managedFields=[entry], **metadata)


RELEASE = ReleaseFields(
    "autoscaling/v2", "HorizontalPodAutoscaler", "default", "server", "u-1", "x"
)


def test_a_release_tests_the_version_it_was_computed_from() -> None:
    wire = Wire(ours())
    writer(wire).release_fields(RELEASE)
    test, *_ = wire.body()
    assert test == {"op": "test", "path": "/metadata/resourceVersion", "value": "7"}


def test_a_release_of_another_object_or_of_nothing_sends_nothing() -> None:
    for live in (ours(uid="u-2"), scaler(managedFields=[])):
        wire = Wire(live)
        writer(wire).release_fields(RELEASE)
        assert wire.sent == []


def test_a_release_that_fails_its_test_looks_again() -> None:
    wire = Wire(ours(), refusing(Refused("the test failed")))
    with pytest.raises(Conflict):
        writer(wire).release_fields(RELEASE)
    assert len(wire.sent) == APPLY_ATTEMPTS
