"""May this target be written at all, given whose it is? Asked before the first write.

Role: GitOps controllers and strict adoption, as a condition that says what to do. Must not know:
how good the change is. Trade-off: only objects that the intent would change are asked about, so
that an autoscaler in Git does not keep a change of the template from being made.
"""

from infertune.api.conditions import Observation
from infertune.api.status import RolloutIntent
from infertune.core.adoption import owned_by_others
from infertune.core.gitops import (
    IGNORE_KEY,
    Ignored,
    KeptByGitOps,
    advice,
    ignore_text,
    kept_by,
    perhaps_kept,
)
from infertune.core.manifests.apply_documents import AUTOSCALER_API, template_expectations
from infertune.core.plan import FieldExpectation
from infertune.core.story import Context

MANAGED_BY_GITOPS = "ManagedByGitOps"
FIELD_OWNED = "FieldOwnedByOther"


def not_entitled(context: Context, intent: RolloutIntent) -> Observation | None:
    """Return why the target must not be written, or None."""
    target = context.snapshot.target
    assert target is not None
    kept = _kept(context, intent)
    if kept is not None and context.spec.rollout.git_ops == "Refuse":
        item, found = kept[0]
        where = f"{item.raw.get('kind', 'HorizontalPodAutoscaler')}/{item.raw['metadata']['name']}"
        words = (
            f"{where} is managed by {found.keeper} ({found.trace}), which would revert what is "
            f"written here: nothing is written; {advice(found)}"
        )
        return Observation("Applied", "False", MANAGED_BY_GITOPS, words)
    if context.spec.rollout.adoption == "Never":
        owned = owned_by_others(intent, target.raw, context.snapshot.autoscaler)
        if owned is not None:
            words = (
                f"{owned}, and spec.rollout.adoption is Never: nothing is written; let its owner "
                "give the field up, or set spec.rollout.adoption: Once"
            )
            return Observation("Applied", "False", FIELD_OWNED, words)
    return None


def gitops_entries(context: Context, intent: RolloutIntent | None) -> dict[str, str]:
    """Return the entries to add to a GitOps source, by key of the ConfigMap; else nothing."""
    kept = _kept(context, intent) if intent is not None else None
    if not kept:
        return {}
    _, first = kept[0]
    return {IGNORE_KEY: ignore_text(first, [item for item, found in kept if _same(found, first)])}


def gitops_doubts(context: Context, intent: RolloutIntent) -> tuple[str, ...]:
    """Return what cannot be told of the objects that the intent changes, for people to know."""
    if context.spec.rollout.git_ops != "Refuse":
        return ()
    found = (perhaps_kept(item.raw) for item in _changed(context, intent))
    return tuple(dict.fromkeys(words for words in found if words is not None))


def _kept(context: Context, intent: RolloutIntent) -> list[tuple[Ignored, KeptByGitOps]] | None:
    """Return the objects that the intent changes and a GitOps controller keeps, or None."""
    found = [(item, kept_by(item.raw)) for item in _changed(context, intent)]
    kept = [(item, keeper) for item, keeper in found if keeper is not None]
    return kept or None


def _changed(context: Context, intent: RolloutIntent) -> list[Ignored]:
    target, autoscaler = context.snapshot.target, context.snapshot.autoscaler
    found: list[Ignored] = []
    if target is not None and intent.before != intent.after:
        fields = template_expectations(intent, back=False)
        found.append(Ignored(context.spec.target_ref.api_version, target.raw, fields))
    if autoscaler is not None and intent.bounds_after is not None:
        bounds = tuple(
            FieldExpectation(("spec", name), None, None) for name in ("minReplicas", "maxReplicas")
        )
        found.append(Ignored(AUTOSCALER_API, autoscaler, bounds))
    return found


def _same(one: KeptByGitOps, other: KeptByGitOps) -> bool:
    return (one.keeper, one.source) == (other.keeper, other.source)
