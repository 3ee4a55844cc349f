"""What is refused as not feasible would really have gone wrong; what is let through goes through.

Each test asks first, then makes the change all the same and watches what real controllers do. One
pod at a time becomes ready, as on a cluster where servers start slowly.
"""

from typing import Any

import pytest

from infertune.adapters.kube.connection import Request
from infertune.adapters.kube.paths import list_path
from infertune.api.spec import Rollout
from infertune.api.status import Bounds
from infertune.core.feasibility import Infeasible, budget_notes
from infertune.core.live_rollout import rollout_complete, rollout_stuck
from infertune.ports import ClusterError
from tests.rollouts.ground import NEW, OLD, Ground, never, ready, turning, value_of

pytestmark = [pytest.mark.real_api, pytest.mark.timeout(120)]
NAME = "server"
SURGE = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}


def reason(found: Infeasible | None) -> str | None:
    return found.reason if found else None


def values(ground: Ground) -> list[str]:
    return sorted(value_of(pod) for pod in ground.pods(NAME))


def goes_through(ground: Ground, kind: str = "Deployment") -> None:
    """Let pods become ready until the rollout is complete in our own words."""

    def complete() -> bool:
        ground.serve_one(NAME)
        return rollout_complete({**ground.live(NAME, kind), "kind": kind})

    ground.until(complete)
    assert set(values(ground)) == {NEW}
    assert all(map(ready, ground.pods(NAME)))


def serving(ground: Ground) -> int:
    return sum(map(ready, ground.pods(NAME)))


