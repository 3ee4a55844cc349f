"""What a finished rollout wrote, looked at later: the one field that somebody else has set."""

import pytest

from infertune.core.snapshot import WatchedObjects
from infertune.core.standing import Taken, still_ours
from tests.builders import autoscaler_of, container_of, deployment_of, intent_between

TUNED = deployment_of(container_of("4"))
AFTER = (1, 3)


@pytest.mark.parametrize(
    ("found", "path", "value"),
    [((2, 3), "spec.minReplicas", "2"), ((1, 9), "spec.maxReplicas", "9")],
    ids=["the minimum alone", "the maximum alone"],
)
def test_one_bound_that_somebody_has_set_is_told_with_the_value_wanted(
    found: tuple[int, int], path: str, value: str
) -> None:
    intent = intent_between("1", "4", bounds=((2, 2), AFTER))
    seen = WatchedObjects(TUNED, autoscaler_of(*found))
    wanted = str(dict(zip(("spec.minReplicas", "spec.maxReplicas"), AFTER, strict=True))[path])
    expected = Taken("HorizontalPodAutoscaler/resnet", path, value, (), wanted)
    assert still_ours(intent, seen) == expected
    assert not isinstance(still_ours(intent, WatchedObjects(TUNED, autoscaler_of(*AFTER))), Taken)
