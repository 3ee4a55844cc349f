"""What stands against a rollout before its first write: each answer word for word.

Two replicas today, no autoscaler bounds moved, unless the case says otherwise.
"""

from typing import Any

import pytest

from infertune.api.spec import Rollout
from infertune.core.feasibility import (
    Change,
    Infeasible,
    Pace,
    budget_notes,
    pace_of,
    why_infeasible,
)
from tests.builders import container_of, deployment_of, intent_between

ACCEPT = "or accept it with spec.rollout.allowDowntime: true"
RESOURCES = {"requests": {"cpu": "500m"}}


def rolling(surge: object, down: object) -> dict[str, Any]:
    rules = {"maxSurge": surge, "maxUnavailable": down}
    return {"strategy": {"type": "RollingUpdate", "rollingUpdate": rules}}


def stateful(strategy: dict[str, Any], replicas: int = 2) -> dict[str, Any]:
    return deployment_of(
        kind="StatefulSet", spec={"replicas": replicas, "updateStrategy": strategy}
    )


def change_of(workload: dict[str, Any], **known: Any) -> Change:
    rules = Rollout.model_validate(known.pop("rules", {}))
    intent = known.pop("intent", intent_between(bounds=None))
    return Change(workload, intent, rules, **known)


def quota(used: str) -> dict[str, Any]:
    return {
        "metadata": {"name": "team"},
        "spec": {"hard": {"requests.cpu": "2"}},
        "status": {"hard": {"requests.cpu": "2"}, "used": {"requests.cpu": used}},
    }


def with_cpu(**spec: Any) -> dict[str, Any]:
    return deployment_of(container_of(resources=RESOURCES), spec=spec)


