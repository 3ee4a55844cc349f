"""Small looks at, and parts of, raw Kubernetes objects for the simulated node."""

from typing import Any

# How long the pods of each probe run.
SECONDS_BY_ROLE = {
    "gpu": 3.0,
    "benchmark": 10.0,
    "versions": 3.0,
    "system": 15.0,
    "load": 20.0,
}


def conditions(job: dict[str, Any], *names: str) -> bool:
    conditions = job.get("status", {}).get("conditions") or ()
    return any(c["type"] in names and c["status"] == "True" for c in conditions)


def pending(message: str) -> dict[str, Any]:
    unplaced = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": message,
    }
    return {"phase": "Pending", "conditions": [unplaced]}


def argument(arguments: list[str], name: str) -> str:
    return arguments[arguments.index(name) + 1]
