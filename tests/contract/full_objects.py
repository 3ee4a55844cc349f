"""A status in which every field that the models know is set.

Role: an example made from the models' own JSON schema, not from the CRD, so that it can show
what the CRD loses. Must not know: the CRD. Trade-off: the values are dull; the keys are complete.
"""

from typing import Any

from infertune.api.status import TuningStatus

MOMENT = "2026-01-02T03:04:05Z"


def full_status() -> dict[str, Any]:
    """Return a status with every field, as the operator would send it."""
    schema = TuningStatus.model_json_schema(by_alias=True)
    example = _example(schema, schema["$defs"])
    TuningStatus.model_validate(example)
    return example


def _example(schema: dict[str, Any], definitions: dict[str, Any]) -> Any:
    flat = _resolve(schema, definitions)
    if "enum" in flat:
        return flat["enum"][-1]
    if "properties" in flat:
        return {name: _example(field, definitions) for name, field in flat["properties"].items()}
    if flat["type"] == "array":
        return [_example(flat["items"], definitions)]
    text = MOMENT if flat.get("format") == "date-time" else "text"
    by_type = {"integer": 3, "number": 1.5, "string": text, "boolean": True}
    return {**by_type, "object": {"image": "kubectl"}}[flat["type"]]


def _resolve(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """Return the schema without reference and without its null alternative."""
    if "$ref" in schema:
        return _resolve(definitions[schema["$ref"].removeprefix("#/$defs/")], definitions)
    if "anyOf" in schema:
        return _resolve(next(s for s in schema["anyOf"] if s != {"type": "null"}), definitions)
    return schema
