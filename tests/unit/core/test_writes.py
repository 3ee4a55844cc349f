"""The order of writes: every prefix, crashed and turned at any point, ends wholly new or old.

Worked example: bounds 2-4 become 1-3, the cap 1 becomes 4. Forward: bounds 2-4 (the wider of both,
already so), template, bounds 1-3. Back from there: bounds 2-4, template, bounds (already so).
"""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infertune.api.argument_lists import kept
from infertune.api.status import BatchPlace, RolloutIntent, TemplateValues
from infertune.core.manifests.sent_document import sent_document
from infertune.core.plan import ApplyFields
from infertune.core.preconditions import Violated, check
from infertune.core.writes import AllWritten, LiveObjects, RollingOut, Write, next_write
from tests.builders import (
    KEY,
    OTHER_IMAGE,
    autoscaler_of,
    container_of,
    deployment_of,
    edited,
    intent_between,
    managed,
    spec_of,
)

Pair = tuple[int, int]
CONTAINER = ("spec", "template", "spec", "containers", 0)


class World:
    """A workload and an autoscaler that writes are applied to, as an API server would."""

    def __init__(self, intent: RolloutIntent, live: LiveObjects) -> None:
        self.intent, self.live = intent, live
        self.seen: list[tuple[str | None, Pair | None]] = [self.mix()]

    def mix(self) -> tuple[str | None, Pair | None]:
        return batch_in(self.live.target), bounds_in(self.live.autoscaler)

    def step(self, *, back: bool) -> bool:
        """Make the next write; return whether there was one. Foreign values stop the test."""
        found = next_write(KEY, spec_of(), self.intent, self.live, back=back)
        if not isinstance(found, Write):
            assert isinstance(found, AllWritten)
            return False
        self.live = applied(found.effect, self.live)
        self.seen.append(self.mix())
        return True

    def walk(self, *, back: bool) -> None:
        for _ in range(5):
            if not self.step(back=back):
                return
        pytest.fail("the walk does not end")


def batch_in(target: Any) -> str | None:
    container = target["spec"]["template"]["spec"]["containers"][0]
    return next((e["value"] for e in container["env"] if e["name"] == "MAX_BATCH"), None)


def bounds_in(autoscaler: Any) -> Pair | None:
    if autoscaler is None:
        return None
    return autoscaler["spec"]["minReplicas"], autoscaler["spec"]["maxReplicas"]


def applied(effect: ApplyFields, live: LiveObjects) -> LiveObjects:
    """Return the objects after a write whose precondition holds."""
    document = effect.document
    if document["kind"] == "HorizontalPodAutoscaler":
        assert live.autoscaler is not None
        assert not isinstance(check(live.autoscaler, effect.expectations), Violated)
        return LiveObjects(live.target, edited(live.autoscaler, ("spec",), document["spec"]))
    assert not isinstance(check(live.target, effect.expectations), Violated)
    (written,) = document["spec"]["template"]["spec"]["containers"]
    fresh = container_of(next((e["value"] for e in written.get("env", ())), None))
    fresh["image"] = written.get("image", fresh["image"])
    return LiveObjects(edited(live.target, CONTAINER, fresh), live.autoscaler)


def live_at(batch: str | None, bounds: Pair | None, uid: str = "scaler-uid") -> LiveObjects:
    scaler = None if bounds is None else autoscaler_of(*bounds, uid=uid)
    return LiveObjects(deployment_of(container_of(batch)), scaler)


PAIRS = st.tuples(st.integers(1, 6), st.integers(0, 5)).map(lambda p: (p[0], p[0] + p[1]))
BATCHES = st.sampled_from([None, "1", "4", "08"])


