"""A loan whose tuning was removed by force goes back by the note on the object alone."""

from dataclasses import replace
from typing import Any

from infertune.api.status import Borrowed, Bounds
from infertune.core.borrowing import give_back, give_up
from infertune.core.loan_record import by_hand, drop_note, note_loan
from infertune.core.loan_return import (
    LentObject,
    lent_object,
    orphaned,
    restoring,
    returned,
    ways_back,
)
from infertune.core.manifests.naming import ANNOTATION_LOAN
from infertune.core.plan import ApplyFields, Event, FieldExpectation, ScaleWorkload
from infertune.core.preconditions import AlreadyDone, Holds, Violated, check
from infertune.core.snapshot import RawObject
from tests.builders import (
    KEY,
    NOW,
    SCALER_UID,
    TARGET_UID,
    autoscaler_of,
    deployment_of,
    edited,
    tuning_of,
)

SCALER = "HorizontalPodAutoscaler"
_LENT = Borrowed(
    kind="Deployment",
    name="resnet",
    target_uid=TARGET_UID,
    autoscaler="resnet",
    autoscaler_uid=SCALER_UID,
    before=Bounds(min_replicas=2, max_replicas=3),
    during=Bounds(min_replicas=1, max_replicas=1),
    since=NOW,
)
_ALONE = _LENT.model_copy(
    update={
        "autoscaler": None,
        "autoscaler_uid": None,
        "before": Bounds(min_replicas=2, max_replicas=2),
    }
)
LENT, ALONE = (
    one.model_copy(update={"restore_command": by_hand(KEY.namespace, one)})
    for one in (_LENT, _ALONE)
)
PATH = ("metadata", "annotations", ANNOTATION_LOAN)


def noted(raw: RawObject, lent: Borrowed = LENT) -> dict[str, Any]:
    raw = edited(raw, ("metadata", "namespace"), KEY.namespace)
    document = note_loan(tuning_of(), lent, raw).document
    return edited(raw, ("metadata", "annotations"), document["metadata"]["annotations"])


def lowered(bounds: tuple[int, int] = (1, 1)) -> LentObject:
    found = lent_object(SCALER, noted(autoscaler_of(*bounds)))
    assert found is not None
    return found


def scaled(replicas: int) -> LentObject:
    raw = edited(deployment_of(), ("spec", "replicas"), replicas)
    found = lent_object("Deployment", noted(raw, ALONE))
    assert found is not None
    return found


def test_the_bounds_go_back_then_what_is_ours_and_the_note_last() -> None:
    found = lowered()
    assert (found.key, found.lent) == (KEY, LENT)
    text = found.raw["metadata"]["annotations"][ANNOTATION_LOAN]
    back = give_back(KEY, LENT, found.raw)
    assert isinstance(back, ApplyFields)
    back = replace(back, expectations=(*back.expectations, FieldExpectation(PATH, text, text)))
    assert ways_back(found) == (back, give_up(KEY, LENT), drop_note(KEY, LENT, found.raw))


def test_without_an_autoscaler_the_scale_goes_back_then_the_note() -> None:
    found = scaled(1)
    where = ("apps/v1", "Deployment", KEY.namespace, "resnet", TARGET_UID)
    note = drop_note(KEY, ALONE, found.raw)
    assert ways_back(found) == (ScaleWorkload(*where, 1, 2), note)
    assert ways_back(scaled(2)) == (note,)


def test_what_somebody_has_set_meanwhile_stays_and_the_note_goes() -> None:
    for bounds in ((2, 3), (4, 9)):
        found = lowered(bounds)
        assert ways_back(found) == (give_up(KEY, LENT), drop_note(KEY, LENT, found.raw))
    note = drop_note(KEY, ALONE, scaled(5).raw)
    assert ways_back(scaled(5)) == (note,)


def test_bounds_without_their_note_are_somebodys_wish() -> None:
    """Between the look and the write the loan was ended and the same bounds were set by hand."""
    back = ways_back(lowered())[0]
    assert isinstance(back, ApplyFields)
    assert check(lowered().raw, back.expectations) == Holds()
    assert check(lowered((2, 3)).raw, back.expectations) == AlreadyDone()
    assert isinstance(check(autoscaler_of(1, 1), back.expectations), Violated)


def test_a_copy_of_an_object_under_another_name_has_lent_nothing() -> None:
    copied = edited(noted(autoscaler_of(1, 1)), ("metadata", "name"), "other")
    assert lent_object(SCALER, copied) is None
    assert lent_object("Deployment", noted(autoscaler_of(1, 1))) is None
    assert lent_object("StatefulSet", noted(deployment_of(), ALONE)) is None
    assert lent_object(SCALER, autoscaler_of(1, 1)) is None


def test_only_what_a_former_tuning_lent_elsewhere_has_nobody_left() -> None:
    loans = (lowered(),)
    here, elsewhere = ("Deployment", "resnet"), ("Deployment", "other")
    assert orphaned(loans, "another-uid", elsewhere) == loans
    assert orphaned(loans, "another-uid", None) == loans
    assert orphaned(loans, "another-uid", here) == ()
    assert orphaned(loans, tuning_of().uid, elsewhere) == ()


def test_a_hand_puts_back_only_what_it_finds_lowered() -> None:
    found = lowered()
    text = found.raw["metadata"]["annotations"][ANNOTATION_LOAN]
    note = "/metadata/annotations/infertune.io~1loan"
    begins = {"op": "test", "path": note, "value": text}
    ends = {"op": "remove", "path": note}
    assert restoring(found) == (
        begins,
        {"op": "test", "path": "/spec/minReplicas", "value": 1},
        {"op": "replace", "path": "/spec/minReplicas", "value": 2},
        {"op": "test", "path": "/spec/maxReplicas", "value": 1},
        {"op": "replace", "path": "/spec/maxReplicas", "value": 3},
        ends,
    )
    assert restoring(lowered((4, 9))) == (begins, ends)
    assert [step["op"] for step in restoring(scaled(1))] == ["test", "remove"]


def test_what_became_of_the_replica_is_told() -> None:
    words = f"InferenceTuning {KEY.name!r} is gone and had lent a replica of "
    back = f"{words}HorizontalPodAutoscaler 'resnet': 2-3 stands again"
    assert returned(lowered()) == Event("Warning", "BorrowEnded", back)
    theirs = f"{words}Deployment 'resnet': its replicas were set by somebody else and stay"
    assert returned(scaled(5)) == Event("Warning", "BorrowEnded", theirs)
