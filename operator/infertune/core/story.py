"""How a state function says what it decided: conditions, transition, rendered summary, plan.

Role: the one place where a status is put together. Must not know: why. Trade-off: every state
returns through ``conclude``, which makes each of them a short sentence.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from infertune.api.conditions import Observation, set_condition
from infertune.api.spec import TuningSpec
from infertune.api.status import Summary, TuningStatus
from infertune.core.plan import Effect, Event, Plan
from infertune.core.render import configuration_text, number, shown
from infertune.core.rollout import RolloutEvent, advance
from infertune.core.snapshot import Key, Snapshot, TuningView


@dataclass(frozen=True, slots=True)
class Context:
    """One tick: the snapshot, with the spec known to be valid."""

    snapshot: Snapshot
    spec: TuningSpec

    @property
    def now(self) -> datetime:
        """Return the time of the snapshot."""
        return self.snapshot.now

    @property
    def tuning(self) -> TuningView:
        """Return the tuning."""
        return self.snapshot.tuning

    @property
    def status(self) -> TuningStatus:
        """Return the status as last recorded."""
        return self.snapshot.tuning.status

    @property
    def key(self) -> Key:
        """Return namespace and name of the tuning."""
        return self.snapshot.tuning.key

    def seconds_since(self, moment: datetime | None) -> float:
        """Return the seconds since a recorded moment; an unknown one is now, a later one zero."""
        return 0.0 if moment is None else max(0.0, (self.now - moment).total_seconds())


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a state decided, before it is put into a status.

    ``changes`` are fields of the status. ``event`` moves the state by the table. ``told`` becomes
    a Kubernetes Event; ``decision`` and ``evidence`` a line of the decision log.
    """

    changes: tuple[tuple[str, Any], ...] = ()
    event: RolloutEvent | None = None
    observed: tuple[Observation, ...] = ()
    effects: tuple[Effect, ...] = ()
    told: tuple[Event, ...] = ()
    requeue_seconds: float | None = None
    decision: str = ""
    evidence: tuple[tuple[str, object], ...] = ()


def conclude(context: Context, outcome: Outcome) -> Plan:
    """Return the plan of an outcome: status with conditions, state and summary up to date."""
    status = context.status.model_copy(update=dict(outcome.changes))
    if outcome.event is not None:
        following = advance(status.state, outcome.event)
        if following != status.state:
            changes = {"state": following, "state_since": context.now}
            status = status.model_copy(update=changes)
    generation = context.tuning.generation
    conditions = observe(status, outcome.observed, context.now, generation)
    status = status.model_copy(update={"conditions": conditions})
    status = status.model_copy(update={"summary": summary_of(status, context.spec)})
    return Plan(
        status=status,
        effects=outcome.effects,
        events=outcome.told,
        requeue_seconds=outcome.requeue_seconds,
        decision=outcome.decision,
        evidence=dict(outcome.evidence),
    )


def observe(
    status: TuningStatus, observed: Sequence[Observation], now: datetime, generation: int
) -> tuple[Any, ...]:
    """Return the conditions with all observations in them."""
    conditions = status.conditions
    for observation in observed:
        conditions = set_condition(conditions, observation, now, generation)
    return conditions


def summary_of(status: TuningStatus, spec: TuningSpec) -> Summary:
    """Return the strings that ``kubectl get`` shows."""
    slo = spec.slo
    figures = status.live or status.baseline
    recommended = status.recommendation
    spent = status.spent
    verdict = status.rollout.verdict if status.rollout and status.rollout.verdict else ""
    return Summary(
        slo=f"P{slo.percentile} <= {slo.latency_milliseconds} ms",
        p95=shown(figures.p95) if figures else "",
        best=configuration_text(recommended.configuration) if recommended else "",
        verdict=verdict,
        spent=f"{spent.trials}/{spec.budget.max_trials} trials, {number(spent.replica_hours)} h",
    )
