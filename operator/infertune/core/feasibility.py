"""Can this change be rolled out without taking the service away? Asked before the first write.

Role: the workload's own rules for a rollout, against what was measured. Must not know: states,
conditions, how anything is written. Trade-off: only what is certain is refused (lower bounds of
time and room); what may still go wrong ends at ``applyTimeoutSeconds`` and is rolled back.

A PodDisruptionBudget is no obstacle: it holds evictions back, and neither a Deployment's nor a
StatefulSet's rollout evicts. What it does to a node drain afterwards is told by ``budget_notes``.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from infertune.api.spec import Rollout
from infertune.api.status import Bounds, RolloutIntent
from infertune.core.quantities import scaled
from infertune.core.quota_room import quota_short
from infertune.core.render import number
from infertune.core.selection import selector_of, selects
from infertune.core.snapshot import RawObject

# What Kubernetes fills in where a manifest says nothing.
DEFAULT_SHARE = "25%"
DEFAULT_PROGRESS_SECONDS = 600
_ROOM = 2


@dataclass(frozen=True, slots=True)
class Infeasible:
    """Why the change must not be begun: one word, and a sentence with the field and the fix."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Change:
    """One change of one workload, and what is known about it.

    ``startup_seconds`` was measured on a trial server with the new setting. ``needed_replicas`` is
    how many replicas of today's setting today's traffic needs. None: not known.
    """

    workload: RawObject
    intent: RolloutIntent
    rules: Rollout
    quotas: tuple[RawObject, ...] = ()
    startup_seconds: float | None = None
    needed_replicas: int | None = None

    @property
    def replicas(self) -> int:
        """What the workload asks for now; an absent count is 1, as in Kubernetes."""
        return int(self.workload["spec"].get("replicas", 1))

    @property
    def turns_template(self) -> bool:
        """Whether pods are replaced at all, and not only bounds moved."""
        return self.intent.before != self.intent.after

    @property
    def subject(self) -> str:
        """The workload as messages name it."""
        return f"{self.workload['kind']} {self.workload['metadata']['name']!r}"


@dataclass(frozen=True, slots=True)
class Pace:
    """How many replicas a rollout adds on top, and how many it takes down meanwhile."""

    surge: int
    unavailable: int


def why_infeasible(change: Change) -> Infeasible | None:
    """Return the first reason not to begin, or None."""
    checks: tuple[Callable[[Change], Infeasible | None], ...] = (
        _scaled_to_zero,
        _never_rolled,
        _all_at_once,
        _too_few_meanwhile,
        _progress_deadline,
        _apply_timeout,
        _quota,
    )
    return next((found for check in checks if (found := check(change)) is not None), None)


def pace_of(workload: RawObject, replicas: int) -> Pace:
    """Return the pace of a rollout as its controller computes it.

    A Deployment rounds the surge up and the unavailable down, and takes one down where both are
    zero. A StatefulSet never surges and takes down one at least.
    """
    spec = workload["spec"]
    if workload["kind"] == "StatefulSet":
        rules = (spec.get("updateStrategy") or {}).get("rollingUpdate") or {}
        down = scaled(rules.get("maxUnavailable", 1), replicas, up=False) or 1
        return Pace(0, min(max(down, 1), replicas))
    strategy = spec.get("strategy") or {}
    if strategy.get("type") == "Recreate":
        return Pace(0, replicas)
    rules = strategy.get("rollingUpdate") or {}
    surge = scaled(rules.get("maxSurge", DEFAULT_SHARE), replicas, up=True) or 0
    down = scaled(rules.get("maxUnavailable", DEFAULT_SHARE), replicas, up=False) or 0
    if surge == 0 and down == 0:
        down = 1
    return Pace(surge, min(down, replicas))


