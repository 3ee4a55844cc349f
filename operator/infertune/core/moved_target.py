"""A tuning whose spec names another target than before: the old one is given back.

Role: the releases that come before anything of the new target is looked at. Must not know: states.
Trade-off: the old target keeps the tuned values, as with every release; an open rollout on it was
rolled back before, so what stands there has been judged.
"""

from infertune.core.manifests.apply_documents import AUTOSCALER_API, AUTOSCALER_KIND
from infertune.core.plan import ReleaseFields
from infertune.core.story import Context


def left_behind(context: Context) -> tuple[ReleaseFields, ...]:
    """Return the releases of a former target and its autoscaler; none while the target is the same.

    A status of an older operator names no target; its spec could not change the target either.
    """
    old, reference = context.status.target, context.spec.target_ref
    if not old.name or (old.kind, old.name) == (reference.kind, reference.name):
        return ()
    where, tuning = context.key.namespace, context.key.name
    found = [
        ReleaseFields(reference.api_version, old.kind, where, old.name, old.uid, tuning),
    ]
    if old.autoscaler is not None and old.autoscaler_uid is not None:
        name, uid = old.autoscaler, old.autoscaler_uid
        found.append(ReleaseFields(AUTOSCALER_API, AUTOSCALER_KIND, where, name, uid, tuning))
    return tuple(found)
