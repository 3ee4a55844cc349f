"""The order of a rollout's writes, forward and back, and which one is next.

Role: compare the live objects with the intent and name the next write. Must not know: states,
verification. Trade-off: bounds are first widened to hold both old and new, and narrowed last, so
that every prefix of the writes, in both directions, leaves enough replicas for either template.
"""

from dataclasses import dataclass

from infertune.api.spec import TuningSpec
from infertune.api.status import Bounds, RolloutIntent
from infertune.core.knobs import KnobProblem, find_container, values_of
from infertune.core.live_rollout import rollout_complete
from infertune.core.manifests.apply_documents import apply_bounds, apply_template
from infertune.core.plan import ApplyFields
from infertune.core.resolve import bounds_of
from infertune.core.snapshot import Key, RawObject


@dataclass(frozen=True, slots=True)
class LiveObjects:
    """The workload, and its autoscaler if it has one, as read in this tick."""

    target: RawObject
    autoscaler: RawObject | None


@dataclass(frozen=True, slots=True)
class Write:
    """The next write, and what it is in words."""

    effect: ApplyFields
    sentence: str


@dataclass(frozen=True, slots=True)
class RollingOut:
    """The template is written; its replicas are not all there yet."""


@dataclass(frozen=True, slots=True)
class AllWritten:
    """Every object stands as the intent wants it, and the rollout is complete."""


WriteStep = Write | RollingOut | AllWritten


def next_write(
    key: Key, spec: TuningSpec, intent: RolloutIntent, live: LiveObjects, *, back: bool
) -> WriteStep:
    """Return the next step towards the intent, or back from it.

    Every state that an interrupted run can leave behind is a prefix of the same path, so the way
    back may start anywhere on it.
    """
    bounds = bounds_of(live.autoscaler)
    start, goal = intent.bounds_before, intent.bounds_after
    if back:
        start, goal = goal, start
    scaled = bounds is not None and start is not None and goal is not None
    wide = _wider(start, goal) if start is not None and goal is not None else None
    if not _template_written(spec, intent, live.target, back=back):
        if scaled and start is not None and wide is not None and bounds != wide:
            effect = apply_bounds(key, intent, start, wide, back=back)
            return Write(effect, f"widen the replica bounds to {_text(wide)}")
        return Write(apply_template(key, spec, intent, back=back), "write the pod template")
    if not rollout_complete(live.target):
        return RollingOut()
    if scaled and goal is not None and wide is not None and bounds != goal:
        effect = apply_bounds(key, intent, wide, goal, back=back)
        return Write(effect, f"set the replica bounds to {_text(goal)}")
    return AllWritten()


def _template_written(
    spec: TuningSpec, intent: RolloutIntent, target: RawObject, *, back: bool
) -> bool:
    wanted = intent.before if back else intent.after
    container = find_container(target["spec"]["template"], intent.container)
    if isinstance(container, KnobProblem):
        return False
    found = values_of(container, spec.knobs.batch_size)
    if wanted.image is not None and found.image != wanted.image:
        return False
    return found.batch_value == wanted.batch_value and found.args == wanted.args


def _wider(one: Bounds, other: Bounds) -> Bounds:
    return Bounds(
        min_replicas=max(one.min_replicas, other.min_replicas),
        max_replicas=max(one.max_replicas, other.max_replicas),
    )


def _text(bounds: Bounds) -> str:
    return f"{bounds.min_replicas}-{bounds.max_replicas}"
