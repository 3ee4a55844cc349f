"""Stable and Halted: the resting states, which look at live traffic now and then.

Role: let the finalizer go, refresh the live figures. Must not know: why the tuning rests.
Trade-off: live figures change the status at most once a minute and only when their rounded form
changes, so that a hundred stable tunings are almost free.
"""

from infertune.core.manifests.naming import FINALIZER
from infertune.core.plan import SetFinalizer
from infertune.core.render import shown
from infertune.core.snapshot import LiveEvidence
from infertune.core.states.pending import figures_of
from infertune.core.story import Context, Outcome

WATCH_SECONDS = 60.0


def settled(context: Context) -> Outcome:
    """Return the finalizer's removal, or what live traffic looks like now."""
    if FINALIZER in context.tuning.finalizers:
        return Outcome(effects=(SetFinalizer(present=False),), requeue_seconds=0.0)
    live = context.snapshot.live
    if not isinstance(live, LiveEvidence):
        return Outcome(requeue_seconds=WATCH_SECONDS)
    fresh, old = figures_of(live), context.status.live
    same = old is not None and (
        shown(old.over_slo_percent) == shown(fresh.over_slo_percent)
        and shown(old.request_rate) == shown(fresh.request_rate)
    )
    if same:
        return Outcome(requeue_seconds=WATCH_SECONDS)
    return Outcome(changes=(("live", fresh),), requeue_seconds=WATCH_SECONDS)