OBSTACLES = [
    pytest.param(
        change_of(deployment_of(spec={"replicas": 0})),
        Infeasible(
            "TargetScaledToZero",
            "Deployment 'resnet': spec.replicas is 0, so no live traffic could verify a change: "
            "scale it up",
        ),
        id="scaled to zero",
    ),
    pytest.param(
        change_of(deployment_of(spec={"paused": True})),
        Infeasible(
            "TargetPaused",
            "Deployment 'resnet': spec.paused is true, a new template would not be rolled out: "
            "resume it (kubectl rollout resume)",
        ),
        id="paused",
    ),
    pytest.param(
        change_of(stateful({"type": "OnDelete"})),
        Infeasible(
            "UpdateOnDelete",
            "StatefulSet 'resnet': spec.updateStrategy.type is OnDelete, and pods are never "
            "deleted by us: set RollingUpdate",
        ),
        id="on delete",
    ),
    pytest.param(
        change_of(stateful({"rollingUpdate": {"partition": 1}})),
        Infeasible(
            "UpdatePartitioned",
            "StatefulSet 'resnet': spec.updateStrategy.rollingUpdate.partition is 1, so pods "
            "below that ordinal would keep the old template: set it to 0",
        ),
        id="partition",
    ),
    pytest.param(
        change_of(deployment_of(spec={"strategy": {"type": "Recreate"}})),
        Infeasible(
            "StrategyRecreate",
            "Deployment 'resnet': spec.strategy.type is Recreate, so all 2 replicas would be down "
            f"until new ones are ready: set RollingUpdate, {ACCEPT}",
        ),
        id="recreate",
    ),
    pytest.param(
        change_of(deployment_of(spec={"replicas": 1} | rolling(0, 1))),
        Infeasible(
            "NoRoomToRoll",
            "Deployment 'resnet': spec.strategy.rollingUpdate lets its only replica be down at "
            f"once (maxSurge 0, maxUnavailable 1): set maxSurge 1 and maxUnavailable 0, {ACCEPT}",
        ),
        id="one replica without surge",
    ),
    pytest.param(
        change_of(deployment_of(spec=rolling(1, "100%"))),
        Infeasible(
            "NoRoomToRoll",
            "Deployment 'resnet': spec.strategy.rollingUpdate lets all 2 replicas be down at once "
            f"(maxSurge 1, maxUnavailable 2): set maxSurge 1 and maxUnavailable 0, {ACCEPT}",
        ),
        id="all may be down though one is added",
    ),
    pytest.param(
        change_of(stateful({}, replicas=1)),
        Infeasible(
            "NoRoomToRoll",
            "StatefulSet 'resnet': a StatefulSet replaces a pod by taking it down first, and its "
            f"only replica would be down at once: run one more, {ACCEPT}",
        ),
        id="a stateful set of one",
    ),
    pytest.param(
        change_of(deployment_of(spec=rolling(0, 1)), needed_replicas=2),
        Infeasible(
            "TooFewDuringRollout",
            "Deployment 'resnet': 1 of 2 replicas serve during a rollout (maxSurge 0, "
            "maxUnavailable 1), and today's traffic needs 2: set spec.strategy.rollingUpdate to "
            f"maxSurge 1 and maxUnavailable 0, {ACCEPT}",
        ),
        id="no surge, and both are needed",
    ),
    pytest.param(
        change_of(deployment_of(spec=rolling(0, 1))),
        Infeasible(
            "TooFewDuringRollout",
            "Deployment 'resnet': 1 of 2 replicas serve during a rollout (maxSurge 0, "
            "maxUnavailable 1), and no trial shows that they carry today's traffic: set "
            f"spec.strategy.rollingUpdate to maxSurge 1 and maxUnavailable 0, {ACCEPT}",
        ),
        id="no surge, and nobody knows how many are needed",
    ),
    pytest.param(
        change_of(deployment_of(spec={"replicas": 4}), needed_replicas=4),
        Infeasible(
            "TooFewDuringRollout",
            "Deployment 'resnet': 3 of 4 replicas serve during a rollout (maxSurge 1, "
            "maxUnavailable 1), and today's traffic needs 4: set spec.strategy.rollingUpdate to "
            f"maxSurge 1 and maxUnavailable 0, {ACCEPT}",
        ),
        id="the default strategy takes one of four down",
    ),
    pytest.param(
        change_of(stateful({}, replicas=3), needed_replicas=3),
        Infeasible(
            "TooFewDuringRollout",
            "StatefulSet 'resnet': 2 of 3 replicas serve during a rollout (maxSurge 0, "
            f"maxUnavailable 1), and today's traffic needs 3: run more replicas, {ACCEPT}",
        ),
        id="a stateful set that needs all",
    ),
    pytest.param(
        change_of(
            deployment_of(spec={"progressDeadlineSeconds": 60, "minReadySeconds": 10}),
            startup_seconds=65.0,
        ),
        Infeasible(
            "ProgressDeadlineTooShort",
            "Deployment 'resnet': spec.progressDeadlineSeconds is 60, but a trial server took "
            "65 s to answer: raise it to 130",
        ),
        id="kubernetes would give up before the first pod is ready",
    ),
    pytest.param(
        change_of(
            deployment_of(spec={"progressDeadlineSeconds": 301, "minReadySeconds": 300}),
            startup_seconds=301.0,
            rules={"applyTimeoutSeconds": 3600},
        ),
        Infeasible(
            "ProgressDeadlineTooShort",
            "Deployment 'resnet': spec.progressDeadlineSeconds is 301, but a trial server took "
            "301 s to answer: raise it to 602",
        ),
        id="the deadline itself is too late",
    ),
    pytest.param(
        change_of(
            deployment_of(spec={"replicas": 4} | rolling(1, 0)),
            startup_seconds=20.0,
            rules={"applyTimeoutSeconds": 70},
        ),
        Infeasible(
            "ApplyTimeoutTooShort",
            "spec.rollout.applyTimeoutSeconds is 70, but a trial server took 20 s to answer and "
            "4 replicas are replaced in 4 waves: raise it to 160",
        ),
        id="four waves of twenty seconds in seventy",
    ),
    pytest.param(
        change_of(with_cpu(), quotas=(quota("1800m"),)),
        Infeasible(
            "QuotaExceeded",
            "ResourceQuota 'team': requests.cpu 1800m of 2 is used, and the rollout needs room "
            "for 1 more pod (0.5): raise the quota or free requests.cpu",
        ),
        id="no quota for the pod on top",
    ),
    pytest.param(
        change_of(
            with_cpu(),
            quotas=(quota("1"),),
            intent=intent_between(bounds=((2, 3), (4, 6))),
        ),
        Infeasible(
            "QuotaExceeded",
            "ResourceQuota 'team': requests.cpu 1 of 2 is used, and the rollout needs room for 3 "
            "more pods (1.5): raise the quota or free requests.cpu",
        ),
        id="no quota for two more replicas and one on top",
    ),
]


@pytest.mark.parametrize(("change", "answer"), OBSTACLES)
def test_an_obstacle_is_named_with_its_field_and_the_fix(
    change: Change, answer: Infeasible
) -> None:
    assert why_infeasible(change) == answer