@given(
    before=BATCHES,
    after=st.sampled_from(["1", "4", "16"]),
    bounds=st.one_of(st.none(), st.tuples(PAIRS, PAIRS)),
    forward_steps=st.integers(0, 4),
    back_steps=st.integers(0, 4),
    turn=st.booleans(),
)
def test_from_every_prefix_the_walk_ends_wholly_new_or_wholly_old(
    before: str | None,
    after: str,
    bounds: tuple[Pair, Pair] | None,
    forward_steps: int,
    back_steps: int,
    *,
    turn: bool,
) -> None:
    intent = intent_between(before, after, None, bounds)
    world = World(intent, live_at(before, bounds[0] if bounds else None))
    for _ in range(forward_steps):
        if not world.step(back=False):
            break
    if turn:
        for _ in range(back_steps):
            if not world.step(back=True):
                break
    world.walk(back=turn)
    end = (
        (before, bounds[0] if bounds else None) if turn else (after, bounds[1] if bounds else None)
    )
    assert world.mix() == end
    for batch, found in world.seen:
        assert batch in (before, after)
        if bounds is not None and found is not None:
            needed = [bounds[0]] if batch == before != after else [bounds[1]]
            needed = [bounds[0], bounds[1]] if before == after else needed
            assert any(found[0] >= n[0] and found[1] >= n[1] for n in needed)


@given(foreign=PAIRS, bounds=st.tuples(PAIRS, PAIRS), batch=st.sampled_from(["1", "4"]))
def test_bounds_of_somebody_else_are_never_written_over(
    foreign: Pair, bounds: tuple[Pair, Pair], batch: str
) -> None:
    old, new = bounds
    wide = (max(old[0], new[0]), max(old[1], new[1]))
    intent = intent_between("1", "4", None, bounds)
    live = live_at(batch, foreign)
    for back in (False, True):
        step = next_write(KEY, spec_of(), intent, live, back=back)
        if foreign in (old, new, wide) or not isinstance(step, Write):
            continue
        kind = step.effect.document["kind"]
        subject = live.autoscaler if kind == "HorizontalPodAutoscaler" else live.target
        assert subject is not None
        held = check(subject, step.effect.expectations)
        mixed = foreign[0] in (old[0], new[0], wide[0]) and foreign[1] in (old[1], new[1], wide[1])
        assert kind == "Deployment" or isinstance(held, Violated) or mixed


def test_the_worked_example() -> None:
    intent = intent_between("1", "4", None, ((2, 4), (1, 3)))
    world = World(intent, live_at("1", (2, 4)))
    world.walk(back=False)
    assert world.seen == [("1", (2, 4)), ("4", (2, 4)), ("4", (1, 3))]
    world.seen = []
    world.walk(back=True)
    assert world.seen == [("4", (2, 4)), ("1", (2, 4))]


def test_a_rollout_of_bounds_alone_is_one_write_each_way() -> None:
    intent = intent_between("4", "4", None, ((1, 2), (2, 4)))
    world = World(intent, live_at("4", (1, 2)))
    world.walk(back=False)
    world.walk(back=True)
    assert world.seen == [("4", (1, 2)), ("4", (2, 4)), ("4", (1, 2))]


def test_a_third_value_in_the_template_stops_the_write() -> None:
    step = next_write(KEY, spec_of(), intent_between(bounds=None), live_at("7", None), back=False)
    assert isinstance(step, Write)
    found = check(live_at("7", None).target, step.effect.expectations)
    assert isinstance(found, Violated)
    assert found.value == "'7'"


def test_an_autoscaler_that_took_the_place_of_ours_is_left_alone() -> None:
    intent = intent_between("1", "4", None, ((2, 2), (1, 3)))
    world = World(intent, live_at("4", (2, 2), uid="another"))
    world.walk(back=True)
    assert world.mix() == ("1", (2, 2))


def test_a_container_that_vanished_is_written_to_and_so_found_violated() -> None:
    intent = intent_between(bounds=None).model_copy(update={"container": "gone"})
    live = live_at("1", None)
    step = next_write(KEY, spec_of(), intent, live, back=False)
    assert isinstance(step, Write)
    assert isinstance(check(live.target, step.effect.expectations), Violated)