class TestNothingServesMeanwhile:
    @pytest.mark.parametrize(
        ("kind", "replicas", "spec", "said"),
        [
            ("Deployment", 2, {"strategy": {"type": "Recreate"}}, "StrategyRecreate"),
            (
                "Deployment",
                1,
                {"strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}},
                "NoRoomToRoll",
            ),
            ("StatefulSet", 1, {}, "NoRoomToRoll"),
        ],
        ids=["recreate", "no surge", "one of a StatefulSet"],
    )
    def test_refused_and_forced_no_replica_serves_for_a_while(
        self, ground: Ground, kind: str, replicas: int, spec: dict[str, Any], said: str
    ) -> None:
        ground.workload(NAME, replicas, kind, **spec)
        assert reason(ground.answer(NAME, kind)) == said
        assert ground.answer(NAME, kind, rules=Rollout(allowDowntime=True)) is None
        ground.turn(NAME, kind)
        ground.until(lambda: serving(ground) == 0)
        goes_through(ground, kind)


class TestNeverRolledOut:
    def test_a_paused_deployment_keeps_its_pods_until_it_is_resumed(self, ground: Ground) -> None:
        ground.workload(NAME, 2, paused=False)
        ground.patch(NAME, {"spec": {"paused": True}})
        assert reason(ground.answer(NAME)) == "TargetPaused"
        ground.turn(NAME)
        never(3.0, lambda: NEW in values(ground))
        ground.patch(NAME, {"spec": {"paused": False}})
        goes_through(ground)

    def test_a_stateful_set_that_waits_for_deletions_keeps_its_pods(self, ground: Ground) -> None:
        ground.workload(NAME, 2, "StatefulSet", updateStrategy={"type": "OnDelete"})
        assert reason(ground.answer(NAME, "StatefulSet")) == "UpdateOnDelete"
        ground.turn(NAME, "StatefulSet")
        never(3.0, lambda: NEW in values(ground))
        rolling = {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}
        ground.patch(NAME, {"spec": {"updateStrategy": rolling}}, "StatefulSet")
        assert ground.answer(NAME, "StatefulSet") is None
        goes_through(ground, "StatefulSet")

    def test_pods_below_the_partition_keep_the_old_template(self, ground: Ground) -> None:
        strategy = {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}
        ground.workload(NAME, 2, "StatefulSet", updateStrategy=strategy)
        assert reason(ground.answer(NAME, "StatefulSet")) == "UpdatePartitioned"
        ground.turn(NAME, "StatefulSet")
        ground.until(lambda: values(ground) == [OLD, NEW])
        ground.serve_one(NAME)
        never(3.0, lambda: values(ground) != [OLD, NEW])
        assert not rollout_complete({**ground.live(NAME, "StatefulSet"), "kind": "StatefulSet"})


class TestRoomInTheQuota:
    @pytest.mark.parametrize(
        ("hard", "more"),
        [({"pods": "2"}, {"pods": "3"}), ({"limits.cpu": "250m"}, {"limits.cpu": "300m"})],
        ids=["pods", "cpu"],
    )
    def test_without_room_for_the_surge_the_rollout_stands_still_until_there_is(
        self, ground: Ground, hard: dict[str, str], more: dict[str, str]
    ) -> None:
        ground.workload(NAME, 2, strategy=SURGE)
        ground.quota(**hard)
        found = ground.answer(NAME)
        assert reason(found) == "QuotaExceeded"
        ground.turn(NAME)
        ground.until(lambda: "FailedCreate" in failures(ground))
        assert f"exceeded quota: team, requested: {'pods=1' if 'pods' in hard else ''}" in str(
            ground.live(NAME)["status"]["conditions"]
        )
        never(3.0, lambda: NEW in values(ground) or serving(ground) < 2)
        resize(ground, more)
        assert ground.answer(NAME) is None
        goes_through(ground)

    def test_a_rollout_that_takes_one_down_first_needs_no_room(self, ground: Ground) -> None:
        rules = {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 1}}
        ground.workload(NAME, 3, strategy=rules)
        ground.quota(pods="3")
        assert ground.answer(NAME) is None
        ground.turn(NAME)
        goes_through(ground)

    def test_a_stateful_set_needs_no_room(self, ground: Ground) -> None:
        ground.workload(NAME, 2, "StatefulSet")
        ground.quota(pods="2")
        assert ground.answer(NAME, "StatefulSet") is None
        ground.turn(NAME, "StatefulSet")
        goes_through(ground, "StatefulSet")

    def test_a_raised_lower_bound_that_has_no_room_is_not_reached(self, ground: Ground) -> None:
        """From 2 replicas to at least 4, and 3 may be."""
        ground.workload(NAME, 2)
        ground.quota(pods="3")
        bounds = {
            "bounds_before": Bounds(min_replicas=1, max_replicas=2),
            "bounds_after": Bounds(min_replicas=4, max_replicas=4),
        }
        intent = turning(before=turning().after, **bounds)
        assert reason(ground.answer(NAME, intent=intent)) == "QuotaExceeded"
        scaler(ground, 4)
        ground.until(lambda: ground.live(NAME)["spec"]["replicas"] == 4)
        ground.until(lambda: "FailedCreate" in failures(ground))
        assert len(ground.pods(NAME)) == 3


class TestProgressDeadline:
    def test_a_server_that_starts_later_than_the_deadline_is_given_up(self, ground: Ground) -> None:
        ground.workload(NAME, 1, progressDeadlineSeconds=3, strategy=SURGE)
        assert reason(ground.answer(NAME, startup=4.0)) == "ProgressDeadlineTooShort"
        ground.turn(NAME)
        ground.until(lambda: rollout_stuck(ground.live(NAME)) is not None)
        assert "ProgressDeadlineExceeded" in str(rollout_stuck(ground.live(NAME)))

    def test_the_time_that_a_ready_pod_has_to_prove_itself_does_not_count(
        self, ground: Ground
    ) -> None:
        """Readiness is progress to the controller: it waits for the rest anew."""
        ground.workload(NAME, 1, strategy=SURGE)
        ground.patch(NAME, {"spec": {"minReadySeconds": 5, "progressDeadlineSeconds": 6}})
        ground.until(lambda: rollout_complete(ground.live(NAME)))
        assert ground.answer(NAME, startup=3.0) is None
        ground.turn(NAME)
        ground.until(lambda: NEW in values(ground))
        never(3.0, lambda: rollout_stuck(ground.live(NAME)) is not None)
        ground.serve_one(NAME)
        never(4.0, lambda: rollout_stuck(ground.live(NAME)) is not None)
        goes_through(ground)


