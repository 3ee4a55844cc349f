"""Whether the target's pod may be copied for a profile.

Role: the refusals that hold for a trial's copy hold for this one too. Must not know: how the Job
looks. Trade-off: a refused profile is `unknown` and stops nothing; the trials will say the same
with their own condition.
"""

from infertune.api.node_status import ProbeSummary
from infertune.core.copy_hazards import hazard_of
from infertune.core.manifests.naming import labels
from infertune.core.selection import first_picking
from infertune.core.story import Context


def not_profiled(context: Context, node: str) -> ProbeSummary | None:
    """Return why the model is not profiled, or None when its pod may be copied."""
    why = _why(context)
    if why is None:
        return None
    words = f"not profiled: {why}"
    return ProbeSummary(probe="profiler", node=node, verdict="unknown", summary=words[:512])


def _why(context: Context) -> str | None:
    target = context.snapshot.target
    if target is not None:
        override = context.spec.trial.pod_template_override
        hazard = hazard_of(target.raw, override, context.snapshot.access_modes)
        if hazard is not None:
            return hazard.message
    picked = first_picking(context.snapshot.selectors, labels(context.tuning, "profiler"))
    if picked is not None:
        return f"{picked.kind} {picked.name!r} selects the labels of our pods: narrow its selector"
    return None
