"""Sweeping copies of ConfigMaps that nothing needs any more.

Role: which copies may go, as effects. Must not know: when they were made. Trade-off: a copy that
a revision of the target refers to stays, since somebody may go back to it; where revisions are
not read (a StatefulSet) all copies stay until the target goes, and its owner reference takes them.
"""

from infertune.core.config_copies import references
from infertune.core.plan import DeleteObject
from infertune.core.snapshot import CopyView
from infertune.core.story import Context
from infertune.core.tuned_target import records_on


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
