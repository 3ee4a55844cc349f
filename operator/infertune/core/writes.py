"""The order of a rollout's writes, forward and back, and which one is next.

Role: compare the live objects with the intent and name the next write. Must not know: states,
verification. Trade-off: bounds are first widened to hold both old and new, and narrowed last, so
that every prefix of the writes, in both directions, leaves enough replicas for either template.
"""

from dataclasses import dataclass

from infertune.api.spec import TuningSpec
from infertune.api.status import Bounds, RolloutIntent
from infertune.core.last_good import last_good, noted, read_last_good
from infertune.core.live_rollout import rollout_complete
from infertune.core.manifests.apply_documents import (
    BoundsChange,
    apply_bounds,
    apply_template,
    record_after,
    settle_template,
)
from infertune.core.plan import ApplyFields
from infertune.core.resolve import bounds_of
from infertune.core.snapshot import Key, RawObject
from infertune.core.tuned_target import template_holds, wider


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
    key: Key,
    spec: TuningSpec,
    intent: RolloutIntent,
    live: LiveObjects,
    *,
    back: bool,
    patient: bool = True,
) -> WriteStep:
    """Return the next step towards the intent, or back from it.

    Every state that an interrupted run can leave behind is a prefix of the same path, so the way
    back may start anywhere on it. ``patient`` False goes on though replicas are still missing.
    """
    scale = _scale_of(intent, live, back=back)
    if not template_written(intent, live.target, back=back):
        if scale is not None and scale.found != scale.wide:
            return _bounds_write(key, intent, scale, scale.wide, back=back)
        effect = apply_template(key, spec, intent, live.target, back=back)
        return Write(effect, "write the pod template")
    if patient and not rollout_complete(live.target):
        return RollingOut()
    if scale is not None and not _scaled(intent, scale, back=back):
        return _bounds_write(key, intent, scale, scale.goal, back=back)
    if _record_is_left(intent, live.target, back=back):
        effect = apply_template(key, spec, intent, live.target, back=back)
        return Write(effect, "remove the record of the rollout")
    return AllWritten()


def settling_writes(
    key: Key, spec: TuningSpec, intent: RolloutIntent, live: LiveObjects
) -> tuple[ApplyFields, ...]:
    """Return the writes that mark a rollout as over on each object that still holds its values."""
    found: list[ApplyFields] = []
    if _is_open(intent, live.target) and template_holds(intent, live.target, back=False):
        found.append(settle_template(key, spec, intent, live.target))
    scaler, goal = _our_autoscaler(intent, live), intent.bounds_after
    if scaler is not None and goal is not None and _is_open(intent, scaler):
        change = BoundsChange(goal, goal, last_good(intent, "Settled"), adopt=False)
        if bounds_of(scaler) == goal:
            found.append(apply_bounds(key, intent, scaler, change))
    return tuple(found)


def _is_open(intent: RolloutIntent, raw: RawObject) -> bool:
    record = read_last_good(raw)
    return record is not None and record.state == "Open" and record.intent.id == intent.id


def template_written(intent: RolloutIntent, target: RawObject, *, back: bool) -> bool:
    """Return whether the pod template holds the values that the intent wants."""
    return template_holds(intent, target, back=back)


def foreign_bounds(intent: RolloutIntent, live: LiveObjects) -> Bounds | None:
    """Return the bounds of the intent's autoscaler when somebody else has set them."""
    found = bounds_of(_our_autoscaler(intent, live))
    before, after = intent.bounds_before, intent.bounds_after
    if found is None or before is None or after is None:
        return None
    return None if found in (before, after, wider(before, after)) else found


def _record_is_left(intent: RolloutIntent, raw: RawObject, *, back: bool) -> bool:
    """Whether the old values stand, put back by hand perhaps, beside a record that they do not."""
    record = read_last_good(raw)
    ours = record is not None and record.intent.id == intent.id
    return back and ours and noted(raw) != record_after(intent, back=True)


@dataclass(frozen=True, slots=True)
class _Scale:
    """Bounds of the autoscaler: as found, where this direction starts, widest, where it ends."""

    raw: RawObject
    found: Bounds
    start: Bounds
    wide: Bounds
    goal: Bounds


def _scaled(intent: RolloutIntent, scale: _Scale, *, back: bool) -> bool:
    """Whether the bounds are where this direction ends, without a record of what is undone."""
    return scale.found == scale.goal and not _record_is_left(intent, scale.raw, back=back)


def _scale_of(intent: RolloutIntent, live: LiveObjects, *, back: bool) -> _Scale | None:
    """Return the scale of this rollout; None when it has none, or no longer.

    On the way back, bounds that somebody else has set stay as they are: they must not keep the
    template from going back.
    """
    raw = _our_autoscaler(intent, live)
    found = bounds_of(raw)
    start, goal = intent.bounds_before, intent.bounds_after
    if raw is None or found is None or start is None or goal is None:
        return None
    if back and foreign_bounds(intent, live) is not None:
        return None
    if back:
        start, goal = goal, start
    return _Scale(raw, found, start, wider(start, goal), goal)


def _our_autoscaler(intent: RolloutIntent, live: LiveObjects) -> RawObject | None:
    """Return the autoscaler of the intent; one that took its place is somebody else's."""
    found = live.autoscaler
    if found is None or found["metadata"]["uid"] != intent.autoscaler_uid:
        return None
    return found


def _bounds_write(
    key: Key, intent: RolloutIntent, scale: _Scale, new: Bounds, *, back: bool
) -> Write:
    """Return the write from the bounds that stand there, if they are of this rollout.

    The record stays beside them until the last write of the way back.
    """
    old = scale.found if scale.found in (scale.start, scale.goal) else scale.wide
    widening = new == scale.wide and scale.found != scale.wide
    record = record_after(intent, back=back and not widening)
    change = BoundsChange(old, new, record, adopt=not back)
    verb = "widen" if new == scale.wide else "set"
    return Write(
        apply_bounds(key, intent, scale.raw, change), f"{verb} the replica bounds to {_text(new)}"
    )


def _text(bounds: Bounds) -> str:
    return f"{bounds.min_replicas}-{bounds.max_replicas}"
