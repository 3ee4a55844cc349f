"""The ground of a search: does the server still stand that the trials measure?

Role: compare what trials have in common with what was recorded at the start, in every state that
measures or decides. Must not know: how trials are driven. Trade-off: the tuning goes back to
Pending, where the finished trials stay only if the change is undone by then; nothing that another
server has measured is ever recommended.
"""

from infertune.api.conditions import Observation
from infertune.core.plan import Event
from infertune.core.resolve import Resolved
from infertune.core.states.cleanup import delete_jobs
from infertune.core.story import Context, Outcome
from infertune.core.trial_basis import interrupted, moved_parts, trial_basis
from infertune.core.tuned_target import records_on

TARGET_CHANGED = "TargetChanged"


def ground_moved(context: Context, resolved: Resolved) -> Outcome | None:
    """Return the way back to Pending when the target is not what the trials stand for, or None."""
    what = _moved(context, resolved)
    if what is None:
        return None
    reference, state = context.spec.target_ref, context.status.state
    words = f"{reference.kind} {reference.name!r}: {what} changed while {state}"
    ahead = "the running trial ends, and what was measured before counts no more"
    return Outcome(
        changes=(
            ("trials", interrupted(context.status.trials, words)),
            ("recommendation", None),
            ("baseline_configuration", None),
        ),
        event="TargetChanged",
        observed=(Observation("TargetAvailable", "Unknown", TARGET_CHANGED, f"{words}: {ahead}"),),
        effects=delete_jobs(context.key, context.snapshot.jobs),
        told=(Event("Warning", TARGET_CHANGED, words),),
        decision=f"starting anew: {words}",
        requeue_seconds=0.0,
    )


def _moved(context: Context, resolved: Resolved) -> str | None:
    """Return what is not as it was. Knobs may move, since each trial names its own values.

    Another image is another server all the same: what it serves live was never measured.
    """
    basis = trial_basis(context.spec, resolved, context.snapshot.config_maps)
    parts = moved_parts(context.status.trial_basis, basis)
    if parts:
        return " and ".join(parts)
    target, at_start = context.snapshot.target, context.status.baseline_configuration
    if target is None or at_start is None or records_on(target.raw, context.snapshot.autoscaler):
        # Beside the record of a rollout the settings at the start are those before any tuning.
        return None
    same = at_start.image in (None, resolved.image)
    return None if same else f"the image (now {resolved.image})"