class TestDisruptionBudgets:
    def test_one_that_lets_no_pod_be_evicted_holds_no_rollout_back(self, ground: Ground) -> None:
        ground.workload(NAME, 2)
        budget(ground, "guard", NAME, minAvailable=2)
        assert allowed(ground, "guard", 2) == 0
        assert not evicts(ground)
        assert ground.answer(NAME) is None
        ground.turn(NAME)
        goes_through(ground)

    def test_what_is_said_of_evictions_is_what_the_controller_allows(self, ground: Ground) -> None:
        """Each budget guards a workload of its own, because a pod under two of them is counted
        for one only. A note is due where an eviction was possible at four replicas.
        """
        for name, form in FORMS.items():
            budget(ground, name, name, **form)
            ground.workload(name, 4)
        before = {name for name in FORMS if allowed(ground, name, 4) == 0}
        budgets = ground.cluster.list_budgets(ground.namespace)
        said: dict[int, set[str]] = {}
        found: dict[int, set[str]] = {}
        for replicas in (3, 2, 1):
            for name in FORMS:
                ground.patch(name, {"spec": {"replicas": replicas}})
            found[replicas] = {name for name in FORMS if allowed(ground, name, replicas) == 0}
            said[replicas] = {
                name for name in FORMS if budget_notes(budgets, ground.live(name), 4, replicas)
            }
        assert said == {replicas: names - before for replicas, names in found.items()}
        assert said[1] > said[2] > set()


FORMS: dict[str, dict[str, Any]] = {
    "min-two": {"minAvailable": 2},
    "min-half": {"minAvailable": "50%"},
    "min-most": {"minAvailable": "70%"},
    "min-all": {"minAvailable": "100%"},
    "max-one": {"maxUnavailable": 1},
    "max-none": {"maxUnavailable": 0},
    "max-tenth": {"maxUnavailable": "10%"},
}


def failures(ground: Ground) -> set[str]:
    """Return the reasons that the Deployment gives for missing replicas."""
    conditions = ground.live(NAME)["status"].get("conditions", ())
    return {one["reason"] for one in conditions if one["type"] == "ReplicaFailure"}


def resize(ground: Ground, hard: dict[str, str]) -> None:
    """Give the quota room, and wait until its controller says so."""
    raw = {"apiVersion": "v1", "kind": "ResourceQuota"}
    placed = {**raw, "metadata": {"name": "team", "namespace": ground.namespace}}
    ground.edit(placed, lambda live: live["spec"].update(hard=hard))
    ground.until(lambda: ground.read(placed)["status"].get("hard") == hard)


def scaler(ground: Ground, low: int) -> None:
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": NAME}
    target = {"type": "Utilization", "averageUtilization": 70}
    metric = {"type": "Resource", "resource": {"name": "cpu", "target": target}}
    spec = {"scaleTargetRef": reference, "minReplicas": low, "maxReplicas": 4, "metrics": [metric]}
    kind = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler"}
    ground.add({**kind, "metadata": {"name": NAME}, "spec": spec})


def budget(ground: Ground, name: str, guarded: str, **form: Any) -> None:
    spec = {"selector": {"matchLabels": {"app": guarded}}, **form}
    kind = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget"}
    ground.add({**kind, "metadata": {"name": name}, "spec": spec})


def allowed(ground: Ground, name: str, replicas: int) -> int:
    """Return how many evictions a budget allows, once its controller has counted the pods."""
    found: dict[str, Any] = {}

    def counted() -> bool:
        (raw,) = [
            one
            for one in ground.cluster.list_budgets(ground.namespace)
            if one["metadata"]["name"] == name
        ]
        found.update(raw.get("status", {}))
        return {found.get("expectedPods"), found.get("currentHealthy")} == {replicas}

    ground.until(counted)
    return int(found["disruptionsAllowed"])


def evicts(ground: Ground) -> bool:
    """Ask for the eviction of a pod, without carrying it out."""
    pod = ground.pods(NAME)[0]["metadata"]["name"]
    path = f"{list_path('v1', 'Pod', ground.namespace)}/{pod}/eviction"
    options = {"dryRun": ["All"]}
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod}}
    try:
        ground.send(Request("POST", path, (), {**body, "deleteOptions": options}))
    except ClusterError:
        return False
    return True
