"""Stories of a rollout: forward, back, and what people do meanwhile."""

from typing import Any

from infertune.core.evidence import NoData
from tests.fakes.cases import FASTER_IMAGE, NAMESPACE
from tests.fakes.metrics import steady
from tests.scenario.book import (
    NEW,
    NEW_BOUNDS,
    OLD,
    OLD_BOUNDS,
    ROLLOUT,
    UNTOUCHED,
    Act,
    Mix,
    Story,
)
from tests.scenario.stories import LIVE_RATE, Stage

SHORT: dict[str, Any] = {
    "mode": "Apply",
    "probes": {"benchmark": "Disabled"},
    "knobs": {
        "batchSize": {"env": "MAX_BATCH_SIZE", "values": [16]},
        "replicas": {"min": 1, "max": 4},
    },
}
BACK = (OLD, OLD_BOUNDS)
FORWARD = (NEW, NEW_BOUNDS)


def happy(**spec: Any) -> Stage:
    """Return the shortest stage on which a change is found, applied and verified."""
    stage = Stage(**{**SHORT, **spec})
    stage.world.seconds_by_role["load"] = 4.0
    stage.step_seconds = 3.0
    return stage


def with_quality() -> Stage:
    """Return a stage on which a faster image answers right, and is applied."""
    knobs = SHORT["knobs"] | {"images": [FASTER_IMAGE]}
    stage = happy(knobs=knobs, quality={"goldenConfigMap": "golden"})
    stage.world.quality = lambda _: (2, 2)
    metadata = {"namespace": NAMESPACE, "name": "golden"}
    golden = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
    stage.cluster.store.add({**golden, "data": {"golden.json": "[]"}})
    return stage


def broken_promise() -> Stage:
    """Return a stage on which live traffic breaks the promise once the change is live."""
    stage = happy()
    stage.live = lambda query: steady(query, 150.0 if stage.values() == OLD else 900.0, LIVE_RATE)
    return stage


def mend(stage: Stage) -> None:
    """Let traffic keep the promise from now on."""
    stage.live = None


def silent() -> Stage:
    """Return a stage on which nothing can be measured once the change is live."""
    stage = happy(
        rollout={"warmupSeconds": 5, "applyTimeoutSeconds": 120, "onInconclusive": "Rollback"}
    )
    stage.live = lambda query: (
        steady(query, 150.0, LIVE_RATE)
        if stage.values() == OLD
        else NoData("Unavailable", "Prometheus does not answer")
    )
    return stage


def in_state(*states: str) -> Any:
    """Return the moment at which the tuning is in one of these states."""
    return lambda stage: stage.state() in states


def delete(stage: Stage) -> None:
    """Let the user delete the tuning."""
    stage.delete()


def recommend_from_now_on(stage: Stage) -> None:
    """Let the user ask for a recommendation alone."""
    stage.edit_spec(lambda spec: spec.update(mode="Recommend"))


def new_rules(stage: Stage) -> None:
    """Let the user promise a little less."""
    stage.edit_spec(lambda spec: spec["slo"].update(latencyMilliseconds=210))


def _edited(state: str) -> Story:
    return Story(
        f"spec edited while {state}",
        happy,
        state="Stable",
        end=FORWARD,
        annotated=True,
        acts=(Act(in_state(state), new_rules),),
    )


def _deleted(state: str, safe: frozenset[Any]) -> Story:
    return Story(
        f"deleted while {state}",
        happy,
        state="gone",
        end=BACK,
        safe=safe,
        leaves=(),
        acts=(Act(in_state(state), delete),),
    )


def lose_target(stage: Stage) -> None:
    """Let somebody delete the Deployment."""
    stage.cluster.store.delete("Deployment", NAMESPACE, "server")
    stage.cluster.store.collect_garbage()


def mix_while_there(stage: Stage) -> Mix:
    """Return the mix; once the Deployment is gone, no bounds are wrong for it."""
    there = stage.cluster.store.look("Deployment", NAMESPACE, "server") is not None
    return (stage.values(), stage.bounds()) if there else "no target"


TALES = (
    *(
        Story(
            f"target deleted while {state}",
            happy,
            state="Halted",
            end="no target",
            safe=ROLLOUT | {"no target"},
            acts=(Act(in_state(state), lose_target),),
            mix=mix_while_there,
        )
        for state in ("Applying", "Verifying")
    ),
    Story("applied and verified", happy, state="Stable", end=FORWARD, annotated=True),
    Story("rolled back", broken_promise, state="Halted", end=BACK),
    Story(
        "another image, applied and verified",
        with_quality,
        state="Stable",
        end=((FASTER_IMAGE, "16"), (1, 2)),
        safe=frozenset({BACK, ((FASTER_IMAGE, "16"), OLD_BOUNDS), ((FASTER_IMAGE, "16"), (1, 2))}),
        annotated=True,
        # A trial that a policy refuses is a result, with which another configuration may win.
        not_tried=("403 by a policy",),
    ),
    Story("nothing measured, rolled back", silent, state="Halted", end=BACK),
    Story(
        "recommended",
        lambda: happy(mode="Recommend"),
        state="Stable",
        end=BACK,
        safe=UNTOUCHED,
    ),
    Story(
        "a promise that nothing keeps",
        lambda: happy(slo={"percentile": 95, "latencyMilliseconds": 25}),
        state="Stable",
        end=BACK,
        safe=UNTOUCHED,
        leaves=(),
    ),
    *(_deleted(state, UNTOUCHED) for state in ("Probing", "Searching")),
    *(_deleted(state, ROLLOUT) for state in ("Applying", "Verifying")),
    *(_edited(state) for state in ("Searching", "Applying", "Verifying", "Stable")),
)
