"""Copies of ConfigMaps: made before a template refers to them, swept when nothing needs them.

Role: which copies have to be there and which may go, as effects. Must not know: in which state
they are asked for. Trade-off: a copy that a revision of the target refers to stays, since somebody
may go back to it (``kubectl rollout undo``); where revisions were not read all copies stay until
the target goes, and its owner reference takes them.
"""

from infertune.api.status import RolloutIntent
from infertune.core.config_copies import is_reference, references
from infertune.core.manifests.config_copy import target_copies
from infertune.core.plan import CreateObject, DeleteObject
from infertune.core.resolve import Problem, Resolved, resolve
from infertune.core.snapshot import CopyView
from infertune.core.space import Candidate, candidate_of
from infertune.core.story import Context
from infertune.core.tuned_target import records_on
from infertune.core.turning import turned


def create_copies(
    context: Context, resolved: Resolved, candidate: Candidate
) -> tuple[CreateObject, ...]:
    """Return the creation of the copies that the template of this candidate refers to."""
    wanted = turned(resolved.stand, context.spec.knobs, candidate, resolved.uid)
    assert context.snapshot.target is not None
    target = context.snapshot.target.raw
    copies = target_copies(wanted.copies, context.key.namespace, target)
    return tuple(CreateObject(copy) for copy in copies)


def copies_of_intent(context: Context, intent: RolloutIntent) -> tuple[CreateObject, ...] | str:
    """Return the creation of the copies that the intent's template refers to, once more.

    Somebody may have deleted one since the rollout was decided. A copy's name tells its content,
    so one that would get another name is not the one that was decided on: then the one that is
    there serves, and where there is none either the answer is a sentence on what was lost.
    """
    entries = (intent.after.entries or {}).items()
    needed = {name for slot, name in entries if is_reference(slot)}
    if not needed:
        return ()
    resolved, chosen = resolve(context.snapshot, context.spec), context.status.recommendation
    made: tuple[CreateObject, ...] = ()
    if chosen is not None and not isinstance(resolved, Problem):
        made = create_copies(context, resolved, candidate_of(chosen.configuration))
    made = tuple(one for one in made if one.manifest["metadata"]["name"] in needed)
    there = {str(one.manifest["metadata"]["name"]) for one in made}
    there |= {copy.name for copy in context.snapshot.copies}
    lost = ", ".join(sorted(needed - there))
    if not lost:
        return made
    return f"ConfigMap {lost} was deleted before the template was written, and its source changed"


def sweep_trial_copies(context: Context) -> tuple[DeleteObject, ...]:
    """Return the removal of copies that this tuning made for trials: call it when none runs."""
    ours = (c for c in context.snapshot.copies if context.tuning.uid in c.owner_uids)
    return tuple(_delete(context, copy) for copy in ours)


def sweep_target_copies(context: Context) -> tuple[DeleteObject, ...]:
    """Return the removal of the target's copies that neither it, nor a way back, refers to."""
    target = context.snapshot.target
    if target is None or target.history is None:
        return ()
    needed = set(target.history) | references(target.raw["spec"]["template"])
    for record in records_on(target.raw, context.snapshot.autoscaler):
        for values in (record.intent.before, record.intent.after):
            needed |= set((values.entries or {}).values())
    uid = str(target.raw["metadata"]["uid"])
    stale = (c for c in context.snapshot.copies if uid in c.owner_uids and c.name not in needed)
    return tuple(_delete(context, copy) for copy in stale)


def _delete(context: Context, copy: CopyView) -> DeleteObject:
    return DeleteObject("v1", "ConfigMap", context.key.namespace, copy.name, copy.uid)
