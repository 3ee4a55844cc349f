"""No trial for now: the word, the sentence, and when to look again.

Role: how every reason against a trial is told. Must not know: the reasons. Trade-off: an Event only
when the reason is another one, since a place in a line moves all the time.
"""

from typing import Literal

from infertune.api.conditions import Observation
from infertune.core.plan import Event
from infertune.core.story import Context, Outcome
from infertune.core.trial_gate import Closed

HELD_SECONDS = 10.0


def held(context: Context, closed: Closed, seconds: float = HELD_SECONDS) -> Outcome:
    """Return patience, with the word and the sentence that say why no trial starts."""
    before = next((c for c in context.status.conditions if c.type == "TrialsAllowed"), None)
    news = before is None or (before.status, before.reason) != ("False", closed.reason)
    kind: Literal["Normal", "Warning"] = "Warning" if closed.kind == "Refused" else "Normal"
    return Outcome(
        observed=(Observation("TrialsAllowed", "False", closed.reason, closed.message),),
        told=(Event(kind, closed.reason, closed.message),) if news else (),
        decision=f"no trial: {closed.message}" if news else "",
        requeue_seconds=seconds,
    )
