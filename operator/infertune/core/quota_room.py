"""Is there room in the namespace's quotas for more pods of a template?

Role: the arithmetic of ResourceQuota over a pod spec. Must not know: why more pods are wanted.
Trade-off: a quota whose scope cannot be evaluated here, or whose status is not filled in yet, is
left out: what is said of room is certain, what is not said may still be refused by the server.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from infertune.core.quantities import pod_amounts, quantity
from infertune.core.snapshot import RawObject

_PLAIN = ("cpu", "memory", "ephemeral-storage")
_POD_COUNTS = ("pods", "count/pods")


@dataclass(frozen=True, slots=True)
class QuotaShort:
    """The first quota without room, in the words of the quota."""

    quota: str
    resource: str
    used: str
    hard: str
    needed: str


def quota_short(
    quotas: Sequence[RawObject], pod: Mapping[str, Any], more_pods: int
) -> QuotaShort | None:
    """Return the first quota that has no room for ``more_pods`` pods of this pod spec, or None."""
    demands = _demands(pod)
    for quota in sorted(quotas, key=lambda raw: str(raw["metadata"]["name"])):
        if more_pods <= 0 or not _applies(quota.get("spec", {}), pod, demands):
            continue
        status = quota.get("status", {})
        hard, used = status.get("hard") or {}, status.get("used") or {}
        for resource in sorted(hard):
            needed = demands.get(resource, Decimal(0)) * more_pods
            limit, taken = quantity(hard[resource]), quantity(used.get(resource, "0"))
            if needed > 0 and limit is not None and taken is not None and taken + needed > limit:
                return QuotaShort(
                    str(quota["metadata"]["name"]),
                    resource,
                    str(used.get(resource, "0")),
                    str(hard[resource]),
                    f"{needed.normalize():f}",
                )
    return None


def _demands(pod: Mapping[str, Any]) -> dict[str, Decimal]:
    """Return what one pod counts under each name that a quota may use."""
    requests, limits = pod_amounts(pod)
    demands = dict.fromkeys(_POD_COUNTS, Decimal(1))
    for name, value in requests.items():
        demands[f"requests.{name}"] = value
        if name in _PLAIN or name.startswith("hugepages-"):
            demands[name] = value
    for name, value in limits.items():
        demands[f"limits.{name}"] = value
    return demands


def _applies(spec: Mapping[str, Any], pod: Mapping[str, Any], demands: Mapping[str, Any]) -> bool:
    scopes = [{"scopeName": name, "operator": "Exists"} for name in spec.get("scopes") or ()]
    scopes += (spec.get("scopeSelector") or {}).get("matchExpressions") or ()
    return all(_in_scope(scope, pod, demands) for scope in scopes)


def _in_scope(scope: Mapping[str, Any], pod: Mapping[str, Any], demands: Mapping[str, Any]) -> bool:
    name = scope.get("scopeName")
    best_effort = not any(
        f"{part}.{resource}" in demands
        for part in ("requests", "limits")
        for resource in ("cpu", "memory")
    )
    plain = {
        "BestEffort": best_effort,
        "NotBestEffort": not best_effort,
        "Terminating": pod.get("activeDeadlineSeconds") is not None,
        "NotTerminating": pod.get("activeDeadlineSeconds") is None,
    }
    if name in plain:
        return plain[str(name)]
    return name == "PriorityClass" and _of_class(scope, pod.get("priorityClassName"))


def _of_class(scope: Mapping[str, Any], found: object) -> bool:
    operator, values = scope.get("operator"), scope.get("values") or ()
    if operator == "In":
        return found in values
    if operator == "NotIn":
        return found not in values
    return (found is not None) == (operator == "Exists")
