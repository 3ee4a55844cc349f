"""A record on the target that the status knows nothing of: whose it is decides."""

from typing import Any

import pytest

from infertune.core.last_good import last_good
from infertune.core.plan import SetFinalizer
from infertune.core.tuned_target import standing
from tests.builders import (
    KEY,
    UID,
    autoscaler_of,
    conditions_of,
    container_of,
    decide,
    deployment_of,
    intent_between,
    status_of,
    target_of,
)

WIDE = autoscaler_of(2, 3)
BOUNDS = [(2, 2), (1, 3), (2, 3), (2, 9)]


def signed(name: str = KEY.name, uid: str = UID, **changes: Any) -> Any:
    intent = intent_between("1", "4", **changes)
    return intent.model_copy(update={"tuning_name": name, "tuning_uid": uid})


def noted(intent: Any, batch: str = "4", state: Any = "Open") -> Any:
    note = {"annotations": {"infertune.io/last-good": last_good(intent, state)}}
    own = {"name": "resnet", "namespace": KEY.namespace, "uid": "target-uid", "generation": 3}
    return target_of(deployment_of(container_of(batch), metadata=own | note))


@pytest.mark.parametrize(
    ("name", "uid"),
    [(KEY.name, UID), (KEY.name, "an-earlier-one"), ("renamed", UID)],
    ids=["ours", "of the tuning we replaced", "by uid"],
)
def test_an_open_rollout_of_ours_goes_back(name: str, uid: str) -> None:
    plan = decide(status_of(), target=noted(signed(name, uid)), autoscaler=WIDE)
    assert plan.status.state == "RollingBack"
    rollout = plan.status.rollout
    assert rollout is not None
    assert rollout.intent is not None
    assert (rollout.intent.before.batch_value, rollout.rollback_event) == ("1", "IntentFound")
    assert rollout.restore_command is not None
    following = decide(plan.status, target=noted(signed(name, uid)), autoscaler=WIDE)
    assert following.effects == (SetFinalizer(present=True),)


def test_an_open_rollout_of_another_tuning_is_left_alone_and_waited_for() -> None:
    plan = decide(status_of(), target=noted(signed("another", "its-uid")), autoscaler=WIDE)
    assert (plan.status.state, plan.effects, plan.status.rollout) == ("Pending", (), None)
    assert conditions_of(plan.status)["TargetAvailable"] == ("False", "OtherRolloutOpen")
    assert plan.requeue_seconds == 15.0


def test_a_settled_rollout_of_anybody_gives_the_baseline_and_is_left_as_it_is() -> None:
    intent = signed("another", "its-uid").model_copy(
        update={"baseline": status_of().baseline_configuration}
    )
    plan = decide(status_of(), target=noted(intent, state="Settled"), autoscaler=WIDE)
    assert plan.status.state == "Probing"
    assert plan.status.baseline is not None
    assert plan.status.baseline.p95.value is None


def test_a_target_with_other_uids_is_undone_by_the_ones_it_has() -> None:
    """A namespace restored from a backup: same values, same annotations, other UIDs."""
    intent = signed().model_copy(update={"target_uid": "old", "autoscaler_uid": "old"})
    plan = decide(status_of(), target=noted(intent), autoscaler=WIDE)
    assert plan.status.rollout is not None
    assert plan.status.rollout.intent is not None
    found = plan.status.rollout.intent
    assert (found.target_uid, found.autoscaler_uid) == ("target-uid", "scaler-uid")


def test_a_deleted_tuning_whose_target_remembers_an_open_rollout_goes_back_first() -> None:
    world = {"target": noted(signed()), "autoscaler": WIDE, "deleting": True, "finalizer": True}
    assert decide(status_of(), **world).status.state == "RollingBack"
    world["target"] = noted(signed(), state="Settled")
    assert decide(status_of(), **world).effects == (SetFinalizer(present=False),)


def test_bounds_alone_are_judged_by_the_bounds() -> None:
    intent = intent_between("1", "1")
    target = deployment_of()
    stands = [standing(intent, target, autoscaler_of(*pair)) for pair in BOUNDS]
    assert stands == ["before", "after", "after", "other"]
    assert standing(intent, target, None) == "other"


def test_a_third_value_in_the_template_is_somebody_elses() -> None:
    intent = intent_between("1", "4")
    found = [standing(intent, deployment_of(container_of(b)), None) for b in ("1", "4", "7")]
    assert found == ["before", "after", "other"]
