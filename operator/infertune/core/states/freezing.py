"""Frozen: a decided rollout waits for whoever said that nothing new may open.

Role: the wait, and who caused it. Must not know: what the rollout would write. Trade-off: it waits
in Deciding, so that a target that changes meanwhile is decided about again.
"""

from infertune.api.annotations import FREEZE
from infertune.api.conditions import Observation
from infertune.core.plan import Effect, Event
from infertune.core.story import Context, Outcome

FROZEN = "Frozen"
THAW_SECONDS = 15.0


def frozen(context: Context, effects: tuple[Effect, ...]) -> Outcome | None:
    """Return patience while new rollouts are frozen, or None.

    ``effects`` publish the recommendation; they are needed once.
    """
    by = _frozen_by(context)
    if by is None:
        return None
    words = f"the rollout is decided and waits: {by}"
    news = not any(c.type == "Applied" and c.reason == FROZEN for c in context.status.conditions)
    return Outcome(
        observed=(Observation("Applied", "False", FROZEN, words),),
        effects=effects if news else (),
        told=(Event("Normal", FROZEN, words),) if news else (),
        decision=words if news else "",
        requeue_seconds=THAW_SECONDS,
    )


def _frozen_by(context: Context) -> str | None:
    if context.tuning.wishes.freeze:
        return f"the annotation {FREEZE}"
    where = context.snapshot.installation.switches
    return f"freeze in ConfigMap {where} of the installation" if context.snapshot.frozen else None
