"""When a pod came how far, as its status says it."""

from datetime import UTC, datetime
from typing import Any

from infertune.adapters.kube.pod_times import pod_times
from infertune.core.snapshot import PodTimes


def condition(name: str, second: int, status: str = "True") -> dict[str, str]:
    return {"type": name, "status": status, "lastTransitionTime": f"2026-03-01T12:00:{second:02}Z"}


def container(name: str, restarts: int = 0, **state: Any) -> dict[str, Any]:
    return {"name": name, "restartCount": restarts, "state": state}


def at(second: int) -> datetime:
    return datetime(2026, 3, 1, 12, 0, second, tzinfo=UTC)


def test_conditions_and_containers_tell_when() -> None:
    begun = {"startedAt": "2026-03-01T12:00:09Z"}
    status = {
        "conditions": [
            condition("PodScheduled", 1),
            condition("Ready", 20),
            {"type": "Initialized", "status": "True", "lastTransitionTime": None},
        ],
        "containerStatuses": [
            container("server", running=begun),
            container("again", 1, running=begun),
            container("ended", terminated=begun),
            container("waits", waiting={"reason": "ContainerCreating"}),
        ],
    }
    assert pod_times({"status": status}) == PodTimes(
        at(1), at(20), {"server": at(9), "ended": at(9)}
    )


def test_what_is_not_true_or_not_there_has_no_time() -> None:
    assert pod_times({"status": {"conditions": [condition("Ready", 20, "False")]}}) == PodTimes(
        None, None, {}
    )
    assert pod_times({}) == PodTimes(None, None, {})
