"""How many replicas serve during a rollout: what is computed, and what controllers really do.

All shapes are rolled out side by side. At each step the controllers come to rest, then one pod of
each workload becomes ready; between two steps lies the fewest that serve and the most there are.
"""

from typing import Any

import pytest

from infertune.core.feasibility import pace_of
from tests.rollouts.ground import NEW, Ground, ready, value_of

pytestmark = [pytest.mark.real_api, pytest.mark.timeout(180)]


def rolling(surge: int | str, down: int | str) -> dict[str, Any]:
    rules = {"maxSurge": surge, "maxUnavailable": down}
    return {"strategy": {"type": "RollingUpdate", "rollingUpdate": rules}}


def stateful(down: int | str, policy: str = "OrderedReady") -> dict[str, Any]:
    rules = {"rollingUpdate": {"maxUnavailable": down}}
    return {"updateStrategy": rules, "podManagementPolicy": policy}


SHAPES: dict[str, tuple[str, int, dict[str, Any]]] = {
    "one-default": ("Deployment", 1, {}),
    "three-default": ("Deployment", 3, {}),
    "five-default": ("Deployment", 5, {}),
    "recreate": ("Deployment", 3, {"strategy": {"type": "Recreate"}}),
    "surge-only": ("Deployment", 3, rolling(1, 0)),
    "down-only": ("Deployment", 3, rolling(0, 1)),
    "one-down-only": ("Deployment", 1, rolling(0, 1)),
    "both-round-to-zero": ("Deployment", 3, rolling(0, "10%")),
    "percentages": ("Deployment", 5, rolling("30%", "50%")),
    "all-down": ("Deployment", 2, rolling(0, "100%")),
    "stateful-one": ("StatefulSet", 1, {}),
    "stateful-three": ("StatefulSet", 3, {}),
    "stateful-two-down": ("StatefulSet", 4, stateful(2)),
    "stateful-half-down": ("StatefulSet", 5, stateful("50%", "Parallel")),
    "stateful-more-than-all": ("StatefulSet", 2, stateful(3, "Parallel")),
}


def test_the_computed_pace_is_the_pace_of_the_controllers(ground: Ground) -> None:
    for name, (kind, replicas, spec) in SHAPES.items():
        ground.workload(name, replicas, kind, **spec)
    computed = {
        name: pace_of(ground.live(name, kind), replicas)
        for name, (kind, replicas, _) in SHAPES.items()
    }
    for name, (kind, _, _) in SHAPES.items():
        ground.turn(name, kind)
    fewest = {name: replicas for name, (_, replicas, _) in SHAPES.items()}
    most = dict(fewest)
    while not all(done(ground, name, shape[1]) for name, shape in SHAPES.items()):
        ground.quiet()
        for name in SHAPES:
            pods = ground.pods(name)
            fewest[name] = min(fewest[name], sum(map(ready, pods)))
            most[name] = max(most[name], len(pods))
            ground.serve_one(name)
    seen = {
        name: (most[name] - replicas, replicas - fewest[name])
        for name, (_, replicas, _) in SHAPES.items()
    }
    assert seen == {name: (pace.surge, pace.unavailable) for name, pace in computed.items()}


def done(ground: Ground, name: str, replicas: int) -> bool:
    pods = ground.pods(name)
    return len(pods) == replicas and all(ready(p) and value_of(p) == NEW for p in pods)