FREE = [
    pytest.param(change_of(deployment_of()), id="the default strategy with two replicas"),
    pytest.param(change_of(deployment_of(spec={"replicas": 1})), id="one replica that surges"),
    pytest.param(
        change_of(
            deployment_of(spec={"strategy": {"type": "Recreate"}}), rules={"allowDowntime": True}
        ),
        id="recreate, accepted",
    ),
    pytest.param(
        change_of(deployment_of(spec=rolling(0, 1)), rules={"allowDowntime": True}),
        id="no surge, accepted",
    ),
    pytest.param(
        change_of(deployment_of(spec=rolling(0, 1)), needed_replicas=1),
        id="no surge, and one replica is enough",
    ),
    pytest.param(
        change_of(
            deployment_of(spec={"strategy": {"type": "Recreate"}, "paused": True}),
            intent=intent_between("4", "4"),
        ),
        id="only bounds move, no pod is replaced",
    ),
    pytest.param(
        change_of(
            deployment_of(spec={"replicas": 4} | rolling(2, 0)),
            startup_seconds=35.0,
            rules={"applyTimeoutSeconds": 70},
        ),
        id="two waves that just fit",
    ),
    pytest.param(
        change_of(with_cpu(), quotas=(quota("1500m"),)), id="a quota with room for exactly one"
    ),
    pytest.param(
        change_of(with_cpu(**rolling(1, 1)), quotas=(quota("2"),), needed_replicas=1),
        id="no quota, but one may go first",
    ),
]


@pytest.mark.parametrize("change", FREE)
def test_what_can_be_rolled_out_is_not_held_back(change: Change) -> None:
    assert why_infeasible(change) is None


def test_allow_downtime_does_not_open_what_could_never_be_rolled_out() -> None:
    accepted = {"allowDowntime": True}
    words = [
        why_infeasible(change_of(workload, rules=accepted))
        for workload in (
            deployment_of(spec={"paused": True}),
            stateful({"type": "OnDelete"}),
            stateful({"rollingUpdate": {"partition": 2}}),
            deployment_of(spec={"replicas": 0}),
        )
    ]
    assert [found.reason if found else None for found in words] == [
        "TargetPaused",
        "UpdateOnDelete",
        "UpdatePartitioned",
        "TargetScaledToZero",
    ]


@pytest.mark.parametrize(
    ("workload", "replicas", "pace"),
    [
        (deployment_of(), 4, Pace(1, 1)),
        (deployment_of(), 1, Pace(1, 0)),
        (deployment_of(spec=rolling("0%", "10%")), 4, Pace(0, 1)),
        (deployment_of(spec=rolling(3, 9)), 4, Pace(3, 4)),
        (stateful({}), 4, Pace(0, 1)),
        (stateful({"rollingUpdate": {"maxUnavailable": "60%"}}), 4, Pace(0, 2)),
        (stateful({"rollingUpdate": {"maxUnavailable": "10%"}}), 4, Pace(0, 1)),
    ],
)
def test_the_pace_is_the_one_its_controller_keeps(
    workload: dict[str, Any], replicas: int, pace: Pace
) -> None:
    assert pace_of(workload, replicas) == pace


def budget(**spec: Any) -> dict[str, Any]:
    selector = {"matchLabels": {"app": "resnet"}}
    return {"metadata": {"name": "guard"}, "spec": {"selector": selector} | spec}


@pytest.mark.parametrize(
    ("found", "low", "told"),
    [
        pytest.param(budget(minAvailable=1), (2, 1), True, id="one must stay and one is left"),
        pytest.param(budget(minAvailable=1), (3, 2), False, id="one may still go"),
        pytest.param(budget(minAvailable=1), (1, 1), False, id="it was so before"),
        pytest.param(budget(minAvailable="50%"), (2, 1), True, id="half of one, rounded up"),
        pytest.param(budget(maxUnavailable=0), (2, 1), False, id="it never let one go"),
        pytest.param(budget(maxUnavailable=1), (2, 1), False, id="one may always go"),
        pytest.param(
            budget(minAvailable=1, selector={"matchLabels": {"app": "other"}}),
            (2, 1),
            False,
            id="about other pods",
        ),
        pytest.param(budget(minAvailable=1, selector={}), (2, 1), True, id="about all pods"),
        pytest.param(
            budget(
                minAvailable=1,
                selector={
                    "matchExpressions": [{"key": "app", "operator": "In", "values": ["resnet"]}]
                },
            ),
            (2, 1),
            True,
            id="by expression",
        ),
    ],
)
def test_a_disruption_budget_is_told_of_where_the_change_makes_the_difference(
    found: dict[str, Any], low: tuple[int, int], told: bool
) -> None:
    words = (
        "PodDisruptionBudget 'guard' allows no eviction at 1 replica: a node drain will wait "
        "there (it does not hold a rollout back)"
    )
    assert budget_notes([found], deployment_of(), *low) == ((words,) if told else ())
