"""How much a pod counts against a quota, and whether more of them fit."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infertune.core.quantities import pod_amounts, quantity, scaled
from infertune.core.quota_room import QuotaShort, quota_short


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("500m", Decimal("0.5")),
        ("1Gi", Decimal(2**30)),
        ("1.5Gi", Decimal(3 * 2**29)),
        ("2e3", Decimal(2000)),
        ("1k", Decimal(1000)),
        (".5", Decimal("0.5")),
        ("100n", Decimal("1e-7")),
        (3, Decimal(3)),
        ("", None),
        ("1Zi", None),
        ("NaN", None),
        ("1e9999", None),
    ],
)
def test_a_quantity_is_read_exactly_or_not_at_all(text: object, value: Decimal | None) -> None:
    assert quantity(text) == value


@given(st.text(max_size=12))
def test_no_text_breaks_the_reading_of_quantities(text: str) -> None:
    quantity(text)
    scaled(text, 3, up=True)


@pytest.mark.parametrize(
    ("value", "whole", "up", "found"),
    [
        ("25%", 5, True, 2),
        ("25%", 5, False, 1),
        ("25%", 1, False, 0),
        ("100%", 3, False, 3),
        (2, 9, True, 2),
        ("x", 5, True, None),
        ("-1", 5, True, None),
    ],
)
def test_percentages_round_as_the_controllers_do(
    value: object, whole: int, up: bool, found: int | None
) -> None:
    assert scaled(value, whole, up=up) == found


def container(cpu: str = "500m", memory: str = "1Gi", **more: Any) -> dict[str, Any]:
    return {"resources": {"requests": {"cpu": cpu, "memory": memory}}} | more


def test_a_pod_counts_its_containers_or_its_largest_init_container() -> None:
    """Beside 600m of containers: an init of 900m wins; with a sidecar of 100m it is 1000m."""
    plain = {"containers": [container("400m"), container("200m")]}
    assert pod_amounts(plain)[0]["cpu"] == Decimal("0.6")
    started = plain | {"initContainers": [container("900m")]}
    assert pod_amounts(started)[0]["cpu"] == Decimal("0.9")
    sidecar = container("100m", restartPolicy="Always")
    beside = plain | {"initContainers": [sidecar, container("900m")]}
    assert pod_amounts(beside)[0]["cpu"] == Decimal("1.0")
    assert pod_amounts(beside)[0]["memory"] == Decimal(3 * 2**30)


def test_an_absent_request_equals_the_limit_and_overhead_is_added() -> None:
    pod = {
        "containers": [{"resources": {"limits": {"cpu": "2", "nvidia.com/gpu": 1}}}],
        "overhead": {"cpu": "250m"},
    }
    requests, limits = pod_amounts(pod)
    assert requests == {"cpu": Decimal("2.25"), "nvidia.com/gpu": Decimal(1)}
    assert limits == {"cpu": Decimal(2), "nvidia.com/gpu": Decimal(1)}


def quota(hard: dict[str, str], used: dict[str, str], **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "team"},
        "spec": {"hard": hard, **spec},
        "status": {"hard": hard, "used": used},
    }


POD = {"containers": [container("500m", "1Gi")]}


@pytest.mark.parametrize(
    ("found", "more", "answer"),
    [
        pytest.param(quota({"pods": "3"}, {"pods": "2"}), 1, None, id="just room for one"),
        pytest.param(
            quota({"pods": "3"}, {"pods": "2"}),
            2,
            QuotaShort("team", "pods", "2", "3", "2"),
            id="room for one of two",
        ),
        pytest.param(
            quota({"requests.cpu": "4"}, {"requests.cpu": "3600m"}),
            1,
            QuotaShort("team", "requests.cpu", "3600m", "4", "0.5"),
            id="cpu in another spelling",
        ),
        pytest.param(quota({"cpu": "1"}, {"cpu": "900m"}), 0, None, id="nothing more is wanted"),
        pytest.param(quota({"services": "0"}, {"services": "0"}), 9, None, id="not about pods"),
        pytest.param(
            quota({"pods": "0"}, {"pods": "0"}, scopes=["BestEffort"]),
            1,
            None,
            id="another kind of pod",
        ),
        pytest.param(
            quota({"pods": "0"}, {"pods": "0"}, scopes=["NotTerminating", "NotBestEffort"]),
            1,
            QuotaShort("team", "pods", "0", "0", "1"),
            id="this kind of pod",
        ),
        pytest.param(
            quota({"pods": "0"}, {"pods": "0"}, scopes=["SomethingNew"]),
            1,
            None,
            id="a scope nobody here knows says nothing",
        ),
        pytest.param(
            {"metadata": {"name": "new"}, "spec": {"hard": {"pods": "0"}}},
            1,
            None,
            id="a quota not counted yet says nothing",
        ),
    ],
)
def test_the_first_quota_without_room_is_named(
    found: dict[str, Any], more: int, answer: QuotaShort | None
) -> None:
    assert quota_short([found], POD, more) == answer


@pytest.mark.parametrize(
    ("operator", "values", "name", "counts"),
    [
        ("In", ["high"], "high", True),
        ("In", ["high"], "low", False),
        ("NotIn", ["high"], "low", True),
        ("Exists", [], "low", True),
        ("Exists", [], None, False),
        ("DoesNotExist", [], None, True),
    ],
)
def test_a_quota_of_a_priority_class_counts_its_pods_only(
    operator: str, values: list[str], name: str | None, counts: bool
) -> None:
    rule = {"scopeName": "PriorityClass", "operator": operator, "values": values}
    full = quota({"pods": "0"}, {"pods": "0"}, scopeSelector={"matchExpressions": [rule]})
    pod = POD | ({} if name is None else {"priorityClassName": name})
    assert (quota_short([full], pod, 1) is not None) == counts
