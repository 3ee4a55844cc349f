"""The book of stories: what is told undisturbed once, and then with every disturbance there is.

To add a story: write a ``Story`` in one of the ``tales_*`` modules (or in a new one, named in
``TALES``). It is then killed after each of its writes and disturbed at each of its calls without
another line. ``acts`` are what people do meanwhile, in order, each as soon as its moment has come;
``safe`` lists every mix of the objects that may ever be seen, one of them the end.
"""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

from infertune.api.v1alpha1 import KIND
from infertune.core.ownership import FIELD_MANAGER
from tests.fakes.cases import IMAGE
from tests.scenario.stories import Stage

Mix = Hashable
OLD, NEW = (IMAGE, "1"), (IMAGE, "16")
OLD_BOUNDS, WIDE_BOUNDS, NEW_BOUNDS = (2, 2), (2, 3), (1, 3)
# The template with a cap of 1 needs two replicas; the one with 16 needs room for three.
ROLLOUT = frozenset({(OLD, OLD_BOUNDS), (OLD, WIDE_BOUNDS), (NEW, WIDE_BOUNDS), (NEW, NEW_BOUNDS)})
RECOMMENDATION = "demo-recommendation"
UNTOUCHED = frozenset({(OLD, OLD_BOUNDS)})


@dataclass(frozen=True, slots=True)
class Act:
    """Something people do once its moment has come; it does not depend on the operator."""

    when: Callable[[Stage], bool]
    do: Callable[[Stage], None]


def template_and_bounds(stage: Stage) -> Mix:
    """Return what most stories are judged by: image, batch cap and replica bounds."""
    return stage.values(), stage.bounds()


def at_rest(stage: Stage) -> bool:
    """Return whether the tuning has come to its end, by the spec as it stands."""
    raw = stage.cluster.store.look(KIND, *stage.place())
    if raw is None:
        return True
    status = raw.get("status", {})
    observed = status.get("observedGeneration") == raw["metadata"]["generation"]
    return observed and status.get("state") in {"Stable", "Halted"}


@dataclass(frozen=True, slots=True)
class Story:
    """One story, with everything that must hold in it and at its end.

    ``annotated`` and ``leaves`` are what stays on the target and in the namespace.
    ``not_tried`` names kinds of failure that are a result in this story, and so lead elsewhere.
    """

    name: str
    stage: Callable[[], Stage]
    state: str
    end: Mix
    safe: frozenset[Mix] = ROLLOUT
    acts: tuple[Act, ...] = ()
    annotated: bool = False
    leaves: tuple[str, ...] = (RECOMMENDATION,)
    mix: Callable[[Stage], Mix] = template_and_bounds
    rest: Callable[[Stage], bool] = at_rest
    not_tried: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class End:
    """What must be the same however often the operator died or was refused.

    ``managed`` says whether a tuning that is gone still owns a field of target or autoscaler.
    """

    state: str
    mix: Mix
    target: Any
    annotated: bool
    managed: bool
    jobs: tuple[str, ...]
    config_maps: tuple[str, ...]
    finalizers: tuple[str, ...]
    measured: frozenset[int | None]
    conditions: Mapping[str, tuple[str, str]] = field(default_factory=dict)


def end_of(story: Story, stage: Stage) -> End:
    """Return the end as the cluster holds it."""
    store = stage.cluster.store
    raw = store.look(KIND, *stage.place())
    target = store.look("Deployment", stage.place()[0], "server")
    status = stage.status() if raw is not None else None
    annotations = (target["metadata"].get("annotations") or {}) if target else {}
    return End(
        state=stage.state(),
        mix=story.mix(stage),
        target=target["spec"] if target else None,
        annotated=any("infertune" in name for name in annotations),
        managed=any(
            raw is None and entry["manager"] == FIELD_MANAGER
            for kind in ("Deployment", "HorizontalPodAutoscaler")
            for found in store.look_at_all(kind)
            for entry in found["metadata"]["managedFields"]
        ),
        jobs=tuple(job["metadata"]["name"] for job in store.look_at_all("Job")),
        config_maps=tuple(
            found["metadata"]["name"].rpartition("-")[0]
            for found in store.look_at_all("ConfigMap")
            if found["metadata"].get("ownerReferences")
        ),
        finalizers=tuple((raw or {"metadata": {}})["metadata"].get("finalizers") or ()),
        measured=frozenset(
            t.candidate.batch_size
            for t in (status.trials if status else ())
            if t.phase == "Completed"
        ),
        conditions={c.type: (c.status, c.reason) for c in status.conditions if c.type in _LASTING}
        if status
        else {},
    )


_LASTING = frozenset({"Applied", "Verified", "FieldConflict"})
