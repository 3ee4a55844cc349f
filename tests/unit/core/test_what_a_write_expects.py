"""The preconditions of a write, one by one: each of these tests stands for one of them.

``tests/scenario/mutants.py`` takes them out one after the other, and the test must notice.
"""

from typing import Any

import pytest

from infertune.api.argument_lists import kept
from infertune.api.conditions import Observation
from infertune.api.status import BatchPlace, RolloutIntent, TemplateValues
from infertune.core.last_good import last_good
from infertune.core.manifests.apply_documents import settle_template, template_expectations
from infertune.core.manifests.naming import ANNOTATION_LAST_GOOD
from infertune.core.plan import ApplyFields, FieldExpectation, SetFinalizer
from infertune.core.snapshot import RawObject
from infertune.core.writes import LiveObjects, Write, next_write, settling_writes
from tests.builders import (
    KEY,
    NOW,
    autoscaler_of,
    container_of,
    decide,
    deployment_of,
    intent_between,
    rollout_of,
    spec_of,
    status_of,
    target_of,
    with_condition,
)

OLD, NEW = (2, 2), (1, 3)
INTENT = intent_between("1", "4", None, (OLD, NEW))
BASE = ("spec", "template", "spec", "containers", f"name={INTENT.container}")
BOUNDS_TAKEN = Observation("FieldConflict", "True", "FieldTaken", "spec.maxReplicas: holds 9")


def recorded(raw: RawObject, state: Any, intent: RolloutIntent = INTENT) -> dict[str, Any]:
    """Return the object with our record on it."""
    annotations = {ANNOTATION_LAST_GOOD: last_good(intent, state)}
    return {**raw, "metadata": {**raw["metadata"], "annotations": annotations}}


def live(batch: str = "4", bounds: tuple[int, int] = NEW, **states: Any) -> LiveObjects:
    target, scaler = deployment_of(container_of(batch)), autoscaler_of(*bounds)
    return LiveObjects(
        recorded(target, states.get("target", "Open")), recorded(scaler, states.get("hpa", "Open"))
    )


def kinds(effects: tuple[ApplyFields, ...]) -> list[str]:
    return [effect.document["kind"] for effect in effects]


def test_an_apply_names_the_very_object() -> None:
    found = live("1", OLD)
    widen = next_write(KEY, spec_of(), INTENT, found, back=False)
    write = next_write(KEY, spec_of(), INTENT, live("1", (2, 3)), back=False)
    assert isinstance(widen, Write)
    assert isinstance(write, Write)
    assert widen.effect.document["metadata"]["uid"] == INTENT.autoscaler_uid
    assert write.effect.document["metadata"]["uid"] == INTENT.target_uid


def test_every_field_that_is_written_is_expected_first() -> None:
    images = intent_between("1", "4", ("a:1", "b:2"), None)
    assert template_expectations(images, back=False) == (
        FieldExpectation((*BASE, "image"), "a:1", "b:2"),
        FieldExpectation((*BASE, "env", "name=MAX_BATCH", "value"), "1", "4"),
    )
    flags = INTENT.model_copy(
        update={
            "place": BatchPlace(argument="--max-batch"),
            "before": TemplateValues(own_args=kept(("serve", "--max-batch=1"), (1,))),
            "after": TemplateValues(own_args=kept(("serve", "--max-batch=4"), (1,))),
        }
    )
    old, new = (kept(("serve", f"--max-batch={batch}"), (1,)) for batch in (4, 1))
    args = FieldExpectation((*BASE, "args"), old, new)
    assert template_expectations(flags, back=True) == (args,)


def test_bounds_are_forced_forward_only() -> None:
    forward = next_write(KEY, spec_of(), INTENT, live("1", OLD), back=False)
    back = next_write(KEY, spec_of(), INTENT, live("1", (2, 3)), back=True)
    assert isinstance(forward, Write)
    assert isinstance(back, Write)
    assert kinds((forward.effect, back.effect)) == ["HorizontalPodAutoscaler"] * 2
    assert (forward.effect.adopt, back.effect.adopt) == (True, False)


def test_on_the_way_back_bounds_of_somebody_else_are_not_even_tried() -> None:
    step = next_write(KEY, spec_of(), INTENT, live("4", (1, 9)), back=True)
    assert isinstance(step, Write)
    assert step.effect.document["kind"] == "Deployment"


def test_the_finalizer_stands_before_the_first_write_back() -> None:
    going = status_of("RollingBack", rollout=rollout_of(INTENT, rollback_started_at=NOW))
    found = decide(going, target=target_of(deployment_of(container_of("4"))))
    assert found.effects == (SetFinalizer(present=True),)


def test_bounds_that_were_taken_once_are_left_to_their_owner_to_the_end() -> None:
    """Put back to a value of this rollout by their owner, they are still not ours to write."""
    going = status_of("RollingBack", rollout=rollout_of(INTENT, rollback_started_at=NOW))
    taken = with_condition(going, BOUNDS_TAKEN)
    target = target_of(deployment_of(container_of("4")))
    found = decide(taken, target=target, autoscaler=autoscaler_of(*NEW), finalizer=True)
    assert kinds(found.effects) == ["Deployment"]  # type: ignore[arg-type]


def test_a_rollout_that_stays_is_settled_on_both_objects() -> None:
    found = settling_writes(KEY, spec_of(), INTENT, live())
    assert kinds(found) == ["Deployment", "HorizontalPodAutoscaler"]
    assert [effect.adopt for effect in found] == [False, False]


@pytest.mark.parametrize(
    ("objects", "settled"),
    [
        pytest.param(live(batch="7"), ["HorizontalPodAutoscaler"], id="another value in the cap"),
        pytest.param(live(bounds=(1, 9)), ["Deployment"], id="other bounds"),
        pytest.param(live(target="Settled"), ["HorizontalPodAutoscaler"], id="settled target"),
        pytest.param(live(hpa="Settled"), ["Deployment"], id="settled autoscaler"),
    ],
)
def test_only_what_stands_and_is_open_is_settled(objects: LiveObjects, settled: list[str]) -> None:
    assert kinds(settling_writes(KEY, spec_of(), INTENT, objects)) == settled


def test_settling_never_forces_and_expects_what_stands_there() -> None:
    effect = settle_template(KEY, spec_of(), INTENT, live().target)
    assert not effect.adopt
    entry = FieldExpectation((*BASE, "env", "name=MAX_BATCH", "value"), "4", "4")
    assert entry in effect.expectations


def resting(state: Any, *, taken: bool = False) -> list[str]:
    """Return what a resting tuning with a finalizer writes to its target and autoscaler."""
    status = status_of(state, rollout=rollout_of(INTENT, applied_at=NOW))
    if taken:
        status = with_condition(status, BOUNDS_TAKEN)
    objects = live()
    target = target_of(dict(objects.target))
    plan = decide(status, target=target, autoscaler=objects.autoscaler, finalizer=True)
    assert plan.effects[-1] == SetFinalizer(present=False)
    return kinds(plan.effects[:-1])  # type: ignore[arg-type]


def test_only_a_stable_tuning_settles_its_rollout_and_only_without_a_conflict() -> None:
    assert resting("Stable") == ["Deployment", "HorizontalPodAutoscaler"]
    assert resting("Halted") == []
    assert resting("Stable", taken=True) == []