def test_bounds_are_narrowed_only_when_every_replica_is_there_unless_patience_is_over() -> None:
    target = deployment_of(container_of("4"), status={"availableReplicas": 1})
    live = LiveObjects(target, autoscaler_of(2, 3))
    intent = intent_between("1", "4", None, ((2, 2), (1, 3)))
    assert next_write(KEY, spec_of(), intent, live, back=False) == RollingOut()
    step = next_write(KEY, spec_of(), intent, live, back=False, patient=False)
    assert isinstance(step, Write)
    assert step.sentence == "set the replica bounds to 1-3"


def test_the_image_counts_as_written_only_with_the_cap() -> None:
    intent = intent_between("1", "4", ("registry.test/resnet:fp32", OTHER_IMAGE), None)
    half = LiveObjects(deployment_of(container_of("4")), None)
    assert isinstance(next_write(KEY, spec_of(), intent, half, back=False), Write)


def test_forward_adopts_and_back_does_not() -> None:
    intent, live = intent_between(bounds=None), live_at("1", None)
    forward = next_write(KEY, spec_of(), intent, live, back=False)
    back = next_write(KEY, spec_of(), intent, live_at("4", None), back=True)
    assert isinstance(forward, Write)
    assert isinstance(back, Write)
    assert (forward.effect.adopt, back.effect.adopt) == (True, False)
    assert "annotations" in forward.effect.document["metadata"]
    assert "annotations" not in back.effect.document["metadata"]


def test_what_an_earlier_rollout_wrote_is_named_again_or_it_would_be_deleted() -> None:
    """We own the image, THREADS and MAX_BATCH; LOG_LEVEL and FROM_SECRET are not ours to name."""
    container = container_of("1")
    container["env"] += [{"name": "THREADS", "value": "2"}, {"name": "FROM", "valueFrom": {}}]
    fields = [
        managed("infertune", "THREADS", "MAX_BATCH", "FROM", image=True),
        managed("kubectl", "LOG_LEVEL"),
        managed("infertune", "LOG_LEVEL") | {"subresource": "status"},
    ]
    target = deployment_of(container, metadata={"managedFields": fields})
    step = next_write(
        KEY, spec_of(), intent_between(bounds=None), LiveObjects(target, None), back=False
    )
    assert isinstance(step, Write)
    sent = sent_document(step.effect, target)
    assert sent["spec"]["template"]["spec"]["containers"] == [
        {
            "name": "server",
            "image": container["image"],
            "env": [{"name": "MAX_BATCH", "value": "4"}, {"name": "THREADS", "value": "2"}],
        }
    ]


def test_arguments_that_were_absent_are_written_and_taken_out_again() -> None:
    intent = intent_between(bounds=None).model_copy(
        update={
            "place": BatchPlace(argument="--max-batch"),
            "before": TemplateValues(),
            "after": TemplateValues(own_args=kept(("--max-batch=4",), (0,))),
        }
    )
    live = LiveObjects(deployment_of(container_of()), None)
    forward = next_write(KEY, spec_of(), intent, live, back=False)
    assert isinstance(forward, Write)
    assert not isinstance(check(live.target, forward.effect.expectations), Violated)
    sent = sent_document(forward.effect, live.target)
    (written,) = sent["spec"]["template"]["spec"]["containers"]
    assert written == {"name": "server", "args": ["--max-batch=4"]}
    there = LiveObjects(deployment_of(container_of(args=["--max-batch=4"])), None)
    back = next_write(KEY, spec_of(), intent, there, back=True)
    assert isinstance(back, Write)
    sent = sent_document(back.effect, there.target)
    assert sent["spec"]["template"]["spec"]["containers"] == [{"name": "server"}]


def test_arguments_of_an_earlier_rollout_are_kept_by_one_that_turns_an_entry() -> None:
    container = container_of("1", args=["--max-batch=4"])
    fields = [managed("infertune", args=True)]
    target = deployment_of(container, metadata={"managedFields": fields})
    step = next_write(
        KEY, spec_of(), intent_between(bounds=None), LiveObjects(target, None), back=False
    )
    assert isinstance(step, Write)
    (written,) = sent_document(step.effect, target)["spec"]["template"]["spec"]["containers"]
    assert written["args"] == ["--max-batch=4"]
