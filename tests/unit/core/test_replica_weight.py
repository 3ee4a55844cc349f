"""What a replica of a candidate weighs: requests of the pod, beside those of today's."""

from fractions import Fraction
from typing import Any

import pytest

from infertune.api.status import Reading
from infertune.core.replica_weight import SAME, Weight, weight_of
from infertune.core.space import Candidate
from infertune.core.turning import Stand
from tests.builders import (
    IMAGE,
    OTHER_IMAGE,
    container_of,
    decide,
    deployment_of,
    spec_of,
    status_of,
    target_of,
    trial_of,
)

GPU = "nvidia.com/gpu"


def knobs_of(*resources: tuple[str, str]) -> Any:
    """Return knobs of these resources, named by them, each with its bound."""
    values = {GPU: ["1", "2"], "memory": ["1Gi", "2Gi"], "cpu": ["1", "2"]}
    settings = [
        {
            "name": name.partition(".")[0],
            "resource": {"name": name, "bound": bound},
            "values": values[name],
        }
        for name, bound in resources
    ]
    batch = {"env": "MAX_BATCH", "values": [1, 4, 16]}
    return {"batchSize": batch, "settings": settings, "replicas": {"min": 1, "max": 6}}


def weighed(resources: dict[str, Any], *knobs: tuple[str, str], **values: str) -> Weight:
    container = container_of(resources=resources)
    sidecar = {"name": "proxy", "resources": {"requests": {"cpu": "1"}}}
    template = {"spec": {"containers": [sidecar, container]}}
    stand = Stand(template, container, {})
    candidate = Candidate(IMAGE, 1, tuple(sorted(values.items())))
    return weight_of(stand, spec_of(knobs=knobs_of(*knobs)).knobs, candidate)


ONE_GPU = {"limits": {GPU: "1", "cpu": "1", "memory": "1Gi"}}
PLAIN = {"requests": {"cpu": "1", "memory": "1Gi"}}


@pytest.mark.parametrize(
    ("resources", "knobs", "values", "weight"),
    [
        pytest.param(PLAIN, (), {}, SAME, id="no knob"),
        pytest.param(PLAIN, (("cpu", "Requests"),), {"cpu": "1"}, SAME, id="today's"),
        pytest.param(
            PLAIN,
            (("cpu", "Requests"),),
            {"cpu": "3"},
            Weight(Fraction(2), "cpu"),
            id="the sidecar's core counts: 4 of 2",
        ),
        pytest.param(
            PLAIN,
            (("cpu", "Requests"), ("memory", "Requests")),
            {"cpu": "3", "memory": "3Gi"},
            Weight(Fraction(3), "memory"),
            id="what grows most",
        ),
        pytest.param(
            PLAIN, (("cpu", "Requests"),), {"cpu": "500m"}, SAME, id="memory does not shrink"
        ),
        pytest.param(
            PLAIN,
            (("cpu", "Requests"), ("memory", "Requests")),
            {"cpu": "500m", "memory": "512Mi"},
            Weight(Fraction(3, 4), "cpu"),
            id="all shrink, by the one that shrinks least",
        ),
        pytest.param(
            {"requests": {"cpu": "1"}, "limits": {"cpu": "1"}},
            (("cpu", "Limits"),),
            {"cpu": "2"},
            SAME,
            id="a limit alone takes nothing from others",
        ),
        pytest.param(
            {"limits": {"cpu": "1"}},
            (("cpu", "Limits"),),
            {"cpu": "3"},
            Weight(Fraction(2), "cpu"),
            id="without a request the limit is the request",
        ),
        pytest.param(
            {}, (("memory", "Both"),), {"memory": "2Gi"}, SAME, id="nothing to compare with"
        ),
        pytest.param(
            ONE_GPU,
            (("cpu", "Both"), (GPU, "Both")),
            {"cpu": "8", "nvidia": "1"},
            SAME,
            id="beside a GPU cores are small change",
        ),
        pytest.param(
            {"requests": {GPU: "0"}},
            ((GPU, "Both"),),
            {"nvidia": "1"},
            Weight(Fraction(2), GPU),
            id="none is no divisor",
        ),
        pytest.param(
            ONE_GPU, ((GPU, "Both"),), {"nvidia": "2"}, Weight(Fraction(2), GPU), id="two GPUs"
        ),
        pytest.param(
            PLAIN, ((GPU, "Both"),), {"nvidia": "1"}, Weight(Fraction(2), GPU), id="a first GPU"
        ),
    ],
)
def test_what_a_replica_weighs(
    resources: dict[str, Any],
    knobs: tuple[tuple[str, str], ...],
    values: dict[str, str],
    weight: Weight,
) -> None:
    assert weighed(resources, *knobs, **values) == weight


def test_a_larger_replica_that_saves_too_few_is_not_recommended_and_is_priced_as_what_it_is() -> (
    None
):
    """Peak 60: two of 30 requests/s with today's core cost 2; one with four cores costs 4."""
    target = target_of(deployment_of(container_of(resources={"requests": {"cpu": "1"}})))
    knobs = knobs_of(("cpu", "Requests"))
    knobs["settings"][0]["values"] = ["1", "4"]
    trials = tuple(
        trial.model_copy(
            update={"candidate": trial.candidate.model_copy(update={"settings": {"cpu": cores}})}
        )
        for trial, cores in ((trial_of(1, 30.0), "1"), (trial_of(4, 60.0), "4"))
    )
    priced = {"replicaHourly": "3.50", "currency": "EUR"}
    spec = spec_of(knobs=knobs, cost=priced)
    chosen = decide(status_of("Deciding", trials=trials), spec, target=target).status.recommendation
    assert chosen is not None
    assert (chosen.configuration.settings, chosen.knee_rate) == ({"cpu": "1"}, 30.0)
    assert chosen.cost_per_hour_at_peak == Reading(value=7.0, unit="EUR")
    assert "; 1 of 4 times the cpu would carry it too, and cost as much as 4" in chosen.reason
    alone = decide(status_of("Deciding", trials=trials[1:]), spec, target=target)
    assert alone.status.recommendation is not None
    assert alone.status.recommendation.cost_per_hour_at_peak == Reading(value=14.0, unit="EUR")


def test_an_unchecked_change_to_as_many_smaller_replicas_is_told_as_cheaper() -> None:
    """Two replicas of another image with half a core cost 1, the two of today cost 2."""
    target = target_of(deployment_of(container_of(resources={"requests": {"cpu": "1"}})))
    knobs = knobs_of(("cpu", "Requests"))
    knobs["settings"][0]["values"] = ["500m", "1"]
    small = trial_of(4, 30.0, image=OTHER_IMAGE)
    chosen = {"settings": {"cpu": "500m"}}
    small = small.model_copy(update={"candidate": small.candidate.model_copy(update=chosen)})
    found = decide(
        status_of("Deciding", trials=(trial_of(1, 30.0), small)),
        spec_of(knobs=knobs | {"images": [OTHER_IMAGE]}),
        target=target,
    ).status.recommendation
    assert found is not None
    assert found.configuration.image == IMAGE
    assert "cpu=500m" in str(found.withheld)