def budget_notes(
    budgets: Sequence[RawObject], workload: RawObject, low_before: int, low_after: int
) -> tuple[str, ...]:
    """Return what each disruption budget will do to evictions once fewer replicas may run.

    Told only where the change makes the difference: an eviction was possible at the lower bound
    before and is not at the one after.
    """
    labels = workload["spec"]["template"].get("metadata", {}).get("labels") or {}
    notes: list[str] = []
    for budget in sorted(budgets, key=lambda raw: str(raw["metadata"]["name"])):
        spec = budget.get("spec", {})
        picked = selector_of("PodDisruptionBudget", "", spec.get("selector"), empty_picks_all=True)
        if picked is None or not selects(picked, labels):
            continue
        if _evictable(spec, low_before) > 0 and _evictable(spec, low_after) <= 0:
            notes.append(
                f"PodDisruptionBudget {budget['metadata']['name']!r} allows no eviction at "
                f"{_replicas(low_after)}: a node drain will wait there (it does not hold a "
                f"rollout back)"
            )
    return tuple(notes)


def _scaled_to_zero(change: Change) -> Infeasible | None:
    if change.replicas > 0:
        return None
    words = (
        f"{change.subject}: spec.replicas is 0, so no live traffic could verify a change: "
        f"scale it up"
    )
    return Infeasible("TargetScaledToZero", words)


def _never_rolled(change: Change) -> Infeasible | None:
    """A template that its controller would not bring to the pods; no permission changes that."""
    spec = change.workload["spec"]
    if not change.turns_template:
        return None
    if spec.get("paused"):
        words = f"{change.subject}: spec.paused is true, a new template would not be rolled out"
        return Infeasible("TargetPaused", f"{words}: resume it (kubectl rollout resume)")
    strategy = spec.get("updateStrategy") or {}
    if strategy.get("type") == "OnDelete":
        words = (
            f"{change.subject}: spec.updateStrategy.type is OnDelete, and pods are never deleted "
            f"by us: set RollingUpdate"
        )
        return Infeasible("UpdateOnDelete", words)
    partition = scaled((strategy.get("rollingUpdate") or {}).get("partition", 0), 0, up=False)
    if partition:
        words = (
            f"{change.subject}: spec.updateStrategy.rollingUpdate.partition is {partition}, so "
            f"pods below that ordinal would keep the old template: set it to 0"
        )
        return Infeasible("UpdatePartitioned", words)
    return None


def _all_at_once(change: Change) -> Infeasible | None:
    """A rollout during which nothing serves."""
    if not change.turns_template or change.rules.allow_downtime:
        return None
    pace = pace_of(change.workload, change.replicas)
    if pace.unavailable < change.replicas:
        return None
    accept = "or accept it with spec.rollout.allowDowntime: true"
    if change.workload["kind"] == "StatefulSet":
        words = (
            f"{change.subject}: a StatefulSet replaces a pod by taking it down first, and "
            f"{_all_of(change.replicas)} would be down at once: run one more, {accept}"
        )
        return Infeasible("NoRoomToRoll", words)
    if (change.workload["spec"].get("strategy") or {}).get("type") == "Recreate":
        words = (
            f"{change.subject}: spec.strategy.type is Recreate, so {_all_of(change.replicas)} "
            f"would be down until new ones are ready: set RollingUpdate, {accept}"
        )
        return Infeasible("StrategyRecreate", words)
    words = (
        f"{change.subject}: spec.strategy.rollingUpdate lets {_all_of(change.replicas)} be down "
        f"at once (maxSurge {pace.surge}, maxUnavailable {pace.unavailable}): set maxSurge 1 and "
        f"maxUnavailable 0, {accept}"
    )
    return Infeasible("NoRoomToRoll", words)


def _too_few_meanwhile(change: Change) -> Infeasible | None:
    """A rollout that leaves fewer replicas than today's traffic needs."""
    if not change.turns_template or change.rules.allow_downtime:
        return None
    pace = pace_of(change.workload, change.replicas)
    left, needed = change.replicas - pace.unavailable, change.needed_replicas
    if pace.unavailable == 0 or (needed is not None and needed <= left):
        return None
    if needed is None and pace.surge > 0:
        return None
    traffic = (
        "no trial shows that they carry today's traffic"
        if needed is None
        else f"today's traffic needs {needed}"
    )
    fix = (
        "run more replicas"
        if change.workload["kind"] == "StatefulSet"
        else "set spec.strategy.rollingUpdate to maxSurge 1 and maxUnavailable 0"
    )
    words = (
        f"{change.subject}: {left} of {change.replicas} replicas serve during a rollout "
        f"(maxSurge {pace.surge}, maxUnavailable {pace.unavailable}), and {traffic}: {fix}, or "
        f"accept it with spec.rollout.allowDowntime: true"
    )
    return Infeasible("TooFewDuringRollout", words)


