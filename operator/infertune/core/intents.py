"""What a rollout is going to write, fixed before the first write.

Role: the intent with the values before it, and the command that restores them by hand. Must not
know: states, effects. Trade-off: a field that would keep its value is left out, so that its owner
stays its owner.
"""

import shlex

from infertune.api.spec import TuningSpec
from infertune.api.status import BatchPlace, Bounds, RolloutIntent
from infertune.core.manifests.naming import ANNOTATION_LAST_GOOD
from infertune.core.manifests.restoring import arguments_patch, restoring_patch
from infertune.core.render import canonical_json, digest
from infertune.core.resolve import Resolved
from infertune.core.snapshot import Key, RawObject
from infertune.core.space import Candidate
from infertune.core.target_reference import target_of
from infertune.core.turning import changes_between, held, turned, without_others

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
    before, after = without_others(resolved.stand, spec.knobs, *changes_between(before, after))
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


def restore_command(key: Key, spec: TuningSpec, intent: RolloutIntent, target: RawObject) -> str:
    """Return the kubectl line that puts the values before the rollout back, without us.

    Arguments go first, by a patch that stops where they are not ours any more. Where the line would
    be too long for a status, it prints the annotation that holds the values.
    """
    kind, name = target_of(spec, intent)
    arguments, patch = arguments_patch(intent, target, back=True), restoring_patch(intent)
    lines: list[str] = []
    if arguments:
        lines.append(_patch(key, f"{kind.lower()} {name} --type=json", arguments))
    if patch is not None:
        lines.append(_patch(key, f"{kind.lower()} {name}", patch))
    if intent.autoscaler is not None and intent.bounds_before is not None:
        bounds = {"spec": intent.bounds_before.model_dump(by_alias=True)}
        lines.append(_patch(key, f"hpa {intent.autoscaler}", bounds))
    command = " && ".join(lines)
    if len(command) <= _LONGEST_COMMAND:
        return command
    annotation = ANNOTATION_LAST_GOOD.replace(".", "\\.")
    path = shlex.quote(f"jsonpath={{.metadata.annotations.{annotation}}}")
    return f"kubectl -n {key.namespace} get {kind.lower()} {name} -o {path}"


def _patch(key: Key, which: str, patch: object) -> str:
    text = shlex.quote(canonical_json(patch))
    return f"kubectl -n {key.namespace} patch {which} -p {text}"
