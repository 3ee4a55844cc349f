"""What a rollout is going to write, fixed before the first write.

Role: the intent with the values before it, and the command that restores them by hand. Must not
know: states, effects. Trade-off: a field that would keep its value is left out, so that its owner
stays its owner.
"""

import shlex
from typing import Any

from infertune.api.spec import TuningSpec
from infertune.api.status import BatchPlace, Bounds, RolloutIntent
from infertune.core.manifests.naming import ANNOTATION_LAST_GOOD
from infertune.core.manifests.restoring import restoring_patch
from infertune.core.render import canonical_json, digest
from infertune.core.resolve import Resolved
from infertune.core.snapshot import Key
from infertune.core.space import Candidate
from infertune.core.target_reference import target_of
from infertune.core.turning import changes_between, held, turned

_ID_LENGTH = 12
_LONGEST_COMMAND = 1024


def intent_of(
    key: Key, spec: TuningSpec, resolved: Resolved, candidate: Candidate, bounds: Bounds
) -> RolloutIntent | None:
    """Return the intent, or None when everything already stands as recommended."""
    knob = spec.knobs.batch_size
    before = held(resolved.stand, spec.knobs)
    after = turned(resolved.stand, spec.knobs, candidate, resolved.uid).values
    scaled = resolved.writable_bounds not in (None, bounds)
    if before == after and not scaled:
        return None
    before, after = changes_between(before, after)
    intent = RolloutIntent(
        target_uid=resolved.uid,
        container=str(resolved.container["name"]),
        place=None if knob is None else BatchPlace(env=knob.env, argument=knob.argument),
        before=before,
        after=after,
        autoscaler=resolved.autoscaler if scaled else None,
        autoscaler_uid=resolved.autoscaler_uid if scaled else None,
        bounds_before=resolved.bounds if scaled else None,
        bounds_after=bounds if scaled else None,
    )
    content = canonical_json([str(key), intent.model_dump(mode="json")])
    return intent.model_copy(update={"id": digest(content)[:_ID_LENGTH]})


def restore_command(key: Key, spec: TuningSpec, intent: RolloutIntent) -> str:
    """Return the kubectl line that puts the values before the rollout back, without us.

    Where the line would be too long for a status, it prints the annotation that holds the values.
    """
    patch = restoring_patch(intent)
    kind, name = target_of(spec, intent)
    lines = [_patch(key, kind.lower(), name, patch)]
    if intent.autoscaler is not None and intent.bounds_before is not None:
        bounds = {"spec": intent.bounds_before.model_dump(by_alias=True)}
        lines.append(_patch(key, "hpa", intent.autoscaler, bounds))
    command = " && ".join(lines)
    if len(command) <= _LONGEST_COMMAND:
        return command
    annotation = ANNOTATION_LAST_GOOD.replace(".", "\\.")
    path = shlex.quote(f"jsonpath={{.metadata.annotations.{annotation}}}")
    return f"kubectl -n {key.namespace} get {kind.lower()} {name} -o {path}"


def _patch(key: Key, kind: str, name: str, patch: dict[str, Any]) -> str:
    text = shlex.quote(canonical_json(patch))
    return f"kubectl -n {key.namespace} patch {kind} {name} -p {text}"