def _progress_deadline(change: Change) -> Infeasible | None:
    """A start that its controller would give up; a ready pod is progress, so only that counts."""
    start = change.startup_seconds
    if start is None or not change.turns_template or change.workload["kind"] != "Deployment":
        return None
    spec = change.workload["spec"]
    allowed = int(spec.get("progressDeadlineSeconds", DEFAULT_PROGRESS_SECONDS))
    if start < allowed:
        return None
    # The server wants it above minReadySeconds.
    enough = max(math.ceil(_ROOM * start), int(spec.get("minReadySeconds", 0)) + 1)
    words = (
        f"{change.subject}: spec.progressDeadlineSeconds is {allowed}, but a trial server took "
        f"{number(start)} s to answer: raise it to {enough}"
    )
    return Infeasible("ProgressDeadlineTooShort", words)


def _apply_timeout(change: Change) -> Infeasible | None:
    one = _seconds_of_one(change)
    if one is None or not change.turns_template:
        return None
    pace = pace_of(change.workload, change.replicas)
    waves = math.ceil(change.replicas / (pace.surge + pace.unavailable))
    allowed = change.rules.apply_timeout_seconds
    if waves * one <= allowed:
        return None
    words = (
        f"spec.rollout.applyTimeoutSeconds is {allowed}, but {_why_so_long(change)} and "
        f"{_replicas(change.replicas)} are replaced in {waves} {'waves' if waves > 1 else 'wave'}: "
        f"raise it to {math.ceil(_ROOM * waves * one)}"
    )
    return Infeasible("ApplyTimeoutTooShort", words)


def _quota(change: Change) -> Infeasible | None:
    """Room for the replicas that a raised lower bound asks for, and for one on top to surge."""
    pace = pace_of(change.workload, change.replicas)
    surging = 1 if change.turns_template and pace.unavailable == 0 else 0
    more = _raised(change) + surging
    pod = change.workload["spec"]["template"].get("spec") or {}
    short = quota_short(change.quotas, pod, more)
    if short is None:
        return None
    words = (
        f"ResourceQuota {short.quota!r}: {short.resource} {short.used} of {short.hard} is used, "
        f"and the rollout needs room for {more} more {'pods' if more > 1 else 'pod'} "
        f"({short.needed}): raise the quota or free {short.resource}"
    )
    return Infeasible("QuotaExceeded", words)


def _raised(change: Change) -> int:
    """Return how many replicas the autoscaler adds when its lower bound is raised."""
    before, after = change.intent.bounds_before, change.intent.bounds_after
    if before is None or after is None:
        return 0
    low = max(before.min_replicas, after.min_replicas)
    return max(0, low - change.replicas)


def _seconds_of_one(change: Change) -> float | None:
    """Return the least time from the start of one new pod until it counts as available."""
    if change.startup_seconds is None:
        return None
    return change.startup_seconds + int(change.workload["spec"].get("minReadySeconds", 0))


def _why_so_long(change: Change) -> str:
    assert change.startup_seconds is not None
    words = f"a trial server took {number(change.startup_seconds)} s to answer"
    settle = int(change.workload["spec"].get("minReadySeconds", 0))
    return f"{words}, minReadySeconds adds {settle} s" if settle else words


def _evictable(budget: Mapping[str, Any], replicas: int) -> int:
    """Return how many of so many healthy pods a budget lets go; percentages round up."""
    if budget.get("maxUnavailable") is not None:
        return min(scaled(budget["maxUnavailable"], replicas, up=True) or 0, replicas)
    if budget.get("minAvailable") is None:
        return 0
    wanted = scaled(budget["minAvailable"], replicas, up=True) or 0
    return replicas - wanted


def low_bound(bounds: Bounds | None, replicas: int) -> int:
    """Return the fewest replicas that may run: the lower bound, or the count without one."""
    return replicas if bounds is None else bounds.min_replicas


def _replicas(count: int) -> str:
    return f"{count} replica" if count == 1 else f"{count} replicas"


def _all_of(replicas: int) -> str:
    return "its only replica" if replicas == 1 else f"all {replicas} replicas"
