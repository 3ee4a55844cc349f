"""Documents for server-side apply: exactly our fields, nothing else.

Role: turn a rollout's intent into what is sent, with the expectations that must hold. Must not
know: in which order they are sent. Trade-off: the template document always names every field we
own, because a field left out of an apply is a field given up.
"""

from typing import Any

from infertune.api.spec import BatchSizeKnob, TuningSpec
from infertune.api.status import Bounds, RolloutIntent, TemplateValues
from infertune.core.manifests.naming import ANNOTATION_LAST_GOOD
from infertune.core.plan import ApplyFields, FieldExpectation
from infertune.core.render import canonical_json
from infertune.core.snapshot import Key

AUTOSCALER_API = "autoscaling/v2"
AUTOSCALER_KIND = "HorizontalPodAutoscaler"


def apply_template(key: Key, spec: TuningSpec, intent: RolloutIntent, *, back: bool) -> ApplyFields:
    """Return the write of the pod template: forward, or back to the values before."""
    old, new = (intent.after, intent.before) if back else (intent.before, intent.after)
    reference = spec.target_ref
    metadata: dict[str, Any] = {
        "name": reference.name,
        "namespace": key.namespace,
        "uid": intent.target_uid,
    }
    if not back:
        metadata["annotations"] = {ANNOTATION_LAST_GOOD: last_good(intent)}
    container = container_fields(intent.container, new, spec.knobs.batch_size)
    document = {
        "apiVersion": reference.api_version,
        "kind": reference.kind,
        "metadata": metadata,
        "spec": {"template": {"spec": {"containers": [container]}}},
    }
    expectations = _template_expectations(intent.container, old, new, spec.knobs.batch_size)
    return ApplyFields(document=document, expectations=expectations, adopt=not back)


def apply_bounds(
    key: Key, intent: RolloutIntent, old: Bounds, new: Bounds, *, back: bool
) -> ApplyFields:
    """Return the write of the autoscaler's bounds from ``old`` to ``new``."""
    metadata = {
        "name": intent.autoscaler,
        "namespace": key.namespace,
        "uid": intent.autoscaler_uid,
    }
    document = {
        "apiVersion": AUTOSCALER_API,
        "kind": AUTOSCALER_KIND,
        "metadata": metadata,
        "spec": {"minReplicas": new.min_replicas, "maxReplicas": new.max_replicas},
    }
    expectations = (
        FieldExpectation(("spec", "minReplicas"), old.min_replicas, new.min_replicas),
        FieldExpectation(("spec", "maxReplicas"), old.max_replicas, new.max_replicas),
    )
    return ApplyFields(document=document, expectations=expectations, adopt=not back)


def container_fields(
    name: str, values: TemplateValues, knob: BatchSizeKnob | None
) -> dict[str, Any]:
    """Return the container entry of an apply document; an absent value is left out."""
    fields: dict[str, Any] = {"name": name}
    if values.image is not None:
        fields["image"] = values.image
    if knob is None:
        return fields
    if knob.argument is not None and values.args is not None:
        fields["args"] = list(values.args)
    elif knob.env is not None and values.batch_value is not None:
        fields["env"] = [{"name": knob.env, "value": values.batch_value}]
    return fields


def last_good(intent: RolloutIntent) -> str:
    """Return the annotation that lets a human go back without us."""
    content = {
        "container": intent.container,
        "template": intent.before.model_dump(by_alias=True, exclude_none=True, mode="json"),
        "autoscaler": intent.autoscaler,
        "bounds": intent.bounds_before.model_dump(by_alias=True) if intent.bounds_before else None,
    }
    return canonical_json({k: v for k, v in content.items() if v is not None})


def _template_expectations(
    container: str, old: TemplateValues, new: TemplateValues, knob: BatchSizeKnob | None
) -> tuple[FieldExpectation, ...]:
    base = ("spec", "template", "spec", "containers", f"name={container}")
    found: list[FieldExpectation] = []
    if new.image is not None:
        found.append(FieldExpectation((*base, "image"), old.image, new.image))
    if knob is not None and knob.argument is not None:
        found.append(FieldExpectation((*base, "args"), old.args, new.args))
    elif knob is not None and knob.env is not None:
        path = (*base, "env", f"name={knob.env}", "value")
        found.append(FieldExpectation(path, old.batch_value, new.batch_value))
    return tuple(found)
